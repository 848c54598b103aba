"""One CPython process with one version of a project's code."""

from __future__ import annotations

import asyncio
import base64
import os
import socket
import sys
import time as clock
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from skerry.errors import BuildError, WorkerError
from skerry.storage.queues.base import QueueBatch, QueueResult
from skerry.workers.host import ScheduledResult, WorkerHost
from skerry.workers.logs import LogEvent, LogSink
from skerry.workers.process import WorkerProcess
from skerry.workers.project import Project
from skerry.workers.python.handover import Handover
from skerry.workers.python.line import ControlLine, read_logs
from skerry.workers.sandbox import Sandbox
from skerry.workers.watchdog import Limits
from skerry.workers.workerd.config import Faces, Options, pattern

RUNTIME = Path(__file__).with_name("runtime")
BOOT = RUNTIME / "boot.py"
START = 30.0
"""Seconds until it must listen: imports of large packages are in it."""
EVENT = 15 * 60.0
"""Seconds that a cron event or a batch of messages may take, as on Cloudflare."""
FIRST = 0.95
"""Part of its bounds at which a worker ends itself: only it can say where it was."""
WORDS = 20
"""Lines of stderr that are kept for a failure's message."""


def _compile_runtime() -> None:
    """Keep the runtime as bytecode, which a worker itself must not write: a third of its start.

    Does nothing where that is done, or where the folder cannot be written.
    """
    import compileall

    compileall.compile_dir(RUNTIME, quiet=2)


def python() -> str:
    """The interpreter itself, not the environment that the node runs in."""
    return os.path.realpath(getattr(sys, "_base_executable", sys.executable))


