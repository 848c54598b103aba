"""The first bytes of a field, whatever its form, and what is refused by them."""

from __future__ import annotations

import base64
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.errors import InvalidData
from skerry.tasks.automatic_speech_recognition import AutomaticSpeechRecognition
from skerry.tasks.base import Task
from skerry.tasks.binary import LONG, STEP, decode_field
from skerry.tasks.first_bytes import COUNT, LEAST, TEXT, first_bytes, first_bytes_of_json
from skerry.tasks.image_classification import ImageClassification

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(100)
WAV = b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(100)


def forms(data: bytes) -> list[Any]:
    plain = base64.b64encode(data).decode()
    return [
        data,
        bytearray(data),
        memoryview(data),
        list(data),
        [float(byte) for byte in data],
        {str(at): byte for at, byte in enumerate(data)},
        plain,
        base64.urlsafe_b64encode(data).decode(),
        "\n".join(plain[at : at + 16] for at in range(0, len(plain), 16)),
        f"data:image/png;base64,{plain}",
        f"DATA:;BASE64,{plain}",
    ]


def agrees(found: bytes, data: bytes) -> bool:
    return LEAST <= len(found) <= COUNT and data.startswith(found)


@given(st.binary(min_size=60, max_size=5000))
def test_every_form_has_the_same_first_bytes(data: bytes) -> None:
    for form in forms(data):
        assert agrees(first_bytes(form), data), form
        if isinstance(form, bytes | bytearray | memoryview):
            continue
        for text in (json.dumps(form), json.dumps(form, indent=1), json.dumps(form)[:TEXT]):
            assert agrees(first_bytes_of_json(text.encode()), data), text[:200]
        assert agrees(first_bytes(msgspec.Raw(json.dumps(form).encode())), data)


def test_slashes_that_php_escapes() -> None:
    data = b"\xff" * 60
    text = json.dumps(base64.b64encode(data).decode()).replace("/", "\\/")
    assert agrees(first_bytes_of_json(text.encode()), data)


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text() | st.binary(),
                    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))  # fmt: skip
def test_nothing_raises(value: Any) -> None:
    found = first_bytes(value)
    assert found == b"" or len(found) >= LEAST


@given(st.binary(max_size=300))
def test_no_text_raises(text: bytes) -> None:
    for start in (b"", b'"', b"[", b"{", b'{"0":'):
        assert isinstance(first_bytes_of_json(start + text), bytes)


@pytest.mark.parametrize(
    "value",
    [
        {"1": 5, "0": 4},
        {"type": "Buffer", "data": [1] * 40},
        [1.5] * 40,
        [300] * 40,
        ["a"] * 40,
        "https://example.com/a/long/path/to/a/cat.jpg",
        b"short",
        7,
        None,
    ],
)
def test_what_tells_nothing(value: Any) -> None:
    assert first_bytes(value) == b""


@pytest.mark.parametrize(
    ("task", "good", "bad", "says"),
    [
        (ImageClassification(), PNG, WAV, "no image that can be read. Send PNG"),
        (AutomaticSpeechRecognition(), WAV, PNG, "no sound that can be read. Send WAV"),
    ],
)
def test_what_is_no_such_file_is_refused_before_it_is_decoded(
    task: Task, good: bytes, bad: bytes, says: str
) -> None:
    """Each is broken at its end, which is not reached; the good one's end is."""
    field = str(task.binary_field)
    for data, words in ((bad, says), (good, "base64|0 to 255")):
        long = data * (LONG // len(data) + 1)
        text = base64.b64encode(long).decode() + "!"
        for form in (text, msgspec.Raw(json.dumps(text).encode()), [*long, 256]):
            with pytest.raises(InvalidData, match=words):
                task.decode({field: form})


@pytest.mark.parametrize("where", [0, STEP, 2 * STEP - 5, -1])
@pytest.mark.parametrize("end", ["!", "", "\n"])
def test_a_long_field_is_broken_wherever(where: int, end: str) -> None:
    """The end is looked at first; so is the rest, then."""
    good = "QUJD" * (STEP // 2)
    broken = good[:where] + "ä" + good[where:] + end
    with pytest.raises(InvalidData, match="base64"):
        decode_field({"image": broken}, "image")
    with pytest.raises(InvalidData, match="base64"):
        decode_field({"image": msgspec.Raw(json.dumps(broken).encode())}, "image")
    numbers = [1] * STEP
    for odd in (256, -1, 1.5, "x", None):
        text = json.dumps([*numbers[:where], odd, *numbers[where:]]).encode()
        with pytest.raises(InvalidData, match="0 to 255"):
            decode_field({"image": msgspec.Raw(text)}, "image")


def test_whole_numbers_with_a_point_in_some_places() -> None:
    numbers = [1] * STEP + [2.0] + [3] * STEP + [4.0]
    text = msgspec.Raw(json.dumps(numbers).encode())
    wanted = bytes(int(number) for number in numbers)
    assert decode_field({"image": text}, "image") == {"image": wanted}
