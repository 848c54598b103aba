"""A worker's process: started shut in and bounded, its words read, its end known."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from skerry.errors import WorkerError
from skerry.workers.sandbox import Sandbox

LAUNCHER = Path(__file__).with_name("launcher.py")
LINE = 256 << 10
"""Bytes of a line that are kept; the rest of it is cut."""
KEPT_ENVIRONMENT = ("LANG", "LC_ALL", "TZ")
"""What a worker's process gets of the node's environment, and nothing else."""

Line = Callable[[bytes], None]


class _Info(msgspec.Struct):
    child: int = msgspec.field(name="child-pid")


class WorkerProcess:
    """Belongs to the loop that started it. `pid` is the worker's own, not its wrapper's."""

    def __init__(
        self, child: asyncio.subprocess.Process, lifeline: int, on_end: Callable[[int], None]
    ) -> None:
        """lifeline: closing it, as the end of this process does, kills all that it has started."""
        self._child = child
        self._lifeline = lifeline
        self._on_end = on_end
        self._watch: asyncio.Task[None] | None = None
        self._pidfd = -1
        self.pid = child.pid

    @classmethod
    async def start(
        cls,
        command: Sequence[str],
        *,
        cwd: Path,
        sandbox: Sandbox,
        read: Sequence[Path],
        write: Sequence[Path] = (),
        fds: Sequence[int] = (),
        environ: Mapping[str, str] | None = None,
        out: Line,
        err: Line,
        on_end: Callable[[int], None],
    ) -> WorkerProcess:
        """Start. read, write: what it sees of the files (sandboxed). fds: inherited descriptors.

        out, err: called with each line, without its end. on_end: called once, with the exit
        status (minus the signal), when all was read. Raises WorkerError.
        """
        theirs, ours = -1, -1
        if sandbox.bwrap is not None:
            ours, theirs = os.pipe()
        inside = sandbox.command(
            command,
            cwd=cwd,
            read=read,
            write=write,
            info=theirs if sandbox.bwrap is not None else None,
        )
        lifeline, end = os.pipe()  # see launcher.py
        kept = {name: os.environ[name] for name in KEPT_ENVIRONMENT if name in os.environ}
        try:
            child = await asyncio.create_subprocess_exec(
                sys.executable,
                "-I",
                "-S",
                str(LAUNCHER),
                str(os.getpid()),
                str(lifeline),
                *inside,
                cwd=cwd,
                env=kept | dict(environ or {}),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                pass_fds=[*fds, lifeline, *([theirs] if theirs >= 0 else [])],
                start_new_session=True,
                limit=LINE,
            )
        except BaseException as error:
            os.close(end)
            if ours >= 0:
                os.close(ours)
            if not isinstance(error, OSError):
                raise
            raise WorkerError(f"{command[0]} cannot be started: {error}") from error
        finally:
            os.close(lifeline)
            if theirs >= 0:
                os.close(theirs)
        process = cls(child, end, on_end)
        process._watch = asyncio.create_task(process._read(out, err))
        if ours >= 0:
            await process._inner(ours)
        process._hold()
        return process

    async def _inner(self, handle: int) -> None:
        """Learn the id of the process inside the sandbox."""
        with os.fdopen(handle, "rb") as pipe:
            data = await asyncio.to_thread(pipe.read)
        try:
            self.pid = msgspec.json.decode(data, type=_Info).child
        except msgspec.DecodeError:
            self.kill()  # it ended before it said so; the watch tells the status

    async def _read(self, out: Line, err: Line) -> None:
        child = self._child
        assert child.stdout is not None
        assert child.stderr is not None
        async with asyncio.TaskGroup() as group:
            group.create_task(_lines(child.stdout, out))
            group.create_task(_lines(child.stderr, err))
        status = await child.wait()
        os.close(self._lifeline)
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1
        self._on_end(status)

    def _hold(self) -> None:
        """Hold the process itself: its number may be given to another once it has ended."""
        if self._child.returncode is None and hasattr(os, "pidfd_open"):
            try:
                self._pidfd = os.pidfd_open(self.pid)
            except ProcessLookupError:
                return

    @property
    def status(self) -> int | None:
        """The exit status; None while it runs."""
        return self._child.returncode

    @property
    def pidfd(self) -> int:
        """A descriptor of the process itself; -1 where there is none (any more)."""
        return self._pidfd

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the worker itself; nothing where it has ended."""
        if self._child.returncode is not None:
            return
        try:
            if self._pidfd >= 0:
                signal.pidfd_send_signal(self._pidfd, number)
            else:
                os.kill(self.pid, number)
        except ProcessLookupError:
            return

    def kill(self) -> None:
        """End it at once, and its wrapper."""
        self.signal(signal.SIGKILL)
        if self._child.returncode is None:
            try:
                self._child.kill()
            except ProcessLookupError:
                return

    async def ended(self, timeout: float) -> bool:
        """Wait until it has ended and all its words were read."""
        assert self._watch is not None
        done, _ = await asyncio.wait([self._watch], timeout=timeout)
        return bool(done)


async def _lines(stream: asyncio.StreamReader, tell: Line) -> None:
    """Each line to `tell`; of one that is too long, its beginning."""
    cut = False
    while True:
        try:
            line = (await stream.readuntil(b"\n"))[:-1]
        except asyncio.IncompleteReadError as error:
            if error.partial and not cut:
                tell(error.partial)
            return
        except asyncio.LimitOverrunError as error:
            part = await stream.readexactly(error.consumed)
            if not cut:
                tell(part)
            cut = True
            continue
        if not cut:
            tell(line)
        cut = False
