"""A node with dummy models and one worker on it, over real HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp

from skerry.node import Node
from skerry.workers.logs import LogEvent
from skerry.workers.project import Project
from skerry.workers.supervisor import Supervisor
from skerry.workers.toolchain import Toolchain

from .. import dummies

OPEN = ("inject", "claim", "test_scheduled", "follow")


class WorkerRig:
    """The worker of one source text. `fields`: of its Project, of Workers.open, of Settings."""

    def __init__(self, folder: Path, tools: Toolchain, source: str, **fields: Any) -> None:
        self.root = folder / "project"
        self.root.mkdir(parents=True, exist_ok=True)
        self.main = self.root / fields.pop("file", "index.ts")
        self.main.write_text(source)
        if fields.pop("watched", False):
            fields["follow"] = self.root
        self._open = {name: fields.pop(name) for name in OPEN if name in fields}
        names = Project.__struct_fields__
        project = {name: fields.pop(name) for name in list(fields) if name in names}
        self.fields: dict[str, Any] = {
            "root": self.root,
            "name": "test",
            "main": self.main,
            "language": "javascript",
        } | project
        self.node = Node(dummies.settings(folder, **fields))
        self._tools = tools
        self.events: list[LogEvent] = []
        self.supervisor: Supervisor
        self.http: aiohttp.ClientSession
        self.url = ""

    def project(self) -> Project:
        return Project(**self.fields)

    async def start(self) -> None:
        await self.node.start()
        workers = await self.node.workers(self._tools)
        put = self.node.logs.put

        def keep(event: LogEvent) -> None:
            self.events.append(event)
            put(event)

        self.node.logs.put = keep  # type: ignore[method-assign]
        self.supervisor, port = await workers.open(
            self.project, host="127.0.0.1", port=0, **self._open
        )
        self.url = f"http://127.0.0.1:{port}"
        connector = aiohttp.TCPConnector(force_close=True)
        self.http = aiohttp.ClientSession(self.url, connector=connector)
        await self.supervisor.start()

    async def stop(self) -> None:
        await self.http.close()
        await self.node.stop()

    async def change(self, source: str) -> bool:
        """Save other code and have it live."""
        self.main.write_text(source)
        return await self.supervisor.reload()

    async def get(self, path: str, **options: Any) -> tuple[int, str]:
        """GET: status and text."""
        async with self.http.get(path, **options) as answer:
            return answer.status, await answer.text()

    async def json(self, path: str, **options: Any) -> Any:
        """GET: the JSON of an answer with status 200."""
        async with self.http.get(path, **options) as answer:
            text = await answer.text()
            assert answer.status == 200, text
            return await answer.json()

    def said(self, kind: str | None = None) -> list[str]:
        """What the worker has said so far."""
        return [
            " ".join(map(str, each.message)) for each in self.events if kind in (None, each.kind)
        ]

    async def hears(self, words: str, seconds: float = 20.0) -> None:
        """Wait until something with these words is said."""
        await until(lambda: any(words in each for each in self.said()), seconds)


async def until(holds: Callable[[], Any], seconds: float = 20.0) -> None:
    """Wait until `holds()`; fails where it does not within `seconds`."""
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110 (what it waits for is outside this process)
            await asyncio.sleep(0.01)
