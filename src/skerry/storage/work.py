"""One piece of work for a thread, and how whoever waits for it learns how it went."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from typing import Any

import apsw


class Work:
    """A task for a thread of a database; its outcome is set there, told by `settle`."""

    __slots__ = ("error", "future", "loop", "result", "task")

    def __init__(
        self,
        task: Callable[[apsw.Connection], Any],
        loop: asyncio.AbstractEventLoop,
        future: asyncio.Future[Any],
    ) -> None:
        self.task = task
        self.loop = loop
        self.future = future
        self.result: Any = None
        self.error: Exception | None = None

    def fail(self, error: Exception) -> None:
        """Set the outcome: an exception. The first one stays."""
        if self.error is None:
            self.error = error


def settle(batch: list[Work]) -> None:
    """Tell all who wait, with one wake-up of each event loop; call from any thread."""
    for loop in {each.loop for each in batch}:
        mine = [each for each in batch if each.loop is loop]
        # A loop that was closed has nobody left who waits.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(_tell, mine)


def _tell(batch: Iterable[Work]) -> None:
    for each in batch:
        if each.future.done():  # its caller was cancelled
            continue
        if each.error is not None:
            each.future.set_exception(each.error)
        else:
            each.future.set_result(each.result)
