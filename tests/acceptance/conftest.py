"""A real node on the packaged models, as it is served."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from skerry.catalog.store import Store
from skerry.inference.status import ModelStatus
from skerry.node import Node
from skerry.settings import Settings


class Served:
    """A node in this process, its address, and a client."""

    def __init__(self, node: Node, url: str, http: aiohttp.ClientSession) -> None:
        self.node = node
        self.url = url
        self.http = http

    def status(self, model: str) -> ModelStatus:
        return next(each for each in self.node.inference.status() if each.model == model)

    async def run(self, model: str, **inputs: Any) -> Any:
        """The result of ai/run; fails where there is none."""
        url = f"{self.url}/client/v4/accounts/local/ai/run/{model}"
        async with self.http.post(url, json=inputs) as got:
            answer = await got.json()
        assert answer["success"], answer
        return answer["result"]


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[Served]:
    """A node that listens on a free port."""
    async with Node(settings) as node:
        url = await node.serve()
        timeout = aiohttp.ClientTimeout(total=100)
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(timeout=timeout, connector=connector) as http:
            yield Served(node, url, http)


@pytest.fixture(scope="session")
def on_models(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of a node on the user-wide store."""
    root: Path = store.root
    return Settings(data_dir=tmp_path_factory.mktemp("node"), models=root, port=0, keep_warm=3600)


def changed(settings: Settings, **values: Any) -> Settings:
    return msgspec.structs.replace(settings, **values)


async def eventually(test: Any, seconds: float = 20.0) -> None:
    """Wait until `test()` is true."""
    async with asyncio.timeout(seconds):
        while not test():  # noqa: ASYNC110 - a process's state, which tells nobody
            await asyncio.sleep(0.05)
