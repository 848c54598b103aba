"""The life of one worker: built, started, watched, replaced, started again."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import msgspec

from skerry.errors import SkerryError
from skerry.workers.events import Events
from skerry.workers.host import WorkerHost
from skerry.workers.logs import LogEvent
from skerry.workers.pages import EXCEEDED, raw_response
from skerry.workers.project import Project
from skerry.workers.versions import Maker, Version
from skerry.workers.watchdog import Limits, Watchdog
from skerry.workers.workerd.rescue import answer, taken_connections

GRACE = 30.0
"""Seconds that the requests of an old version have to end."""
SETTLE = 0.25
"""Seconds that a reload waits for the old process to take no more."""
BACKOFF = (0.0, 0.1, 0.5, 1.0, 2.0, 5.0)
"""Seconds before each new start of a process that ended by itself."""
HEALTHY = 10.0
"""Seconds after which a process counts as started well."""

_CUT = {
    "cpu": "it computed for {cpu:.0f} s without a pause, its limit",
    "memory": "its memory grew past its limit of {memory} MB",
}


class Supervisor:
    """Keeps one worker running. `sink` hears of everything that happens to it."""

    def __init__(
        self,
        *,
        load: Callable[[], Project],
        maker: Maker,
        limits: Limits,
        port: int,
        sink: Callable[[LogEvent], None],
        events: Callable[[Callable[[], WorkerHost | None]], Events],
    ) -> None:
        """load: reads the project's configuration, blocking; raises ProjectError. port: the
        listening socket's. events: makes what delivers cron events and messages to the worker
        that it is given the way to."""
        self._load = load
        self._maker = maker
        self._limits = limits
        self._port = port
        self._sink = sink
        self._events = events(lambda: self._current.host if self._current is not None else None)
        self._current: Version | None = None
        self._serving = False
        """Whether `_current` is the worker itself, not the notice that it cannot be built."""
        self._draining: set[Version] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._watch: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()
        self._failures = 0
        self._started_at = 0.0
        self.name = "worker"
        """The project's, once it has been read."""
        self.project: Project | None = None
        """As it was last read."""
        self._closing = False

    @property
    def version(self) -> Version | None:
        """The version that answers; None where none could be built yet."""
        return self._current if self._serving else None

    async def start(self) -> bool:
        """Build and start; whether it could be. Where not, its callers are told why."""
        return await self.reload()

    async def reload(self) -> bool:
        """Bring up the sources as they are now, in place of what runs; whether it could be done.

        The new process listens before the old one is asked to stop, on the same socket: no
        request is lost. Where it cannot be built or started, what runs goes on.
        """
        async with self._lock:
            if self._closing:
                return False
            begun = time.monotonic()
            project: Project | None = None
            try:
                project = await asyncio.to_thread(self._load)
                self.name, self.project = project.name, project
                version = await self._maker.make(project, self._end_of(project))
            except SkerryError as error:
                await self._failed(project, error)
                return False
            again = self._current is not None
            await self._put(version, serving=True)
            if again:
                self._say("info", f"reloaded in {(time.monotonic() - begun) * 1e3:.0f} ms")
            try:
                await self._events.follow(project)
            except SkerryError as error:
                self._say("error", f"its triggers and consumers do not run: {error}")
            return True

    async def _failed(self, project: Project | None, error: SkerryError) -> None:
        kept = "\nThe version before goes on." if self._serving else ""
        self._say("error", f"{error}{kept}", kind="build")
        if self._serving:
            return
        shown = project or Project(
            root=Path.cwd(), name=self.name, main=None, language="javascript"
        )
        try:
            notice = await self._maker.notice(shown, error, self._end_of(shown))
        except SkerryError as fault:
            self._say("error", f"nor can the error be shown: {fault}")
            return
        await self._put(notice, serving=False)

    async def _put(self, version: Version, *, serving: bool) -> None:
        old, self._current, self._serving = self._current, version, serving
        self._failures = 0
        self._guard(version)
        if old is not None:
            self._draining.add(old)
            retiring = self._own(self._retire(old))
            # Without requests in flight it ends at once. So what is asked after a reload is
            # answered by the new code.
            await asyncio.wait([retiring], timeout=SETTLE)

    async def _retire(self, version: Version) -> None:
        await version.stop(GRACE)
        self._draining.discard(version)

    def _guard(self, version: Version) -> None:
        self._started_at = time.monotonic()
        if self._watch is not None:
            self._watch.cancel()
        self._watch = asyncio.create_task(self._look_after(version))

    async def _look_after(self, version: Version) -> None:
        """Watch the process's bounds; end it where it breaks one."""
        host = version.host
        assert host is not None
        limits = self._limits
        if version.project.cpu_ms is not None:
            limits = msgspec.structs.replace(limits, cpu=version.project.cpu_ms / 1000)
        reason = await Watchdog(host.process.pid, limits, host.ping).watch()
        if reason is None:
            return
        process = host.process
        process.signal(signal.SIGSTOP)
        callers = await asyncio.to_thread(taken_connections, process.pid, process.pidfd, self._port)
        process.kill()
        why = _CUT[reason].format(cpu=limits.cpu, memory=limits.memory >> 20)
        count = await asyncio.to_thread(answer, callers, raw_response(EXCEEDED, why))
        self._say(
            "error",
            f"error 1102: the worker was ended, since {why}; {count} requests got 503",
            kind="exception",
        )

    def _end_of(self, project: Project) -> Callable[[int], None]:
        def ended(status: int) -> None:
            version = self._current
            if self._closing or version is None or version.host is None:
                return
            if version.host.process.status is None:
                return  # it was an older one, which was asked to end
            self._own(self._again(version, status))

        return ended

    async def _again(self, version: Version, status: int) -> None:
        """Start the same version anew. Its callers wait in the listening socket meanwhile."""
        if time.monotonic() - self._started_at > HEALTHY:
            self._failures = 0
        wait = BACKOFF[min(self._failures, len(BACKOFF) - 1)]
        self._failures += 1
        self._say("warn", f"its process ended ({_ended(status)}); starting it again")
        await asyncio.sleep(wait)
        async with self._lock:
            if self._closing or self._current is not version:
                return
            try:
                await self._maker.start(version)
            except SkerryError as error:
                self._say("error", str(error))
                self._own(self._again(version, -1))
                return
            self._guard(version)

    def _say(self, level: str, text: str, *, kind: str = "host") -> None:
        self._sink(
            LogEvent(
                timestamp=time.time(), worker=self.name, level=level, message=[text], kind=kind
            )
        )

    def _own(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def stop(self, grace: float) -> None:
        """Let requests in flight end, then stop everything."""
        self._closing = True
        if self._watch is not None:
            self._watch.cancel()
        await self._events.close(grace)
        async with self._lock:
            version, self._current = self._current, None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        rest = [*self._draining, *([version] if version is not None else [])]
        await asyncio.gather(*(each.stop(grace) for each in rest))
        self._maker.close()


def _ended(status: int) -> str:
    number = -status if status < 0 else status - 128  # bubblewrap tells a signal as 128 more
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"exit status {status}"
