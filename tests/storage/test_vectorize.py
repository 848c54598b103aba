"""Vectorize through its abstract classes, on real files; searches are held against plain sums."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from skerry.errors import StorageError
from skerry.storage.open import Stores
from skerry.storage.vectorize.base import (
    IndexConfig,
    IndexExists,
    IndexNotFound,
    InvalidFilter,
    InvalidIndex,
    InvalidQuery,
    InvalidVector,
    Metric,
    Query,
    TooMany,
    Vector,
    VectorIndex,
    VectorIndexes,
)

from .faces import Now


@pytest.fixture
async def stores(tmp_path: Path) -> AsyncIterator[Stores]:
    made = Stores(tmp_path, clock=Now())
    yield made
    await made.close()


@pytest.fixture
def indexes(stores: Stores) -> VectorIndexes:
    return stores.vectorize("acc")


async def index_of(
    indexes: VectorIndexes, metric: Metric = "cosine", dimensions: int = 2, name: str = "i"
) -> VectorIndex:
    await indexes.create(name, IndexConfig(dimensions=dimensions, metric=metric))
    return await indexes.open(name)


def vector(ident: str, *values: float, **fields: Any) -> Vector:
    return Vector(id=ident, values=list(values), **fields)


def likeness(metric: str, a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> float:
    if metric == "cosine":
        return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
    return float(a @ b) if metric == "dot-product" else -float(np.linalg.norm(a - b))


@pytest.mark.parametrize("metric", ["cosine", "dot-product", "euclidean"])
async def test_the_nearest_are_found_exactly(indexes: VectorIndexes, metric: Metric) -> None:
    index = await index_of(indexes, metric, 24)
    random = np.random.default_rng(7)
    table = random.normal(size=(700, 24)).astype(np.float32)
    names = [f"v{at}" for at in range(700)]
    await index.upsert(
        [vector(name, *row.tolist()) for name, row in zip(names, table, strict=True)]
    )
    gone = names[::7]
    await index.delete_by_ids(gone)
    for _ in range(5):
        query = random.normal(size=24).astype(np.float32)
        scored = sorted(
            (
                (likeness(metric, row.astype(float), query.astype(float)), name)
                for name, row in zip(names, table, strict=True)
                if name not in gone
            ),
            reverse=True,
        )
        got = await index.query(query.tolist(), Query(top_k=50))
        assert [each.id for each in got] == [name for _, name in scored[:50]]
        sign = -1 if metric == "euclidean" else 1
        assert [each.score for each in got] == pytest.approx(
            [sign * score for score, _ in scored[:50]], rel=1e-5
        )


async def test_insert_keeps_and_upsert_replaces(indexes: VectorIndexes) -> None:
    index = await index_of(indexes)
    first = await index.insert([vector("a", 1, 0), vector("a", 0, 1), vector("b", 0, 1)])
    second = await index.insert([vector("a", -1, 0)])
    assert first != second
    assert (await index.get_by_ids(["a"]))[0].values == [1, 0]
    third = await index.upsert([vector("a", -1, 0, namespace="n", metadata={"x": 1})])
    assert await index.get_by_ids(["b", "none", "a"]) == [
        vector("b", 0, 1),
        vector("a", -1, 0, namespace="n", metadata={"x": 1}),
    ]
    state = await index.state()
    assert (state.vector_count, state.dimensions, state.mutation) == (2, 2, third)
    assert [each.id for each in await index.query([-1, 0], Query(top_k=1))] == ["a"]


async def test_what_was_deleted_and_put_again_is_found(indexes: VectorIndexes) -> None:
    index = await index_of(indexes)
    await index.upsert([vector("a", 1, 0), vector("b", 0, 1)])
    await index.query([1, 0], Query())
    await index.delete_by_ids(["a", "b", "none"])
    await index.upsert([vector("a", 0.5, 0.5)])
    assert [(each.id, round(each.score, 3)) for each in await index.query([1, 0], Query())] == [
        ("a", 0.707)
    ]


async def test_query_by_id_namespace_values_and_metadata(indexes: VectorIndexes) -> None:
    index = await index_of(indexes)
    await index.add_metadata_index("kind", "string")
    await index.add_metadata_index("at.year", "number")
    long = "ü" * 40
    await index.upsert(
        [
            vector("a", 1, 0, namespace="n", metadata={"kind": long, "at": {"year": 7}, "z": [1]}),
            vector("b", 0.9, 0.1, namespace="m", metadata={"kind": 5}),
            vector("c", 0.8, 0.2),
        ]
    )
    assert [each.id for each in await index.query("c", Query(top_k=1))] == ["c"]
    assert await index.query("none", Query()) == []
    [got] = await index.query("c", Query(namespace="n", return_values=True))
    assert (got.id, got.values, got.namespace, got.metadata) == ("a", [1, 0], "n", None)
    assert await index.query("c", Query(namespace="none")) == []
    got, other, _ = await index.query([1, 0], Query(return_metadata="indexed"))
    assert got.metadata == {"kind": "ü" * 32, "at": {"year": 7}}
    assert other.metadata == {}
    got = (await index.query([1, 0], Query(return_metadata="all")))[0]
    assert got.metadata == {"kind": long, "at": {"year": 7}, "z": [1]}


ROWS: dict[str, dict[str, Any] | None] = {
    "a": {"s": "x", "n": 1, "b": True, "o": {"p": 1.5}},
    "b": {"s": "y", "n": 2, "b": False},
    "c": {"s": "z", "n": 2.5, "o": {"p": "text"}},
    "d": {"s": 7, "n": "2", "b": 1, "o": 3},
    "e": None,
}


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"s": "x"}, "a"),
        ({"s": {"$eq": "x"}}, "a"),
        ({"s": {"$ne": "x"}}, "bcde"),
        ({"s": {"$in": ["x", "z", 4]}}, "ac"),
        ({"s": {"$nin": ["x", "z"]}}, "bde"),
        ({"s": {"$gte": "y"}}, "bc"),
        ({"s": {"$gt": "x", "$lt": "z"}}, "b"),
        ({"s": None}, "de"),
        ({"s": {"$ne": None}}, "abc"),
        ({"s": "q"}, ""),
        ({"s": True}, ""),
        ({"n": 2}, "b"),
        ({"n": 2.5}, "c"),
        ({"n": {"$lte": 2}}, "ab"),
        ({"n": {"$gt": 1, "$lt": 2.5}}, "b"),
        ({"n": {"$ne": 2}}, "acde"),
        ({"n": {"$in": [1, 2.5, None]}}, "acde"),
        ({"n": "2"}, ""),
        ({"n": {"$lt": 10**400}}, "abc"),
        ({"n": {"$lt": -(10**400)}}, ""),
        ({"b": True}, "a"),
        ({"b": {"$ne": True}}, "bcde"),
        ({"b": 1}, ""),
        ({"b": None}, "cde"),
        ({"o.p": {"$gte": 1}}, "a"),
        ({"s": {"$ne": "x"}, "n": {"$lt": 2.5}, "b": False}, "b"),
    ],
)
async def test_filters(indexes: VectorIndexes, given: dict[str, Any], wanted: str) -> None:
    index = await index_of(indexes)
    for name, kind in (("s", "string"), ("n", "number"), ("b", "boolean"), ("o.p", "number")):
        await index.add_metadata_index(name, kind)  # type: ignore[arg-type]
    await index.upsert([vector(ident, 1, 1, metadata=ROWS[ident]) for ident in ROWS])
    got = await index.query([1, 1], Query(filter=given))
    assert "".join(sorted(each.id for each in got)) == wanted


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "empty"),
        ({"other": 1}, "other has no metadata index"),
        ({"s": {}}, "s: an empty object"),
        ({"s": {"$regex": "x"}}, "$regex"),
        ({"s": {"$in": []}}, "not empty"),
        ({"s": {"$in": "x"}}, "takes a list"),
        ({"s": {"$eq": ["x"]}}, "$eq takes"),
        ({"s": {"$gt": None}}, "$gt compares"),
        ({"b": {"$gt": 1}}, "$gt compares"),
        ({"$s": 1}, "can be no property"),
        ({"a..b": 1}, "can be no property"),
        ({"": 1}, "can be no property"),
        ({"s": "x" * 2048}, "bytes of JSON"),
    ],
)
async def test_filters_that_cannot_be(
    indexes: VectorIndexes, given: dict[str, Any], said: str
) -> None:
    index = await index_of(indexes)
    await index.add_metadata_index("s", "string")
    await index.add_metadata_index("b", "boolean")
    await index.add_metadata_index("n", "number")
    await index.upsert([vector("a", 1, 1)])
    with pytest.raises(InvalidFilter) as caught:
        await index.query([1, 1], Query(filter=given))
    assert said in caught.value.message


async def test_metadata_indexes_come_and_go(indexes: VectorIndexes) -> None:
    index = await index_of(indexes)
    await index.upsert([vector("a", 1, 1, metadata={"s": "x"})])
    await index.add_metadata_index("s", "string")
    assert [each.id for each in await index.query([1, 1], Query(filter={"s": "x"}))] == ["a"]
    with pytest.raises(InvalidFilter):
        await index.add_metadata_index("s", "number")
    assert await index.metadata_indexes() == {"s": "string"}
    await index.remove_metadata_index("s")
    with pytest.raises(InvalidFilter):
        await index.query([1, 1], Query(filter={"s": "x"}))
    with pytest.raises(InvalidFilter):
        await index.remove_metadata_index("s")
    for number in range(10):
        await index.add_metadata_index(f"p{number}", "boolean")
    with pytest.raises(InvalidFilter, match="at most 10"):
        await index.add_metadata_index("p10", "boolean")


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (vector("a", 1), "expected 2 dimensions, and got 1 dimensions"),
        (vector("", 1, 2), "0 bytes"),
        (vector("ü" * 33, 1, 2), "66 bytes"),
        (vector("a", 1, math.inf), "32 bits"),
        (vector("a", 1, 1e39), "32 bits"),
        (vector("a", 1, math.nan), "32 bits"),
        (vector("a", 1, 2, namespace=""), "namespace"),
        (vector("a", 1, 2, namespace="x" * 65), "namespace"),
        (vector("a", 1, 2, metadata={"x": "y" * 10_240}), "at most 10240"),
        (vector("a", 1, 2, metadata={"a.b": 1}), "a.b"),
        (vector("a", 1, 2, metadata={"$a": 1}), "$a"),
        (vector("a", 1, 2, metadata={"": 1}), "empty"),
    ],
)
async def test_a_bad_vector_lets_none_in(indexes: VectorIndexes, bad: Vector, said: str) -> None:
    index = await index_of(indexes)
    for put in (index.insert, index.upsert):
        with pytest.raises(InvalidVector) as caught:
            await put([vector("good", 1, 2), bad])
        assert said in caught.value.message
    assert (await index.state()).vector_count == 0


@pytest.mark.parametrize(
    "query",
    [
        Query(top_k=0),
        Query(top_k=101),
        Query(top_k=21, return_values=True),
        Query(top_k=21, return_metadata="all"),
    ],
)
async def test_top_k_has_bounds(indexes: VectorIndexes, query: Query) -> None:
    index = await index_of(indexes)
    with pytest.raises(InvalidQuery, match="topK"):
        await index.query([1, 1], query)


async def test_bad_queries(indexes: VectorIndexes) -> None:
    index = await index_of(indexes)
    assert await index.query([1, 1], Query()) == []
    with pytest.raises(InvalidVector, match="got 3 dimensions"):
        await index.query([1, 1, 1], Query())
    with pytest.raises(TooMany, match="max id count is 20"):
        await index.get_by_ids(["x"] * 21)
    with pytest.raises(TooMany):
        await index.delete_by_ids(["x"] * 1001)
    for cursor in ("x", "-1", "9" * 30):
        with pytest.raises(InvalidQuery):
            await index.list(10, cursor)
    with pytest.raises(InvalidQuery):
        await index.list(0)


async def test_a_vector_without_direction_is_like_nothing(indexes: VectorIndexes) -> None:
    index = await index_of(indexes)
    await index.upsert([vector("zero", 0, 0), vector("tiny", 1e-38, 0), vector("huge", 3e38, 3e38)])
    got = await index.query([1, 0], Query())
    assert [(each.id, round(each.score, 3)) for each in got] == [
        ("tiny", 1.0),
        ("huge", 0.707),
        ("zero", 0.0),
    ]
    assert {each.score for each in await index.query([0, 0], Query())} == {0.0}


async def test_listing_pages_through_all(indexes: VectorIndexes) -> None:
    index = await index_of(indexes)
    await index.upsert([vector(f"v{at}", 1, at) for at in range(25)])
    ids: list[str] = []
    cursor: str | None = None
    while True:
        page = await index.list(10, cursor)
        assert page.total == 25
        ids += page.ids
        cursor = page.cursor
        if cursor is None:
            break
    assert ids == [f"v{at}" for at in range(25)]


async def test_two_processes_see_each_other_s_writes(
    stores: Stores, indexes: VectorIndexes, tmp_path: Path
) -> None:
    mine = await index_of(indexes)
    other = Stores(tmp_path)
    try:
        theirs = await other.vectorize("acc").open("i")
        await theirs.upsert([vector("a", 1, 0), vector("b", 0, 1)])
        assert [each.id for each in await mine.query([1, 0], Query())] == ["a", "b"]
        await mine.upsert([vector("a", -1, 0), vector("c", 1, 0.1)])
        assert [each.id for each in await theirs.query([1, 0], Query())] == ["c", "b", "a"]
        await theirs.delete_by_ids(["c"])
        await mine.add_metadata_index("s", "string")
        await theirs.upsert([vector("d", 1, 0, metadata={"s": "x"})])
        assert [each.id for each in await mine.query([1, 0], Query(filter={"s": "x"}))] == ["d"]
        assert [each.id for each in await theirs.query([1, 0], Query(top_k=2))] == ["d", "b"]
        await other.vectorize("acc").delete("i")
        with pytest.raises(IndexNotFound):
            await indexes.open("i")
        again = await index_of(indexes, dimensions=3)
        assert await again.query([1, 1, 1], Query()) == []
    finally:
        await other.close()


async def test_memory_that_is_far_behind_is_built_anew(
    stores: Stores, indexes: VectorIndexes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("skerry.storage.vectorize.rows._KEPT", 3)
    mine = await index_of(indexes)
    await mine.upsert([vector("a", 1, 0), vector("b", 0, 1)])
    assert len(await mine.query([1, 0], Query())) == 2
    other = Stores(tmp_path)
    try:
        theirs = await other.vectorize("acc").open("i")
        await theirs.delete_by_ids(["a"])
        for _ in range(1000):
            await theirs.delete_by_ids(["none"])
    finally:
        await other.close()
    assert [each.id for each in await mine.query([1, 0], Query())] == ["b"]


async def test_indexes_and_their_files(
    stores: Stores, indexes: VectorIndexes, tmp_path: Path
) -> None:
    for name in ("b", "a"):
        index = await index_of(indexes, name=name)
        await index.upsert([vector("x", 1, 1)])
    assert [each.name for each in await indexes.list()] == ["a", "b"]
    with pytest.raises(IndexExists):
        await index_of(indexes, name="a")
    folder = tmp_path / "accounts" / "acc" / "vectorize"
    (folder / "0123.index.sqlite").write_bytes(b"left behind by a crash")
    await indexes.delete("a")
    left = {path.name.partition(".")[0] for path in folder.glob("*.index.sqlite*")}
    assert left == {(await indexes.open("b")).details.id}
    assert [each.id for each in await (await indexes.open("b")).query("x", Query())] == ["x"]
    for call in (indexes.open("a"), indexes.delete("a")):
        with pytest.raises(IndexNotFound, match="skerry vectorize create"):
            await call


@pytest.mark.parametrize(
    ("name", "dimensions"),
    [("", 3), ("../x", 3), ("a" * 65, 3), ("-a", 3), ("ä", 3), ("a", 0), ("a", 1537)],
)
async def test_indexes_that_cannot_be(indexes: VectorIndexes, name: str, dimensions: int) -> None:
    with pytest.raises(InvalidIndex):
        await indexes.create(name, IndexConfig(dimensions=dimensions, metric="cosine"))


async def test_errors_have_a_code(indexes: VectorIndexes) -> None:
    with pytest.raises(StorageError) as caught:
        await indexes.open("none")
    assert (caught.value.code, caught.value.status) == (3000, 404)