class PythonHost(WorkerHost):
    """Runs `project`; requests reach it through `listener`, which the parent owns and shares with
    the process before and the one after."""

    def __init__(
        self,
        *,
        project: Project,
        faces: Faces,
        options: Options,
        packages: Sequence[Path],
        listener: socket.socket,
        sandbox: Sandbox,
        on_log: LogSink,
        on_end: Callable[[int], None],
        limits: Limits,
        handover: Handover | None = None,
    ) -> None:
        """faces: the node's sockets that it may reach. packages: folders of what it may import
        beside its own code. on_end: its exit status, once it has started. handover: shared by the
        hosts of one worker, of which the newest takes the connections of those before."""
        self._project = project
        self._faces = faces
        self._options = options
        self._packages = packages
        self._listener = listener
        self._sandbox = sandbox
        self._on_log = on_log
        self._on_end = on_end
        self._handover = handover
        cpu = limits.cpu if project.cpu_ms is None else project.cpu_ms / 1000
        self._limits = msgspec.structs.replace(limits, cpu=cpu)
        self._words: deque[str] = deque(maxlen=WORDS)
        self._process: WorkerProcess | None = None
        self._line: ControlLine | None = None
        self._logs: asyncio.ReadTransport | None = None
        self._started = False
        self.handlers: list[str] = []
        """What the module offers, once it has started: fetch, scheduled, queue."""

    @property
    def address(self) -> Path:
        """Where the listener listens."""
        return Path(str(self._listener.getsockname()))

    @property
    def process(self) -> WorkerProcess:
        """The process. Only after `start`."""
        assert self._process is not None
        return self._process

    async def start(self) -> None:
        """Start and wait until it listens. Raises BuildError with the traceback of a module that
        cannot be loaded, WorkerError for a process that did not start."""
        await asyncio.to_thread(_compile_runtime)
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        pipe, self._logs = await read_logs(self._project.name, self._on_log)
        fds = [self._listener.fileno(), theirs.fileno(), pipe]
        if self._handover is not None:
            fds += self._handover.descriptors()
        command = [python(), "-I", "-S", "-B", "-X", "utf8", str(BOOT), *map(str, fds[:3])]
        try:
            with theirs:
                self._process = await WorkerProcess.start(
                    command, cwd=self._project.root, sandbox=self._sandbox, read=self._sees(),
                    fds=fds, out=lambda line: self._said(line, "log"),
                    err=lambda line: self._said(line, "error"), on_end=self._ended,
                )  # fmt: skip
        except BaseException:
            ours.close()
            self._logs.close()
            raise
        finally:
            os.close(pipe)
        try:
            self._line = await ControlLine.open(ours)
            self._line.send(**self._plan())
            await self._listens(self._line)
        except BaseException:
            self._process.kill()
            await self._close()
            raise
        self._started = True
        if self._handover is not None:
            self._handover.newest = self

    async def _listens(self, line: ControlLine) -> None:
        try:
            async with asyncio.timeout(START):
                first = await line.ready
        except TimeoutError as error:
            seconds = f"{START:g} s"
            words = f"{self._project.name}: its module was not loaded within {seconds}"
            raise WorkerError(words) from error
        if "ready" in first:
            self.handlers = first["ready"]
            return
        await self.process.ended(5.0)
        if "failed" in first:
            raise BuildError(f"{self._project.name} cannot be loaded:\n{first['failed']}")
        words = "\n".join(self._words) or f"its process ended with status {self.process.status}"
        raise WorkerError(f"{self._project.name}: {words}")

    def _sees(self) -> list[Path]:
        """What it sees of the files beside the system's own."""
        seen = [Path(sys.base_prefix), RUNTIME, self._project.root, self._faces.bindings.parent]
        if self._faces.api is not None:
            seen.append(self._faces.api.parent)
        return list(dict.fromkeys([*seen, *self._packages]))

    def _plan(self) -> dict[str, Any]:
        project, limits, options = self._project, self._limits, self._options
        if project.main is None:
            raise BuildError(f"{project.name} has no main module")
        return {
            "name": project.name, "main": str(project.main), "root": str(project.root),
            "packages": [str(each) for each in self._packages],
            "socket": str(self._faces.bindings),
            "api": None if self._faces.api is None else str(self._faces.api),
            "vars": {**project.vars, **project.secrets},
            "bindings": [
                {"kind": type(each).__name__, **msgspec.to_builtins(each)}
                for each in project.bindings
            ],
            "cpu": limits.cpu * FIRST, "memory": int(limits.memory * FIRST),
            "wall": options.timeout or EVENT, "event": EVENT,
            "cf": options.cf, "timeout": options.timeout, "verbose": options.verbose,
            "reserved": pattern(options.reserved, test_scheduled=options.test_scheduled),
            "test_scheduled": options.test_scheduled,
            "handover": None if self._handover is None else self._handover.descriptors(),
            "assets": project.assets is not None,
            "public": self._listener.family != socket.AF_UNIX,
        }  # fmt: skip

    def _said(self, line: bytes, level: str) -> None:
        """A line that did not come through print or logging: from C code, or a crash."""
        text = line.decode(errors="replace")
        if not self._started:
            self._words.append(text)
        self._told(text, level)

    def _told(self, text: str, level: str = "error", kind: str = "log") -> None:
        self._on_log(
            LogEvent(
                timestamp=clock.time(),
                worker=self._project.name,
                level=level,
                message=[text],
                kind=kind,
            )
        )

    def _ended(self, status: int) -> None:
        if self._started:
            self._on_end(status)

    async def stop(self, grace: float) -> None:
        """It takes no more requests, answers those it has, then ends; SIGKILL after `grace`."""
        process = self._process
        if process is None:
            return
        if process.status is None:
            if self._line is not None:
                follows = self._handover is not None and self._handover.newest is not self
                self._line.send(stop=grace, hand_over=follows)
            if not await process.ended(grace + 0.5):
                process.kill()
        await process.ended(5.0)
        await self._close()

    async def _close(self) -> None:
        if self._line is not None:
            await self._line.close()
        if self._logs is not None:
            self._logs.close()

    async def ping(self) -> None:
        """Does its event loop turn? Raises WorkerError."""
        await self._ask(EVENT, ping=True)

    async def scheduled(self, cron: str, time: float) -> ScheduledResult:
        made = await self._ask(EVENT + 5, scheduled={"cron": cron, "time": time})
        return msgspec.convert(made, ScheduledResult)

    async def queue(self, batch: QueueBatch) -> QueueResult:
        sent = msgspec.to_builtins(batch)
        for message, given in zip(sent["messages"], batch.messages, strict=True):
            message["body"] = base64.b64encode(given.body).decode()
        made = await self._ask(EVENT + 5, queue=sent)
        return msgspec.convert(made, QueueResult)

    async def _ask(self, timeout: float, **message: Any) -> dict[str, Any]:
        if self._line is None:
            raise WorkerError(f"{self._project.name} has not been started")
        return await self._line.ask(timeout, **message)
