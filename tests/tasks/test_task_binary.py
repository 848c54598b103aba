"""The forms in which bytes arrive."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.errors import InvalidData
from skerry.tasks.binary import decode_field

some_bytes = st.binary(min_size=1, max_size=200)


def forms(data: bytes) -> list[Any]:
    plain = base64.b64encode(data).decode()
    return [
        data,
        bytearray(data),
        memoryview(data),
        list(data),
        [float(byte) for byte in data],
        {str(at): byte for at, byte in enumerate(data)},
        {str(at): data[at] for at in reversed(range(len(data)))},
        {"type": "Buffer", "data": list(data)},
        plain,
        base64.urlsafe_b64encode(data).decode(),
        "\n".join(plain[at : at + 16] for at in range(0, len(plain), 16)) + "\r\n",
        f"data:image/png;base64,{plain}",
        f"DATA:;BASE64,{plain}",
    ]


@given(some_bytes)
def test_every_form_gives_the_same_bytes(data: bytes) -> None:
    for form in forms(data):
        assert decode_field({"image": form, "other": 1}, "image") == {"image": data, "other": 1}


@pytest.mark.parametrize("value", [b"", [], "", "data:image/png;base64,"])
def test_nothing_is_refused(value: Any) -> None:
    with pytest.raises(InvalidData, match="image is empty"):
        decode_field({"image": value}, "image")


def test_an_array_buffer_that_became_an_empty_object() -> None:
    with pytest.raises(InvalidData, match=r"Uint8Array") as caught:
        decode_field({"image": {}}, "image")
    assert "[...new Uint8Array(buffer)]" in caught.value.message
    assert caught.value.code == 5004


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ([1, 256], "0 to 255"),
        ([-1], "0 to 255"),
        ([1.5], "0 to 255"),
        (["1"], "0 to 255"),
        ([float("nan")], "0 to 255"),
        ([[1]], "0 to 255"),
        ({"0": 1, "2": 1}, "in a row"),
        ({"a": 1}, "in a row"),
        ({"0": "x"}, "0 to 255"),
        ("iVBORw0KGgo=!", "base64"),
        ("iVBORw0KGg", "cut short"),
        ("===", "base64"),
        ("é", "base64"),
        ("\ud800", "base64"),
        ("https://example.com/cat.png", "not fetched"),
        ("data:text/plain,hello", "not base64"),
    ],
)
def test_what_cannot_be_bytes_is_refused(value: Any, says: str) -> None:
    with pytest.raises(InvalidData, match="image") as caught:
        decode_field({"image": value}, "image")
    assert says in caught.value.message


@pytest.mark.parametrize("value", [5, None, 1.5, True])
def test_other_types_are_left_to_the_schema(value: Any) -> None:
    assert decode_field({"image": value}, "image") == {"image": value}
    assert decode_field({}, "image") == {}


@given(some_bytes, st.integers(1, 3))
def test_base64_that_is_cut_is_never_taken_for_whole(data: bytes, cut: int) -> None:
    text = base64.b64encode(data).decode()
    with pytest.raises(InvalidData):
        decode_field({"image": text[:-cut]}, "image")
