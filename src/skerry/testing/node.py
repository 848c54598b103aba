"""A node for tests: in a thread of its own, so that plain and async tests alike can call it."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Coroutine, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from skerry.errors import SkerryError
from skerry.node import Node
from skerry.settings import Settings
from skerry.testing.project import RunningProject
from skerry.testing.recorder import Recorder
from skerry.types import Answer, InferenceRequest, new_id
from skerry.workers.migrations import databases

if TYPE_CHECKING:
    import aiohttp

    from skerry.workers.logs import LogEvent
    from skerry.workers.supervisor import Supervisor

T = TypeVar("T")

START = 600.0
"""Seconds that a start may take: the first one fetches workerd, packages and models."""
KEPT = 10_000
"""Things said by workers that are remembered."""


class LocalNode:
    """One node and the projects that tests start on it. Its stores begin empty and are shared."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.recorder = Recorder()
        self.said: deque[LogEvent] = deque(maxlen=KEPT)
        """What the workers of all projects have said, the oldest first."""
        self.heard = threading.Condition()
        """Notified with each new entry of `said`."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="skerry", daemon=True)
        self._listening: asyncio.Task[None] | None = None
        self.node: Node
        self.http: aiohttp.ClientSession

    def __enter__(self) -> Self:
        self._thread.start()
        self.call(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.call(self._stop())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def call(self, work: Coroutine[Any, Any, T], timeout: float = START) -> T:
        """Run `work` on the node's event loop and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout)

    def start(
        self,
        path: Path | str,
        *,
        env: str | None = None,
        inject: Sequence[Path] = (),
        test_scheduled: bool = False,
    ) -> RunningProject:
        """Build and start the project at `path` (a folder, or one code file) on a free port.

        The migrations of its D1 databases are applied. It runs until the tests end, or until its
        `stop`. Raises SkerryError with what is wrong with it.
        """
        return self.call(
            self._open(
                Path(path).absolute(), env, [each.absolute() for each in inject], test_scheduled
            )
        )

    def reload(self, supervisor: Supervisor) -> None:
        """Bring up a worker's sources as they are now. Raises SkerryError."""
        if not self.call(supervisor.reload()):
            raise SkerryError(self._why())

    def run(self, model: str, inputs: dict[str, Any]) -> Any:
        """What a model answers, whole. Raises AiError."""
        request = InferenceRequest(model=model, inputs=inputs, id=new_id())
        answer = self.call(self.node.ai.run(request))
        if not isinstance(answer, Answer):
            raise TypeError("a stream: ask without `stream`, or through a project's `fetch`")
        return answer.value

    async def _start(self) -> None:
        import aiohttp

        self.node = Node(self.settings, before=[self.recorder])
        await self.node.start()
        self._listening = asyncio.create_task(self._listen())
        self.http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True))

    async def _listen(self) -> None:
        with self.node.logs.subscribe() as subscription:
            while (event := await subscription.get()) is not None:
                with self.heard:
                    self.said.append(event)
                    self.heard.notify_all()

    async def _open(
        self, path: Path, env: str | None, inject: list[Path], test_scheduled: bool
    ) -> RunningProject:
        from skerry.workers.project import load_project

        workers = await self.node.workers()
        supervisor, port = await workers.open(
            partial(load_project, path, env=env),
            host="127.0.0.1",
            port=0,
            inject=inject,
            test_scheduled=test_scheduled,
        )
        if not await supervisor.start():
            await supervisor.stop(0)
            raise SkerryError(self._why())
        assert supervisor.project is not None
        for each in databases(self.node.stores, "local", supervisor.project):
            await each.migrate()
        return RunningProject(self, supervisor, f"http://127.0.0.1:{port}")

    def _why(self) -> str:
        """What was wrong with the last build."""
        said = [event for event in self.node.logs.recent() if event.kind == "build"]
        return str(said[-1].message[0])

    async def _stop(self) -> None:
        await self.http.close()
        if self._listening is not None:
            self._listening.cancel()
        await self.node.stop()
