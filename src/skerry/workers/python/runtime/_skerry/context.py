"""The request that is being answered: its context, and the work that outlives its answer."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

CURRENT: ContextVar[Context | None] = ContextVar("skerry_request", default=None)


class Context:
    """`ctx` of one event: `waitUntil(work)`, `passThroughOnException()`.

    failed: told of an exception in such work.
    """

    def __init__(self, request_id: str, failed: Callable[[BaseException], None]) -> None:
        self.id = request_id
        self.props: dict[str, Any] = {}
        self.logged = 0
        self._failed = failed
        self._work: set[asyncio.Future[Any]] = set()

    def waitUntil(self, work: Any) -> None:
        """Let this awaitable finish after the answer was sent. Its failure is logged."""
        if not inspect.isawaitable(work):
            return
        task = asyncio.ensure_future(work)
        self._work.add(task)
        task.add_done_callback(self._settle)

    wait_until = waitUntil

    def passThroughOnException(self) -> None:
        """There is no origin behind a worker of this node: an exception stays one."""

    def _settle(self, task: asyncio.Future[Any]) -> None:
        self._work.discard(task)
        if not task.cancelled():
            error = task.exception()
            if error is not None:
                self._failed(error)

    async def settled(self) -> None:
        """Returns when all such work has ended."""
        while self._work:
            await asyncio.wait(list(self._work))

    def cancel(self) -> None:
        for task in list(self._work):
            task.cancel()


def current() -> Context:
    """The context of the running event. Raises RuntimeError outside of one."""
    context = CURRENT.get()
    if context is None:
        raise RuntimeError("there is no request here: do this in a handler, not at import")
    return context


def wait_until(work: Any) -> None:
    """`ctx.waitUntil` of the running event."""
    current().waitUntil(work)
