"""Sees that a worker's process keeps its bounds: computing without a pause, and memory."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Literal

import msgspec

from skerry.errors import WorkerError

EVERY = 0.05
"""Seconds between two looks."""
BUSY = 0.25
"""Seconds of CPU time, not of a clock, after which it is asked whether it still hears us: on a
machine with much to do a loop gets little of it."""

RUNTIME = 256 << 20
"""Bytes that a process may grow by on top of its limit. A worker that answers "Hello" some 15,000
times a second makes bare workerd grow by 250 MB and no more: garbage that it takes its time to
collect, and memory that its allocator keeps."""

Reason = Literal["cpu", "memory"]


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker's process may take."""

    cpu: float = 5.0
    """Seconds of computing without a pause."""
    memory: int = 128 << 20
    """Bytes that the worker's own data may take; RUNTIME comes on top."""


class Usage(msgspec.Struct, frozen=True):
    """What a process has used. cpu: seconds. memory: bytes that are its own, not its program's."""

    cpu: float
    memory: int


def usage(pid: int) -> Usage | None:
    """What a process has used so far; None where it has ended or nobody tells."""
    folder = Path(f"/proc/{pid}")
    try:
        stat = (folder / "stat").read_bytes()
        resident, shared = (folder / "statm").read_bytes().split()[1:3]
    except OSError:
        return None
    fields = stat[stat.rindex(b")") + 2 :].split()
    ticks = int(fields[11]) + int(fields[12])
    pages = int(resident) - int(shared)
    return Usage(ticks / os.sysconf("SC_CLK_TCK"), pages * os.sysconf("SC_PAGE_SIZE"))


class Watchdog:
    """Looks at one process until it breaks a bound or ends."""

    def __init__(self, pid: int, limits: Limits, ping: Callable[[], Awaitable[None]]) -> None:
        """ping: returns once the process's event loop has turned."""
        self._pid = pid
        self._limits = limits
        self._ping = ping

    async def watch(self) -> Reason | None:
        """The bound that was broken; None where the process has ended."""
        first = usage(self._pid)
        asked: asyncio.Task[None] | None = None
        heard = 0.0 if first is None else first.cpu
        try:
            while first is not None:
                await asyncio.sleep(EVERY)
                now = usage(self._pid)
                if now is None:
                    return None
                if now.memory - first.memory > self._limits.memory + RUNTIME:
                    return "memory"
                if asked is not None and asked.done():
                    asked, heard = None, now.cpu
                if asked is None and now.cpu - heard >= BUSY:
                    asked = asyncio.create_task(self._heard())
                if asked is not None and now.cpu - heard >= self._limits.cpu:
                    return "cpu"
        finally:
            if asked is not None:
                asked.cancel()
        return None

    async def _heard(self) -> None:
        try:
            await self._ping()
        except WorkerError:
            return  # it ended meanwhile, which the next look sees
