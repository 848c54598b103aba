"""A lock between processes that ends with its holder."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

POLL = 0.1
"""Seconds between two tries."""


def _try(path: Path, mode: int) -> int | None:
    """The locked file's descriptor, or None where somebody else holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(handle, mode | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    except BaseException:
        os.close(handle)
        raise
    return handle


@asynccontextmanager
async def locked(
    path: Path, *, shared: bool = False, waiting: Callable[[], None] | None = None
) -> AsyncIterator[None]:
    """Hold the lock file. flock ends with the process, so that a holder killed with -9 frees it.

    `waiting` is called at each try that fails.
    """
    mode = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    while (handle := _try(path, mode)) is None:
        if waiting is not None:
            waiting()
        await asyncio.sleep(POLL)
    try:
        yield
    finally:
        os.close(handle)


@asynccontextmanager
async def locked_now(path: Path) -> AsyncIterator[bool]:
    """The same, exclusive, but without waiting: yields whether it could be had."""
    handle = _try(path, fcntl.LOCK_EX)
    try:
        yield handle is not None
    finally:
        if handle is not None:
            os.close(handle)
