"""Inputs and answers as JSON."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.testing.values import SHOWN, key_of, packed, shown, unpacked

LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
VALUES = st.recursive(
    LEAVES | st.binary(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text().filter(lambda k: k[:1] != "$"), inner)
    ),
    max_leaves=20,
)
KINDS = ["float32", "float64", "int8", "uint8", "int64", "bool", "float16"]


@given(VALUES)
def test_what_is_packed_is_json_and_comes_back(value: Any) -> None:
    assert unpacked(json.loads(json.dumps(packed(value)))) == value


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(0,), (3,), (2, 3), (2, 0, 3)])
def test_arrays_keep_kind_and_shape(kind: str, shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(1).integers(0, 2, shape).astype(kind)
    back = unpacked(json.loads(json.dumps(packed({"data": array}))))["data"]
    assert back.dtype == array.dtype
    assert back.shape == shape
    assert (back == array).all()


def test_an_array_that_is_turned_or_of_another_byte_order_comes_back_right() -> None:
    turned = np.arange(6, dtype="float32").reshape(2, 3).T
    assert (unpacked(packed(turned)) == turned).all()
    other = np.arange(3, dtype=">i4")
    assert (unpacked(packed(other)) == other).all()


@pytest.mark.parametrize("value", [object(), {1, 2}, np.array([object()]), {"a": [open]}])
def test_what_cannot_be_kept_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="cannot be kept"):
        packed(value)


@pytest.mark.parametrize(
    "value",
    [
        {"$bytes": "?"},
        {"$bytes": 1},
        {"$array": 1},
        {"$array": {"dtype": "object", "shape": [1], "data": ""}},
        {"$array": {"dtype": "nonsense", "shape": [1], "data": ""}},
        {"$array": {"dtype": "float32", "shape": [9], "data": "AAAA"}},
        {"$array": {"dtype": "float32", "shape": "x", "data": "AAAAAA=="}},
    ],
)
def test_a_broken_file_is_an_error_that_says_so(value: Any) -> None:
    with pytest.raises(ValueError):
        unpacked(value)


def test_the_key_is_of_what_was_asked_and_not_of_its_order() -> None:
    one = key_of("@cf/a/b", {"prompt": "x", "max_tokens": 3, "image": b"\x00"})
    assert one == key_of("@cf/a/b", {"image": b"\x00", "max_tokens": 3, "prompt": "x"})
    others = [
        key_of("@cf/a/c", {"prompt": "x", "max_tokens": 3, "image": b"\x00"}),
        key_of("@cf/a/b", {"prompt": "x", "max_tokens": 3, "image": b"\x01"}),
        key_of("@cf/a/b", {"prompt": "x", "max_tokens": 3}),
        key_of("@cf/a/b", {"prompt": ["x"], "max_tokens": 3, "image": b"\x00"}),
        key_of("@cf/a/b", {"prompt": "\ud800"}),
    ]
    assert len({one, *others}) == len(others) + 1


def test_what_is_long_is_cut_for_the_reader() -> None:
    value = {"image": [1] * 1000, "raw": b"xyz", "prompt": "a" * 1000, "few": [1, 2]}
    seen = shown(value)
    assert seen["image"] == "1000 entries"
    assert seen["raw"] == "3 bytes"
    assert len(seen["prompt"]) < SHOWN + 30
    assert seen["few"] == [1, 2]
