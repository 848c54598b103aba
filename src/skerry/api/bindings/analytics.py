"""Analytics Engine as workerd speaks to it: POST / of one data point, or of an array of them.

Measured on workerd 1.20261117.1: `index1` and `blobN` are arrays of bytes, blobs that are null are
left out; all 20 doubles are there; `timestamp` is a text of nanoseconds. `dataset` is the name of
workerd's service, not the binding's dataset: it is passed over.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec
from aiohttp import web

from skerry.api.bindings.base import BindingFace
from skerry.api.bindings.kv import phrase
from skerry.api.reading import read_body
from skerry.errors import StorageError
from skerry.storage.analytics.base import (
    BLOBS,
    DOUBLES,
    AnalyticsDataset,
    AnalyticsError,
    DataPoint,
)

_BODY = 8 << 20
"""Bytes of a body; a byte takes up to four characters."""

_POINT = msgspec.defstruct(
    "Point",
    [
        ("timestamp", str | int | None, None),
        ("index1", list[int], msgspec.field(default_factory=list)),
        *((f"blob{number}", list[int] | None, None) for number in range(1, BLOBS + 1)),
        *((f"double{number}", float, 0.0) for number in range(1, DOUBLES + 1)),
    ],
)


class AnalyticsFace(BindingFace):
    """`analyticsEngine` of workerd, and the same for the Python host."""

    def __init__(self, dataset: AnalyticsDataset, clock: Callable[[], int] = time.time_ns) -> None:
        """clock: Unix nanoseconds, for points that bring no time."""
        self._dataset = dataset
        self._clock = clock

    async def handle(self, request: web.Request) -> web.StreamResponse:
        def check(size: int) -> None:
            raise AnalyticsError(f"a body of {size} bytes is too large", status=413)

        try:
            if request.method != "POST":
                raise AnalyticsError("POST a data point", status=405)
            await self._dataset.write(self._points(await read_body(request, _BODY, check)))
        except StorageError as error:
            return web.Response(
                status=error.status, reason=phrase(error.message), text=error.message
            )
        return web.Response(body=b"{}", content_type="application/json")

    def _points(self, data: bytes) -> list[DataPoint]:
        kind: Any = list[_POINT] if data.lstrip()[:1] == b"[" else _POINT  # type: ignore[valid-type]
        try:
            found = msgspec.json.decode(data, type=kind)
            return [self._point(each) for each in (found if isinstance(found, list) else [found])]
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            raise AnalyticsError(f"the data point does not fit: {error}") from error

    def _point(self, point: Any) -> DataPoint:
        blobs = [getattr(point, f"blob{number}") for number in range(1, BLOBS + 1)]
        while blobs and blobs[-1] is None:
            blobs.pop()
        return DataPoint(
            timestamp_ns=self._clock() if point.timestamp is None else int(point.timestamp),
            index=bytes(point.index1),
            blobs=[None if blob is None else bytes(blob) for blob in blobs],
            doubles=[getattr(point, f"double{number}") for number in range(1, DOUBLES + 1)],
        )
