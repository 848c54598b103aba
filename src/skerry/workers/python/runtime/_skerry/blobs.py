"""Blob and File: bytes with a content type."""

from __future__ import annotations

import time
from typing import Any

from _skerry.streams import ReadableStream, as_bytes
from _skerry.values import Uint8Array


class Blob:
    """blob_parts: text, bytes, blobs, or an iterable of them."""

    def __init__(
        self, blob_parts: Any = (), content_type: str | None = None, endings: Any = None, **_: Any
    ) -> None:
        single = isinstance(blob_parts, str | bytes | bytearray | memoryview | Blob)
        if single and content_type is None and isinstance(blob_parts, Blob):
            content_type = blob_parts.content_type
        parts = [blob_parts] if single else list(blob_parts)
        self._data = Uint8Array(
            b"".join(part.content() if isinstance(part, Blob) else as_bytes(part) for part in parts)
        )
        self.content_type: str = content_type or ""

    @classmethod
    def new(cls, parts: Any = (), options: Any = None, **kwargs: Any) -> Blob:
        given = {**(options or {}), **kwargs}
        return cls(parts, given.get("type"))

    def content(self) -> bytes:
        return self._data

    @property
    def type(self) -> str:
        return self.content_type

    @property
    def size(self) -> int:
        return len(self._data)

    @property
    def js_object(self) -> Blob:
        return self

    async def text(self) -> str:
        return self._data.decode(errors="replace")

    async def bytes(self) -> Uint8Array:
        return self._data

    async def arrayBuffer(self) -> Uint8Array:
        return self._data

    def stream(self) -> ReadableStream:
        return ReadableStream([self._data])

    def slice(
        self, start: int | None = None, end: int | None = None, content_type: str | None = None
    ) -> Blob:
        return Blob([self._data[start:end]], content_type)


class File(Blob):
    """A blob with a name."""

    def __init__(
        self, blob_parts: Any, filename: str, content_type: str | None = None,
        endings: Any = None, last_modified: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__(blob_parts, content_type, endings)
        if last_modified is None and isinstance(blob_parts, File):
            last_modified = blob_parts.last_modified
        self.name = filename
        self.last_modified: int = (
            int(time.time() * 1000) if last_modified is None else last_modified
        )

    @classmethod
    def new(cls, parts: Any = (), name: Any = "", options: Any = None, **kwargs: Any) -> File:  # type: ignore[override]  # as JavaScript has them
        given = {**(options or {}), **kwargs}
        return cls(parts, str(name), given.get("type"), None, given.get("lastModified"))

    @property
    def lastModified(self) -> int:
        return self.last_modified
