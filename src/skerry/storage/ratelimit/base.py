"""What a rate limit is."""

from __future__ import annotations

from abc import ABC, abstractmethod

from skerry.errors import StorageError

MAX_KEY = 2048
"""Bytes of a key."""
MAX_PERIOD = 3600
"""Seconds of the longest period; Cloudflare knows 10 and 60."""
MAX_LIMIT = 1_000_000_000


class RateLimitError(StorageError):
    """A rate limit was asked something that it cannot answer."""


class RateLimits(ABC):
    """Counters by namespace and key. They are not kept: a new process begins at nothing."""

    @abstractmethod
    async def limit(
        self, namespace: str, key: str, *, limit: int, period: float, delta: int = 1
    ) -> bool:
        """May this call go on? If so it counts `delta` from now on, for `period` seconds.

        A call may go on while the counter is below `limit`, even if `delta` takes it past; one
        that may not go on does not count. Raises RateLimitError.
        """


def check(key: str, limit: int, period: float, delta: int) -> None:
    """Raises RateLimitError for what is out of its bounds."""
    if len(key.encode("utf-8", "replace")) > MAX_KEY:
        raise RateLimitError(f"key: longer than {MAX_KEY} bytes")
    if not 1 <= limit <= MAX_LIMIT:
        raise RateLimitError(f"limit: {limit} is not from 1 to {MAX_LIMIT}")
    if not 0 < period <= MAX_PERIOD:
        raise RateLimitError(f"period: {period:g} is not from 1 to {MAX_PERIOD} seconds")
    if not 1 <= delta <= MAX_LIMIT:
        raise RateLimitError(f"delta: {delta} is not a positive whole number")
