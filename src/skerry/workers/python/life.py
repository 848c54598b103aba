"""Watches a worker from outside, for what its own watchdog cannot see.

The watchdog inside is a thread; C code that keeps the interpreter's lock stops it with the rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from skerry.errors import WorkerError
from skerry.workers.process import WorkerProcess
from skerry.workers.python.limits import Limits
from skerry.workers.python.line import ControlLine

EVERY = 0.5
"""Seconds between two questions."""
SLACK = 1.0
"""Seconds that the watchdog inside has to act first."""


async def watch_life(
    process: WorkerProcess, line: ControlLine, limits: Limits, tell: Callable[..., None]
) -> None:
    """Returns when the process has ended, or was killed for not answering or for its size."""
    while process.status is None:
        await asyncio.sleep(EVERY)
        asked = asyncio.create_task(line.ask(limits.wall + limits.cpu + 60, ping=True))
        try:
            why = await _answered(asked, process, limits)
        except WorkerError:
            return
        finally:
            asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)
        if why:
            kind, words = why
            tell(f"Worker {words}.", "error", kind)
            process.kill()
            return


async def _answered(
    asked: asyncio.Task[dict[str, object]], process: WorkerProcess, limits: Limits
) -> tuple[str, str] | None:
    """Why it must be killed; None when it has answered. Raises WorkerError when it has ended."""
    loop = asyncio.get_running_loop()
    since, spent = loop.time(), cpu_seconds(process.pid)
    while True:
        done, _ = await asyncio.wait((asked,), timeout=EVERY)
        resident = resident_bytes(process.pid)
        if resident > limits.memory + limits.memory // 4:
            words = f"exceeded its memory limit: {resident >> 20} MiB of {limits.memory >> 20} MiB"
            return "exceededMemory", words
        if done:
            await asked
            return None
        if cpu_seconds(process.pid) - spent > limits.cpu + SLACK:
            return "exceededCpu", f"exceeded its CPU time limit of {limits.cpu:g} s"
        if loop.time() - since > limits.wall + SLACK:
            return "exceededWallTime", f"blocked its event loop for {limits.wall:g} s"


def cpu_seconds(pid: int) -> float:
    """CPU time of a process; 0 where it is gone."""
    import psutil

    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system)


def resident_bytes(pid: int) -> int:
    """Resident memory of a process; 0 where it is gone."""
    import psutil

    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0
