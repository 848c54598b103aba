"""Call something once when a reply has ended, be it whole or a stream."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, Self

from skerry.errors import Aborted, AiError
from skerry.types import Answer, AnswerStream

Ended = Callable[[Answer | AnswerStream, AiError | None], None]


def when_ended(reply: Answer | AnswerStream, call: Ended) -> Answer | AnswerStream:
    """`reply`, with `call(reply, error)` once it is whole, exhausted, failed or closed."""
    if isinstance(reply, Answer):
        call(reply, None)
        return reply
    reply.pieces = _Watched(reply, reply.pieces, call)
    return reply


class _Watched:
    """A stream's pieces. Not a generator: closing one that was never begun would do nothing."""

    def __init__(
        self, stream: AnswerStream, pieces: AsyncIterator[dict[str, Any]], call: Ended
    ) -> None:
        self._stream = stream
        self._pieces = pieces
        self._call: Ended | None = call

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> dict[str, Any]:
        try:
            return await anext(self._pieces)
        except StopAsyncIteration:
            self._end(None)
            raise
        except AiError as error:
            self._end(error)
            raise
        except BaseException:
            self._end(_left())
            raise

    async def aclose(self) -> None:
        """Cancel the run, if it still goes on."""
        try:
            close = getattr(self._pieces, "aclose", None)
            if close is not None:
                await close()
        finally:
            self._end(_left())

    def _end(self, error: AiError | None) -> None:
        call, self._call = self._call, None
        if call is not None:
            call(self._stream, error)


def _left() -> Aborted:
    return Aborted("The caller went away before the answer was whole")
