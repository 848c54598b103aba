"""The bindings of few words: Analytics Engine and rate limits."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from _skerry.client import Client
from _skerry.context import CURRENT
from _skerry.values import Result, dumps, loads, options

BLOBS, DOUBLES = 20, 20


class AnalyticsEngine:
    """writeDataPoint({indexes, blobs, doubles})."""

    def __init__(self, client: Client, name: str) -> None:
        self._client = client
        self._name = name

    def writeDataPoint(self, event: Any = None, **kwargs: Any) -> asyncio.Future[None]:
        """Returns at once; the point is written after the answer, if that comes first. Raises
        TypeError for a point that does not fit."""
        point = _point(options(event, kwargs))
        writing = asyncio.ensure_future(self._write(point))
        context = CURRENT.get()
        if context is not None:
            context.waitUntil(writing)
        return writing

    write_data_point = writeDataPoint

    async def _write(self, point: dict[str, Any]) -> None:
        headers = [("content-type", "application/json")]
        reply = await self._client.request(self._name, "POST", "/", headers, dumps(point).encode())
        await reply.read()
        if reply.status >= 300:
            raise OSError(f"writeDataPoint failed: {reply.status} {reply.reason}")


def _point(given: dict[str, Any]) -> dict[str, Any]:
    indexes, blobs = list(given.get("indexes", [])), list(given.get("blobs", []))
    doubles = [float(number) for number in given.get("doubles", [])]
    if len(indexes) > 1 or len(blobs) > BLOBS or len(doubles) > DOUBLES:
        raise TypeError(f"a data point has at most 1 index, {BLOBS} blobs and {DOUBLES} doubles")
    point: dict[str, Any] = {"timestamp": str(time.time_ns())}
    if indexes and indexes[0] is not None:
        point["index1"] = _bytes(indexes[0])
    for at, blob in enumerate(blobs, 1):
        if blob is not None:
            point[f"blob{at}"] = _bytes(blob)
    for at in range(1, DOUBLES + 1):
        point[f"double{at}"] = doubles[at - 1] if at <= len(doubles) else 0.0
    return point


def _bytes(value: Any) -> list[int]:
    if isinstance(value, str):
        return list(value.encode())
    if isinstance(value, bytes | bytearray | memoryview):
        return list(bytes(value))
    raise TypeError(f"indexes and blobs are text or bytes, not {type(value).__name__}")


class RateLimit:
    """`(await limit({"key": …})).success`."""

    def __init__(self, client: Client, name: str) -> None:
        self._client = client
        self._name = name

    async def limit(self, limit_options: Any = None, **kwargs: Any) -> Result:
        key = options(limit_options, kwargs).get("key")
        if not isinstance(key, str):
            raise TypeError("limit() takes an object with a string `key`")
        headers = [("content-type", "application/json")]
        reply = await self._client.request(
            self._name, "POST", "/limit", headers, dumps({"key": key}).encode(), host="ratelimit"
        )
        data = await reply.read()
        if reply.status >= 300:
            raise OSError(f"Rate limit failed: {data[:500].decode(errors='replace')}")
        found: Result = loads(data)
        return found
