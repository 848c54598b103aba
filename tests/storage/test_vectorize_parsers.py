"""What clients send to Vectorize, as any bytes and any filter: read, or refused with a reason."""

from __future__ import annotations

import asyncio
import operator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skerry.storage.open import Stores
from skerry.storage.vectorize.base import IndexConfig, InvalidFilter, Query, Vector, VectorError
from skerry.storage.vectorize.check import vectors_of
from skerry.storage.vectorize.filter import Column, conditions, indexed_text

finite = st.floats(width=32, allow_nan=False, allow_infinity=False)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False)
    | st.text(max_size=40)
)
anything = st.recursive(
    scalars, lambda each: st.lists(each, max_size=3) | st.dictionaries(st.text(), each, max_size=3)
)


@given(st.binary(max_size=200) | st.text('{}[]":,.0123456789abidvalues\\n \n').map(str.encode))
def test_any_body_is_vectors_or_refused(data: bytes) -> None:
    try:
        found = vectors_of(data, 10)
    except VectorError as error:
        assert error.message
        return
    assert found
    assert all(isinstance(each, Vector) for each in found)


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "id": st.text(min_size=1, max_size=9),
                "values": st.lists(finite, max_size=3),
            }
        ),
        min_size=1,
        max_size=5,
    )
)
def test_lines_that_were_written_are_read(vectors: list[dict[str, Any]]) -> None:
    lines = b"\r\n".join(msgspec.json.encode(each) for each in vectors)
    whole = [Vector(**each) for each in vectors]
    assert vectors_of(lines, 10) == whole
    assert vectors_of(msgspec.json.encode({"vectors": vectors}), 10) == whole
    assert vectors_of(msgspec.json.encode(lines.decode()), 10) == whole
    assert vectors_of(lines + b"\n{oops", 10, discard=True) == whole


@given(st.dictionaries(st.sampled_from(["s", "n", "b", "other", "$x", ""]), anything, max_size=3))
def test_any_filter_is_read_or_refused(given_filter: dict[str, Any]) -> None:
    try:
        found = conditions(given_filter, {"s": "string", "n": "number", "b": "boolean"})
    except InvalidFilter as error:
        assert error.message
        return
    for name, op, operand in found:
        column = Column({"s": "string", "n": "number", "b": "boolean"}[name], 4)  # type: ignore[arg-type]
        for row, value in enumerate(("x", 1.5, True, None)):
            column.set(row, value)
        assert column.mask(op, operand, 4).dtype == np.bool_


OPS = {
    "$eq": operator.eq, "$ne": operator.ne, "$lt": operator.lt,
    "$lte": operator.le, "$gt": operator.gt, "$gte": operator.ge,
}  # fmt: skip


@given(
    st.lists(st.none() | st.integers(-5, 5) | st.sampled_from([0.5, -0.5]), max_size=12),
    st.sampled_from(sorted(OPS)),
    st.integers(-5, 5),
)
def test_number_columns_compare_as_python_does(
    values: list[float | None], op: str, operand: int
) -> None:
    column = Column("number", len(values))
    for row, value in enumerate(values):
        column.set(row, value)
    wanted = [op == "$ne" if value is None else OPS[op](value, operand) for value in values]
    assert column.mask(op, operand, len(values)).tolist() == wanted


@given(
    st.lists(st.none() | st.text("abü", max_size=3), max_size=12),
    st.sampled_from(sorted(OPS)),
    st.text("abü", max_size=3),
)
def test_text_columns_compare_as_python_does(
    values: list[str | None], op: str, operand: str
) -> None:
    column = Column("string", len(values))
    for row, value in enumerate(values):
        column.set(row, value)
    wanted = [op == "$ne" if value is None else OPS[op](value, operand) for value in values]
    assert column.mask(op, operand, len(values)).tolist() == wanted


@given(st.text(max_size=80))
def test_an_indexed_text_is_a_beginning_of_at_most_64_bytes(text: str) -> None:
    cut = indexed_text(text)
    assert text.startswith(cut)
    assert len(cut.encode()) <= 64
    assert cut == text or len(text[: len(cut) + 1].encode()) > 64


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["insert", "upsert", "delete", "query"]),
            st.integers(0, 1),
            st.lists(st.integers(0, 9), min_size=1, max_size=4, unique=True),
            st.integers(1, 5),
        ),
        max_size=25,
    )
)
def test_an_index_is_what_was_done_to_it(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, list[int], int]]
) -> None:
    """Two processes on one index, each with its memory, against a dictionary."""
    folder = tmp_path_factory.mktemp("v")
    asyncio.run(_against_a_dictionary(folder, steps))


async def _against_a_dictionary(folder: Path, steps: list[tuple[str, int, list[int], int]]) -> None:
    stores = [Stores(folder), Stores(folder)]
    model: dict[str, float] = {}
    try:
        config = IndexConfig(dimensions=1, metric="euclidean")
        await stores[0].vectorize("a").create("i", config)
        indexes = [await each.vectorize("a").open("i") for each in stores]
        for step, who, numbers, value in steps:
            ids = [str(each) for each in numbers]
            vectors = [Vector(id=ident, values=[float(value)]) for ident in ids]
            if step == "insert":
                await indexes[who].insert(vectors)
                model = dict.fromkeys(ids, float(value)) | model
            elif step == "upsert":
                await indexes[who].upsert(vectors)
                model |= dict.fromkeys(ids, float(value))
            elif step == "delete":
                await indexes[who].delete_by_ids(ids)
                model = {ident: held for ident, held in model.items() if ident not in ids}
            found = await indexes[who].query([0.0], Query(top_k=100))
            assert {each.id: each.score for each in found} == model
            assert (await indexes[who].state()).vector_count == len(model)
    finally:
        for each in stores:
            await each.close()
