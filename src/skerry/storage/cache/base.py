"""What the Cache API is, whatever keeps the responses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager

import msgspec

from skerry.errors import StorageError

OBJECT_BYTES = 512 << 20
"""Bytes of one response's body."""
URL_BYTES = 16 << 10
HEAD_BYTES = 128 << 10
"""Bytes of one response's status line and headers."""
DEFAULT_BYTES = 1 << 30
"""Bytes of all responses of an account; the least recently used go first."""

Headers = list[tuple[str, str]]
"""In their order, names as they were written."""

RequestHeaders = Mapping[str, str]
"""A request's headers; names are found in any case."""


class Uncacheable(StorageError):
    """A response that is not kept: its headers say so, or it is too large."""

    def __init__(self, why: str) -> None:
        super().__init__(why, status=413)


class Head(msgspec.Struct, frozen=True):
    """A response, but its body."""

    status: int
    reason: str
    headers: Headers

    def get(self, name: str) -> str | None:
        """The value of a header, several joined with commas; None where there is none."""
        values = [value for each, value in self.headers if each.lower() == name]
        return ", ".join(values) if values else None

    def without(self, *names: str) -> Headers:
        """The headers but those of these names, which are in lower case."""
        return [each for each in self.headers if each[0].lower() not in names]


class Hit(msgspec.Struct, frozen=True):
    """The answer of a match: head and body as they are to be sent; 200, 206, 304 or 416 too."""

    head: Head
    length: int
    pieces: AsyncIterator[bytes]


class Cache(ABC):
    """One cache: `caches.default`, or one that was opened by name."""

    @abstractmethod
    async def put(
        self, url: str, request: RequestHeaders, head: Head, body: bytes | AsyncIterable[bytes]
    ) -> None:
        """Keep the response to a GET of this URL.

        Raises Uncacheable, and StorageError where the disk fails.
        """

    @abstractmethod
    def match(self, url: str, request: RequestHeaders) -> AbstractAsyncContextManager[Hit | None]:
        """The response that fits the request, with its conditions and its range heeded."""

    @abstractmethod
    async def delete(self, url: str) -> bool:
        """Drop the responses to this URL; whether there was one that was still fresh."""


class Caches(ABC):
    """The caches of one worker."""

    @abstractmethod
    def open(self, name: str = "") -> Cache:
        """A cache by its name; "" is `caches.default`."""
