"""Call something once when a reply has ended, be it whole or a stream."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

from skerry.errors import Aborted, AiError
from skerry.types import Answer, AnswerStream

Ended = Callable[[Answer | AnswerStream, AiError | None], None]


def when_ended(reply: Answer | AnswerStream, call: Ended) -> Answer | AnswerStream:
    """`reply`, with `call(reply, error)` once it is whole, exhausted, failed or closed."""
    if isinstance(reply, Answer):
        call(reply, None)
        return reply
    reply.pieces = _watch(reply, reply.pieces, call)
    return reply


async def _watch(
    stream: AnswerStream, pieces: AsyncIterator[dict[str, Any]], call: Ended
) -> AsyncIterator[dict[str, Any]]:
    failure: AiError | None = Aborted("The caller went away before the answer was whole")
    try:
        async for piece in pieces:
            yield piece
        failure = None
    except AiError as error:
        failure = error
        raise
    finally:
        close = getattr(pieces, "aclose", None)
        if close is not None:
            await close()
        call(stream, failure)
