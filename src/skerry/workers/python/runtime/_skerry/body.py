"""What requests and responses share: one body, read once, in whatever form is wanted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from _skerry.blobs import Blob, File
from _skerry.forms import FormData, URLSearchParams, parse_form
from _skerry.headers import Headers, JsHeaders
from _skerry.streams import ReadableStream, as_bytes
from _skerry.values import Uint8Array, loads


def body_of(body: Any) -> tuple[bytes | ReadableStream | None, str | None]:
    """What is sent for `body`, and the content type that it brings. Raises TypeError."""
    if body is None:
        return None, None
    if isinstance(body, str):
        return body.encode(), "text/plain;charset=UTF-8"
    if isinstance(body, bytes | bytearray | memoryview):
        return bytes(body), None
    if isinstance(body, Blob):
        return body.content(), body.content_type or None
    if isinstance(body, FormData):
        return body.encode()
    if isinstance(body, URLSearchParams):
        return str(body).encode(), "application/x-www-form-urlencoded;charset=UTF-8"
    if isinstance(body, ReadableStream):
        if body.locked or body.disturbed:
            raise TypeError("This ReadableStream is disturbed (has already been read from).")
        return body, None
    if hasattr(body, "__aiter__") or hasattr(body, "__next__"):
        return ReadableStream(body), None
    try:
        return as_bytes(body), None
    except TypeError:
        raise TypeError(f"Unsupported type in body: {type(body).__name__}") from None


class Body:
    """text(), json(), bytes(), blob(), form_data(); a second reading raises OSError."""

    def __init__(self, body: Any, headers: Headers) -> None:
        self._source, kind = body_of(body)
        self._used = False
        self._headers = headers
        self._stream: ReadableStream | None = None
        if kind is not None and "content-type" not in headers:
            headers.set("content-type", kind)

    @property
    def headers(self) -> Headers:
        return self._headers

    @property
    def body(self) -> ReadableStream | None:
        """The body as a stream; None where there is none."""
        if self._source is None:
            return None
        if self._stream is None:
            source = self._source
            self._stream = source if isinstance(source, ReadableStream) else _once(source)
        return self._stream

    @property
    def body_used(self) -> bool:
        return self._used or (self._stream is not None and self._stream.disturbed)

    @property
    def bodyUsed(self) -> bool:
        return self.body_used

    def take(self) -> bytes | ReadableStream | None:
        """The body to send; it counts as read. Raises OSError where it was read before."""
        if self._source is not None and self.body_used:
            raise OSError("Body already used")
        self._used = self._source is not None
        return self._stream if self._stream is not None else self._source

    async def bytes(self) -> Uint8Array:
        body = self.take()
        if isinstance(body, ReadableStream):
            return Uint8Array(b"".join([as_bytes(chunk) async for chunk in body]))
        return Uint8Array(body or b"")

    buffer = arrayBuffer = array_buffer = bytes

    async def text(self) -> str:
        return (await self.bytes()).decode(errors="replace")

    async def json(self, **_: Any) -> Any:
        """Dicts with attribute access. Raises ValueError for what is no JSON."""
        return loads(await self.bytes())

    async def blob(self) -> Blob:
        return Blob([await self.bytes()], self._headers.get("content-type", ""))

    async def form_data(self) -> FormData:
        return parse_form(await self.bytes(), self._headers.get("content-type", ""))

    formData = form_data

    def _fork(self) -> Any:
        """A body for a clone; this object keeps the other half."""
        if self.body_used:
            raise OSError("Body already used")
        source = self._stream if self._stream is not None else self._source
        if not isinstance(source, ReadableStream):
            return source
        mine, other = source.tee()
        self._source = self._stream = mine
        return other


def _once(data: bytes) -> ReadableStream:
    async def one() -> AsyncIterator[bytes]:
        if data:
            yield data

    return ReadableStream(one())


__all__ = ["Blob", "Body", "File", "JsHeaders", "body_of"]
