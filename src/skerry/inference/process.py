"""Starting a runner process, knowing when it ends, and keeping its last words."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

KEEP = (
    "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "PYTHONPATH", "TMPDIR", "TZ",
    "VIRTUAL_ENV", "XDG_CACHE_HOME", "XDG_DATA_HOME",
)  # fmt: skip
"""Variables that a runner gets. Tokens and proxies of the node's environment are none of its."""
KEEP_PREFIXES = ("SKERRY_", "OMP_", "KMP_", "OPENBLAS_", "MKL_", "OV_", "GGML_", "CT2_", "HF_HUB_")
TAIL = 40
"""Lines of a runner's stderr that are kept."""


def environment(environ: Mapping[str, str], also: Collection[str] = ()) -> dict[str, str]:
    """What of `environ` a runner gets; `also`: names that its model needs, an API key's say."""
    kept = {
        name: value
        for name, value in environ.items()
        if name in KEEP or name.startswith(KEEP_PREFIXES)
    }
    kept.pop("SKERRY_TOKEN", None)
    kept |= {name: environ[name] for name in also if name in environ}
    return kept | {"PYTHONUNBUFFERED": "1", "TOKENIZERS_PARALLELISM": "false"}


def how_it_ended(status: int) -> str:
    """An exit status in words."""
    if status >= 0:
        return f"exit status {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    return f"killed by {name}" + (", perhaps for lack of memory" if name == "SIGKILL" else "")


def why_it_ended(fault: str, status: int, words: str) -> str:
    """The fault that was seen (a closed socket tells nothing), the exit status, the last words."""
    ended = how_it_ended(status)
    said = f"{fault} ({ended})" if fault and not fault.startswith("its socket") else ended
    return f"{said}: {words}" if words else said


def settled(future: asyncio.Future[T]) -> Callable[[T], None]:
    """Sets the result of a future that may have been cancelled with its waiter."""

    def settle(value: T) -> None:
        if not future.done():
            future.set_result(value)

    return settle


class _Tail(asyncio.Protocol):
    """Keeps the last lines that a runner wrote to stderr."""

    def __init__(self) -> None:
        self.lines: deque[str] = deque(maxlen=TAIL)
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        *lines, rest = (self._rest + data).split(b"\n")
        self._rest = rest[-2000:]
        self.lines.extend(line.decode(errors="replace")[:500] for line in lines if line.strip())


class Process:
    """A child process with one end of a socket pair. Belongs to the loop that started it."""

    def __init__(
        self, child: subprocess.Popen[bytes], sock: socket.socket, tail: _Tail,
        pipe: asyncio.ReadTransport, ended: Callable[[int], None],
    ) -> None:  # fmt: skip
        self._child = child
        self._tail = tail
        self._pipe = pipe
        self._ended = ended
        self._waiting: asyncio.Task[None] | None = None
        self._pidfd = -1
        self.sock = sock
        self.pid = child.pid
        self.status: int | None = None

    @classmethod
    async def start(
        cls,
        command: Sequence[str],
        environ: Mapping[str, str],
        ended: Callable[[int], None],
        also: Collection[str] = (),
    ) -> Process:
        """Start `command` with the descriptor of its socket as last argument.

        `ended` is called once, on the loop, with the exit status (minus the signal). Raises
        OSError. also: variables of `environ` that it gets beside the usual ones.
        """
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with theirs:
                child = subprocess.Popen(  # noqa: ASYNC220 (a vfork: 2 ms)
                    [*command, str(theirs.fileno())],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    pass_fds=(theirs.fileno(),),
                    env=environment(environ, also),
                    start_new_session=True,
                )
        except BaseException:
            ours.close()
            raise
        ours.setblocking(False)
        assert child.stderr is not None
        pipe, tail = await loop.connect_read_pipe(_Tail, child.stderr)
        process = cls(child, ours, tail, pipe, ended)
        process._watch(loop)
        return process

    def last_words(self, lines: int = 3) -> str:
        """The last lines that it wrote to stderr, in one; of a crash, where it was."""
        said = [line.strip() for line in self._tail.lines]
        for at, line in enumerate(said):
            if line.startswith("Fatal Python error"):
                frames = [each for each in said[at + 1 :] if each.startswith("File ")]
                return " | ".join([line, *frames[:2]])[:600]
        return " | ".join(said[-lines:])[-600:]

    def log(self) -> list[str]:
        """All lines that are kept of stderr."""
        return list(self._tail.lines)

    def resident_set(self) -> int | None:
        """Bytes of it in memory; None where it has just ended, or this is no Linux."""
        try:
            fields = Path(f"/proc/{self.pid}/statm").read_bytes().split()
            return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, IndexError, ValueError):
            return None

    def kill(self) -> None:
        """End it at once; does nothing where it has ended."""
        if self.status is None:
            self._child.kill()

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        if hasattr(os, "pidfd_open"):
            self._pidfd = os.pidfd_open(self.pid)
            loop.add_reader(self._pidfd, self._reap)
        else:  # pragma: no cover (not Linux)
            self._waiting = loop.create_task(self._wait())

    async def _wait(self) -> None:
        await asyncio.to_thread(self._child.wait)
        self._reap()

    def _reap(self) -> None:
        if self._pidfd >= 0:
            asyncio.get_running_loop().remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1
        self.status = self._child.wait()
        # One turn of the loop later, so that what the pipe still holds is read first.
        asyncio.get_running_loop().call_soon(self._end)

    def _end(self) -> None:
        self._pipe.close()
        assert self.status is not None
        self._ended(self.status)


def runner_command() -> list[str]:
    """The command of a runner, without the descriptor. -P: the folder it stands in is no module."""
    return [sys.executable, "-P", "-m", "skerry.inference.runner"]
