"""The forms in which bytes arrive."""

from __future__ import annotations

import base64
import json
import random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.errors import InvalidData
from skerry.tasks import binary
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


def as_json(value: Any) -> msgspec.Raw:
    return msgspec.Raw(json.dumps(value).encode())


@pytest.fixture(scope="module", autouse=True)
def short_steps() -> Any:
    """Many steps also for small inputs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(binary, "STEP", 8)
        patch.setattr(binary, "LONG", 4)
        yield


@given(some_bytes)
def test_json_text_gives_the_same_bytes(data: bytes) -> None:
    for form in forms(data)[3:]:
        assert decode_field({"image": as_json(form)}, "image") == {"image": data}
        spaced = msgspec.Raw(json.dumps(form, indent=1).encode())
        assert decode_field({"image": spaced}, "image") == {"image": data}


def test_escapes_in_base64() -> None:
    raw = msgspec.Raw(rb' "\/\/\u0041=" ')
    assert decode_field({"image": raw}, "image") == decode_field({"image": "//A="}, "image")


def test_long_ones_in_many_steps() -> None:
    data = random.Random(0).randbytes(20_000)
    for form in forms(data)[3:]:
        assert decode_field({"image": as_json(form)}, "image") == {"image": data}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[1,2,3,256]", "0 to 255"),
        ("[1,2,3,-1]", "0 to 255"),
        ("[1,2,3,4,5,1.5]", "0 to 255"),
        ('[1,2,3,"4,5",6]', "0 to 255"),
        ("[[1,2,3,4],[5,6,7,8]]", "0 to 255"),
        ("[1,2,3,null]", "0 to 255"),
        ("[1,2,3,1e400]", "0 to 255"),
        ("[1,2,3,99999999999999999999999]", "0 to 255"),
        ('{"0":1,"1":2,"3":4}', "in a row"),
        ('{"0":1,"1":2,"1":4}', "in a row"),
        ('{"0":1,"1":2,"2":256}', "0 to 255"),
        ('{"0":1,"1":2,"2":99999999999999999999}', "is a|0 to 255|in a row"),
        ('{"0":1,"1":"a"}', "0 to 255"),
        ('{"0":1,"a,b":2}', "in a row"),
        ('{"0":{"a":1,"b":2,"c":3}}', "0 to 255|in a row"),
        ('{"99999999999999999999999":1}', "in a row"),
        ('{"a":1}', "in a row"),
        ("{}", "ArrayBuffer"),
        ("[]", "empty"),
        ('""', "empty"),
        ('"QUJDRA==QUJD"', "base64"),
        ('"QUJDQUJDQUI=QUJD"', "base64"),
        ('"QUJDQUJDQUJDQUJ"', "base64"),
        ('"https://example.com/a"', "not fetched"),
        ('"data:text/plain,hello"', "not base64"),
        ('"\u00e9"', "base64"),
    ],
)
def test_json_text_that_cannot_be_bytes_is_refused(text: str, says: str) -> None:
    with pytest.raises(InvalidData, match=says):
        decode_field({"image": msgspec.Raw(text.encode())}, "image")


@pytest.mark.parametrize("value", [5, None, 1.5, True])
def test_json_text_of_other_types_is_left_to_the_schema(value: Any) -> None:
    assert decode_field({"image": as_json(value)}, "image") == {"image": value}
