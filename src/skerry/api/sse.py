"""Server-sent events: how a stream is sent, and Cloudflare's dialect of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, Self

from aiohttp import web

from skerry.api.answers import dump, fault
from skerry.api.errors import Form
from skerry.errors import AiError

DONE = b"data: [DONE]\n\n"

GRACE = 10.0
"""Seconds past the request's deadline after which a client that does not read is cut off."""

_PADDING = "abcdefghijklmnopqrstuvwxyz0123456789"
_STEP = 32

Pieces = AsyncIterator[dict[str, Any]]
Events = AsyncIterator[bytes]


async def close(pieces: AsyncIterator[Any]) -> None:
    """Close an async iterator that can be closed: it cancels the run."""
    aclose = getattr(pieces, "aclose", None)
    if aclose is not None:
        await aclose()


class Begun:
    """A stream's pieces, the first of which is already there.

    Not a generator: `aclose` of a generator that was never begun would not reach the run.
    """

    def __init__(self, first: dict[str, Any] | None, rest: Pieces) -> None:
        self._first = first
        self._rest = rest

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> dict[str, Any]:
        first, self._first = self._first, None
        return first if first is not None else await anext(self._rest)

    async def aclose(self) -> None:
        """Cancel the run, if it still goes on."""
        self._first = None
        await close(self._rest)


async def begun(pieces: Pieces) -> Begun:
    """The same pieces with the first one already there.

    A run that fails before its first piece thus still answers with its own HTTP status.
    Raises AiError.
    """
    try:
        return Begun(await anext(pieces, None), pieces)
    except BaseException:
        await close(pieces)
        raise


async def send(
    request: web.Request,
    events: Events,
    sources: Sequence[Pieces],
    headers: dict[str, str],
    form: Form,
    timeout: float,
) -> web.StreamResponse:
    """Send events until they end. An error in the middle becomes an error event, the last one.

    A client that goes away cancels this, and with it the run; one that stops reading is cut off
    GRACE seconds after `timeout`. `sources`, the runs behind the events, are closed at the end.
    """
    headers["Content-Type"] = "text/event-stream"
    headers["Cache-Control"] = "no-cache"
    headers["X-Accel-Buffering"] = "no"  # nginx in front passes the pieces on at once
    response = web.StreamResponse(headers=headers)
    try:
        async with asyncio.timeout(timeout + GRACE):
            await response.prepare(request)
            try:
                async for event in events:
                    await response.write(event)
            except AiError as error:
                await response.write(error_event(error, form))
            except (ConnectionError, TimeoutError):
                raise
            except Exception as error:  # the boundary: a stream never ends silently
                await response.write(error_event(fault(error, "a stream"), form))
            await response.write_eof()
    except ConnectionError:
        pass  # the client has gone: nobody is left to be told
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()
    finally:
        await close(events)
        for source in sources:
            await close(source)
    return response


def error_event(error: AiError, form: Form) -> bytes:
    """The last event of a stream that failed."""
    return b"event: error\ndata: " + form(error) + b"\n\n"


def data(value: Any) -> bytes:
    """One event of JSON."""
    return b"data: " + dump(value) + b"\n\n"


def padded(piece: dict[str, Any]) -> bytes:
    """A piece in Cloudflare's dialect: `p` fills the event up to a step, so that its length on
    the wire does not tell the token's."""
    body = dump(piece)
    fill = _PADDING[: -(len(body) + 8) % _STEP]
    return b"data: " + body[:-1] + b',"p":"' + fill.encode() + b'"}\n\n'


async def cloudflare_events(pieces: Pieces) -> Events:
    """`data: {"response":"tok","p":"…"}` …, the piece with the usage, `data: [DONE]`."""
    told = False
    async for piece in pieces:
        if "usage" in piece:
            yield data(piece | {"response": ""} if told else piece)
        else:
            told = True
            yield padded(piece)
    yield DONE
