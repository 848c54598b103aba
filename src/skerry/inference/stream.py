"""The pieces of a streamed answer, as its caller reads them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Self

from skerry.errors import Aborted, AiError, InternalError, RunnerDied
from skerry.inference.channel import Channel, Pending
from skerry.types import AnswerStream


class Pieces:
    """An async iterator over a pending request's pieces; closing it cancels the run.

    Not a generator: `aclose` of a generator that was never begun would not reach the runner.
    """

    def __init__(
        self,
        pending: Pending,
        channel: Channel,
        timer: asyncio.TimerHandle,
        why: Callable[[RunnerDied], Awaitable[str]],
    ) -> None:
        self._pending = pending
        self._channel = channel
        self._timer = timer
        self._why = why
        self._loop = asyncio.get_running_loop()
        self._over = False
        self.answer: Callable[[], AnswerStream | None] = lambda: None
        """A weak reference to what gets usage and timing at the end: with a strong one a stream
        that is dropped unread would run on until the collector comes by."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> dict[str, Any]:
        pending = self._pending
        if self._over:
            raise StopAsyncIteration
        try:
            await pending.news()
        except BaseException:
            self._close()
            raise
        if pending.pieces:
            return pending.pieces.popleft()
        self._close()
        if pending.error is not None:
            raise await self._failure(pending.error)
        done = pending.done
        assert done is not None
        answer = self.answer()
        if answer is not None:
            done.timing.load = answer.timing.load
            answer.usage = done.usage
            answer.timing = done.timing
        if isinstance(done.value, dict):
            return done.value
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Stop the run, if it still goes on."""
        self._close()

    def __del__(self) -> None:
        if not self._over and not self._loop.is_closed():
            # Perhaps in another thread, by the collector.
            self._loop.call_soon_threadsafe(self._channel.cancel, self._pending)

    def _close(self) -> None:
        if self._over:
            return
        self._over = True
        self._timer.cancel()
        self._channel.cancel(self._pending)
        self._pending.fail(Aborted("The stream was closed"))

    async def _failure(self, error: Exception) -> AiError:
        if isinstance(error, AiError):
            return error
        assert isinstance(error, RunnerDied)
        failure = InternalError(f"The answer breaks off: {await self._why(error)}. Ask again")
        failure.__cause__ = error
        return failure
