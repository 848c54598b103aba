"""What a data point is. Limits: Cloudflare, "Workers Analytics Engine: Limits"."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import msgspec

from skerry.errors import StorageError

BLOBS = DOUBLES = 20
MAX_BLOBS = 16_384
"""Bytes of all blobs of a point."""
MAX_INDEX = 96
"""Bytes of the index."""
MAX_POINTS = 250
"""Points of one write."""


class AnalyticsError(StorageError):
    """A data point that is over a limit; nothing of its write was kept."""


class DataPoint(msgspec.Struct, kw_only=True, frozen=True):
    """One call of writeDataPoint."""

    timestamp_ns: int
    """Unix nanoseconds."""
    index: bytes = b""
    blobs: Sequence[bytes | None] = ()
    doubles: Sequence[float] = ()


class AnalyticsDataset(ABC):
    """One dataset of an account; it is made by its first point."""

    name: str

    @abstractmethod
    async def write(self, points: Sequence[DataPoint]) -> None:
        """Append points, all or none; once this returns they survive any crash.

        Raises AnalyticsError.
        """

    @abstractmethod
    async def points(self, limit: int = 1000) -> list[DataPoint]:
        """The newest points, the newest first."""

    @abstractmethod
    async def count(self) -> int:
        """How many points there are."""


def check_points(points: Sequence[DataPoint]) -> None:
    """Raises AnalyticsError, which names what is over its limit."""
    if len(points) > MAX_POINTS:
        raise AnalyticsError(f"{len(points)} data points; at most {MAX_POINTS} at once")
    for each in points:
        if len(each.index) > MAX_INDEX:
            raise AnalyticsError(
                f"the size of the index is {len(each.index)} bytes; at most {MAX_INDEX}"
            )
        if len(each.blobs) > BLOBS:
            raise AnalyticsError(f"{len(each.blobs)} blobs; at most {BLOBS}")
        if len(each.doubles) > DOUBLES:
            raise AnalyticsError(f"{len(each.doubles)} doubles; at most {DOUBLES}")
        size = sum(len(blob or b"") for blob in each.blobs)
        if size > MAX_BLOBS:
            raise AnalyticsError(f"the size of all blobs is {size} bytes; at most {MAX_BLOBS}")
        if not 0 <= each.timestamp_ns < 1 << 63:
            raise AnalyticsError(f"{each.timestamp_ns} is no time in nanoseconds")
