"""Analytics Engine: points are kept whole, and the wire as it was measured."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from skerry.api.bindings.analytics import AnalyticsFace
from skerry.storage.analytics.base import AnalyticsError, DataPoint
from skerry.storage.open import Stores

from .faces import bound

NOW = 1_795_577_505_411_000_064


@pytest.fixture
async def stores(tmp_path: Path) -> AsyncIterator[Stores]:
    made = Stores(tmp_path)
    yield made
    await made.close()


async def test_points_are_kept_by_dataset_the_newest_first(stores: Stores, tmp_path: Path) -> None:
    dataset = stores.analytics("acc", "d")
    first = DataPoint(timestamp_ns=NOW, index=b"i", blobs=[b"a", None, b"\xff"], doubles=[1.5, 2])
    await dataset.write([first, DataPoint(timestamp_ns=NOW + 1)])
    await stores.analytics("acc", "other").write([DataPoint(timestamp_ns=NOW)])
    await dataset.write([])
    other = Stores(tmp_path)
    try:
        newest, oldest = await other.analytics("acc", "d").points()
    finally:
        await other.close()
    assert (newest.timestamp_ns, newest.index) == (NOW + 1, b"")
    assert (oldest.timestamp_ns, oldest.index) == (NOW, b"i")
    assert list(oldest.blobs) == [b"a", None, b"\xff", *[None] * 17]
    assert list(oldest.doubles) == [1.5, 2, *[0.0] * 18]
    assert await dataset.count() == 2


@pytest.mark.parametrize(
    ("point", "said"),
    [
        (DataPoint(timestamp_ns=NOW, index=b"x" * 97), "97 bytes"),
        (DataPoint(timestamp_ns=NOW, blobs=[b"x"] * 21), "21 blobs"),
        (DataPoint(timestamp_ns=NOW, blobs=[b"x" * 9000] * 2), "18000 bytes"),
        (DataPoint(timestamp_ns=NOW, doubles=[1.0] * 21), "21 doubles"),
        (DataPoint(timestamp_ns=-1), "nanoseconds"),
        (DataPoint(timestamp_ns=1 << 63), "nanoseconds"),
    ],
)
async def test_a_point_over_a_limit_lets_none_in(
    stores: Stores, point: DataPoint, said: str
) -> None:
    dataset = stores.analytics("acc", "d")
    with pytest.raises(AnalyticsError, match=said):
        await dataset.write([DataPoint(timestamp_ns=NOW), point])
    assert await dataset.count() == 0


async def test_250_points_at_once(stores: Stores) -> None:
    dataset = stores.analytics("acc", "d")
    await dataset.write([DataPoint(timestamp_ns=NOW)] * 250)
    with pytest.raises(AnalyticsError, match="at most 250"):
        await dataset.write([DataPoint(timestamp_ns=NOW)] * 251)
    assert await dataset.count() == 250


@pytest.mark.parametrize("name", ["", "../x", "a b", "x" * 129])
async def test_names_that_are_none(stores: Stores, name: str) -> None:
    with pytest.raises(AnalyticsError):
        stores.analytics("acc", name)


async def test_the_wire(stores: Stores, tmp_path: Path) -> None:
    dataset = stores.analytics("acc", "d")
    async with bound({"A": AnalyticsFace(dataset, lambda: NOW)}, tmp_path) as session:
        wire = session("A")
        measured: dict[str, Any] = {
            "accountId": "1",
            "dataset": list(b"b:ae"),
            "schemaVersion": "0",
            "index1": list(b"idx"),
            "timestamp": str(NOW - 5),
            **{f"double{at}": 0 for at in range(1, 21)},
            "double1": 1.5,
            "blob1": list(b"b1"),
            "blob3": [200, 1],
        }
        for body in (measured, [{"index1": []}, {"double2": 7}]):
            async with wire.post("/", json=body) as answer:
                assert answer.status == 200
        for bad in (b"", b"[1]", b'{"index1":[256]}', b'{"timestamp":"x"}', b"[" * 9999,
                    b'{"blob1":"text"}', b'{"index1":[' + b"1," * 99 + b"1]}"):  # fmt: skip
            async with wire.post("/", data=bad) as answer:
                assert answer.status == 400, bad
                assert answer.reason
        async with wire.get("/") as answer:
            assert answer.status == 405
    points = await dataset.points()
    assert [each.timestamp_ns for each in points] == [NOW, NOW, NOW - 5]
    assert points[2].blobs[:4] == (b"b1", None, b"\xc8\x01", None)
    assert (points[2].index, points[2].doubles[0]) == (b"idx", 1.5)
    assert points[0].doubles[1] == 7


async def test_writes_that_come_together_are_all_kept(stores: Stores) -> None:
    dataset = stores.analytics("acc", "d")
    await asyncio.gather(*(dataset.write([DataPoint(timestamp_ns=at)]) for at in range(500)))
    assert await dataset.count() == 500
