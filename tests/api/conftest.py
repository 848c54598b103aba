"""A real server on a real port, with a stub AI behind it."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from skerry.api.app import build_app
from skerry.settings import Settings
from skerry.storage.open import Stores
from skerry.tasks.base import Task
from skerry.tasks.registry import load_tasks
from skerry.workers.logs import LogHub

from .stub import StubAI, StubCatalog, StubStatus


class Rig:
    """The server, what stands behind it, and a client."""

    def __init__(self, settings: Settings) -> None:
        self.tasks: dict[str, Task] = load_tasks()
        self.catalog = StubCatalog()
        self.ai = StubAI(self.tasks, self.catalog)
        self.status = StubStatus()
        self.settings = settings
        self.folder = tempfile.TemporaryDirectory()
        self.stores = Stores(Path(self.folder.name))
        self.app = build_app(
            ai=self.ai,
            catalog=self.catalog,
            tasks=self.tasks,
            inference=self.status,
            settings=settings,
            version="1.2.3",
            logs=LogHub(),
            stores=self.stores,
        )
        self.url = ""
        self.port = 0
        self.http: aiohttp.ClientSession

    @property
    def base(self) -> str:
        return f"{self.url}/client/v4/accounts/acc/ai"


async def serve(rig: Rig) -> AsyncIterator[Rig]:
    runner = web.AppRunner(rig.app, handler_cancellation=True, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    rig.port = runner.addresses[0][1]
    rig.url = f"http://127.0.0.1:{rig.port}"
    try:
        async with aiohttp.ClientSession() as session:
            rig.http = session
            yield rig
    finally:
        await runner.cleanup()
        await rig.stores.close()
        rig.folder.cleanup()


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async for each in serve(Rig(Settings(preload=["@test/chat"]))):
        yield each
