"""Real servers for the faces of stores: a binding's unix socket, the REST API on a port."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from aiohttp import web

from skerry.api.bindings.base import BINDING_HEADER, BindingFace, bindings_app
from skerry.api.origins import OriginGuard
from skerry.api.storage.routes import storage_routes
from skerry.storage.open import Stores


class Now:
    """A clock that only moves when told to."""

    def __init__(self, seconds: float = 1_800_000_000.0) -> None:
        self.seconds = seconds

    def __call__(self) -> float:
        return self.seconds


@asynccontextmanager
async def bound(
    faces: Mapping[str, BindingFace], folder: Path
) -> AsyncIterator[Callable[[str], aiohttp.ClientSession]]:
    """Serve faces on a unix socket; gives name -> a session that speaks as that binding."""
    runner = web.AppRunner(bindings_app(faces, 64 << 20), access_log=None)
    await runner.setup()
    path = str(folder / "b.sock")
    await web.UnixSite(runner, path).start()
    sessions: list[aiohttp.ClientSession] = []

    def session(name: str) -> aiohttp.ClientSession:
        made = aiohttp.ClientSession(
            "http://binding",
            connector=aiohttp.UnixConnector(path),
            headers={BINDING_HEADER: name},
        )
        sessions.append(made)
        return made

    try:
        yield session
    finally:
        for each in sessions:
            await each.close()
        await runner.cleanup()


@asynccontextmanager
async def rest(stores: Stores) -> AsyncIterator[str]:
    """Serve the REST faces; gives the base URL that Cloudflare's SDK takes."""
    app = web.Application()
    app.add_routes(storage_routes(stores))
    OriginGuard([]).install(app)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/client/v4"
    finally:
        await runner.cleanup()
