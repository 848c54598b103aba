"""Binary fields: the many ways JSON carries bytes, to bytes.

What is long is decoded in steps of STEP bytes, so that a thread that does it lets others run.
"""

from __future__ import annotations

import binascii
import re
from array import array
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import numpy as np

from skerry.errors import InvalidData
from skerry.tasks.first_bytes import first_bytes
from skerry.types import Inputs

LONG = 64 << 10
"""Bytes, characters, numbers or keys from which decoding is no work for an event loop."""
STEP = 1 << 18
"""Bytes of JSON that are decoded in one call; a multiple of 4. Some 2 ms."""

_DATA_URL = re.compile(r"data:[^,]{0,256},", re.IGNORECASE)
_SPACE = b" \t\n\r\v\f"
_FOR_URLS = bytes.maketrans(b"-_", b"+/")

_numbers: msgspec.json.Decoder[list[int]] = msgspec.json.Decoder(list[int])
_floats: msgspec.json.Decoder[list[float]] = msgspec.json.Decoder(list[float])
_keyed: msgspec.json.Decoder[dict[int, int]] = msgspec.json.Decoder(dict[int, int])


def is_long(value: Any) -> bool:
    """Whether this takes so long to decode that an event loop should leave it to a thread."""
    if isinstance(value, msgspec.Raw):
        return True
    return isinstance(value, str | list | dict) and len(value) > LONG


def decode_field(
    inputs: Inputs, field: str, sniff: Callable[[bytes], None] | None = None
) -> Inputs:
    """The inputs with `field` as bytes, where it is something that can be bytes at all.

    It may be there as its JSON text (msgspec.Raw). Other types stay, for the schema to refuse.
    sniff: raises InvalidData for the first bytes of what is no such file, before the rest of a
    long one is decoded. Raises InvalidData.
    """
    if field not in inputs:
        return inputs
    value = inputs[field]
    if sniff is not None and is_long(value) and (head := first_bytes(value)):
        sniff(head)
    if isinstance(value, msgspec.Raw):
        value = _from_json(bytes(value), field)
    decoded = _decode(value, field)
    if decoded is None:
        return {**inputs, field: value}
    if not decoded:
        raise InvalidData(f"{field} is empty. Send the file's bytes")
    return {**inputs, field: decoded}


def _decode(value: Any, field: str) -> bytes | None:
    if isinstance(value, bytes):
        return value
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, list):
        return _from_numbers(value, field)
    if isinstance(value, dict):
        return _from_object(value, field)
    if isinstance(value, str):
        return _from_text(value, field)
    return None


def _from_json(text: bytes, field: str) -> Any:
    """A value's JSON text: as bytes where it is of a form that has them, else decoded."""
    text = text.strip(_SPACE)
    if (
        text[:1] == b'"'
        and b"\\" not in text
        and text[1:6].lower() not in (b"data:", b"http:", b"https")
    ):
        return _from_base64(memoryview(text)[1:-1], field) if len(text) > 2 else b""
    if text[:1] == b"[" and len(text) > LONG:
        last = text.rfind(b",", 0, max(0, len(text) - STEP))
        if last > 0:
            _json_numbers(b"[" + text[last + 1 :], field)  # the end first: there cut files show
        return b"".join(_json_numbers(part, field) for part in _parts(text, b"[]"))
    if text[:1] == b"{" and text[1:].lstrip(_SPACE)[1:2].isdigit():
        return _from_json_object(text, field)
    return msgspec.json.decode(text)


def _parts(text: bytes, brackets: bytes) -> Iterator[bytes]:
    """A long list or object as short ones, cut at commas: for those that hold numbers only."""
    at, end = 1, len(text) - 1
    while at < end:
        cut = text.find(b",", at + STEP, end) if at + STEP < end else end
        cut = end if cut < 0 else cut
        yield b"".join((brackets[:1], text[at:cut], brackets[1:]))
        at = cut + 1


def _json_numbers(part: bytes, field: str) -> bytes:
    try:
        return bytes(_numbers.decode(part))
    except (msgspec.DecodeError, ValueError):
        pass  # whole numbers may be written with a point
    try:
        return _from_floats(_floats.decode(part), field, None)
    except msgspec.DecodeError as error:
        raise _not_bytes(field) from error


def _from_json_object(text: bytes, field: str) -> bytes:
    keys, values = [], []
    try:
        for part in _parts(text, b"{}"):
            pairs = _keyed.decode(part)
            keys.append(np.fromiter(pairs, np.int64, len(pairs)))
            values.append(np.fromiter(pairs.values(), np.int64, len(pairs)))
    except (msgspec.DecodeError, OverflowError) as error:
        if isinstance(error, msgspec.ValidationError) and " key " not in str(error):
            raise _not_bytes(field) from error
        raise _no_row(field) from error
    places, numbers = np.concatenate(keys), np.concatenate(values)
    if not np.array_equal(places, np.arange(len(places))):
        order = np.argsort(places)
        if not np.array_equal(places[order], np.arange(len(places))):
            raise _no_row(field)
        numbers = numbers[order]
    if numbers.size and not 0 <= numbers.min() <= numbers.max() <= 255:
        raise _not_bytes(field)
    return numbers.astype(np.uint8).tobytes()


def _from_numbers(numbers: list[Any], field: str) -> bytes:
    try:
        return bytes(numbers)
    except ValueError as error:
        raise _not_bytes(field) from error
    except TypeError as error:
        return _from_floats(numbers, field, error)


def _from_floats(numbers: list[Any], field: str, cause: Exception | None) -> bytes:
    """Whole numbers that are written with a point."""
    try:
        values = np.frombuffer(array("d", numbers))
    except (TypeError, OverflowError) as error:
        raise _not_bytes(field) from error
    if not ((values >= 0) & (values <= 255) & (values == np.floor(values))).all():
        raise _not_bytes(field) from cause
    return values.astype(np.uint8).tobytes()


def _not_bytes(field: str) -> InvalidData:
    return InvalidData(
        f"{field} is a list with something other than integers from 0 to 255 in it."
        " Send [...new Uint8Array(buffer)], or base64"
    )


def _from_object(value: dict[str, Any], field: str) -> bytes:
    """A Uint8Array that went through JSON.stringify: {"0": 137, "1": 80, …}."""
    if not value:
        raise InvalidData(
            f"{field} is an empty object, which is what JSON makes of an ArrayBuffer."
            " Send a Uint8Array or [...new Uint8Array(buffer)]"
        )
    if value.get("type") == "Buffer" and isinstance(value.get("data"), list):
        return _from_numbers(value["data"], field)
    try:
        keys = np.fromiter(map(int, value), np.int64, len(value))
    except (ValueError, OverflowError) as error:
        raise _no_row(field) from error
    numbers = list(value.values())
    places = np.arange(len(keys))
    if not np.array_equal(keys, places):
        order = np.argsort(keys)
        if not np.array_equal(keys[order], places):
            raise _no_row(field)
        numbers = [numbers[at] for at in order]
    return _from_numbers(numbers, field)


def _no_row(field: str) -> InvalidData:
    return InvalidData(
        f'{field} is an object whose keys are not "0", "1", … in a row, as a Uint8Array has them.'
        " Send [...new Uint8Array(buffer)], or base64"
    )


def _from_text(text: str, field: str) -> bytes:
    head = _DATA_URL.match(text)
    if head:
        if ";base64" not in head.group().lower():
            raise InvalidData(f"{field} is a data URL that is not base64. Send data:…;base64,…")
        text = text[head.end() :]
    elif text[:8].lower().startswith(("http://", "https://")):
        raise InvalidData(f"{field} is a URL, which is not fetched. Send the file's bytes")
    try:
        return _from_base64(text.encode("ascii"), field)
    except UnicodeEncodeError as error:
        raise _not_base64(field, "it has characters that base64 has not") from error


def _from_base64(raw: bytes | memoryview, field: str) -> bytes:
    try:
        try:
            if len(raw) > STEP:
                _strict(raw[len(raw) // 4 * 4 - LONG :])  # the end first: there cut files show
            return _strict(raw)
        except binascii.Error:  # perhaps it is in lines, or in the alphabet for URLs
            raw = bytes(raw)
            if not any(odd in raw for odd in (b"\n", b"\r", b" ", b"-", b"_", b"\t")):
                raise
            steps = (raw[at : at + STEP] for at in range(0, len(raw), STEP))
            return _strict(b"".join(step.translate(_FOR_URLS, _SPACE) for step in steps))
    except binascii.Error as error:
        raise _not_base64(field, str(error)) from error


def _strict(raw: bytes | memoryview) -> bytes:
    """Raises binascii.Error."""
    out = []
    for at in range(0, len(raw), STEP):
        part = raw[at : at + STEP]
        if at + STEP < len(raw) and part[-1] == ord("="):
            raise binascii.Error("Excess data after padding")
        out.append(binascii.a2b_base64(part, strict_mode=True))
    return b"".join(out)


def _not_base64(field: str, reason: str) -> InvalidData:
    return InvalidData(
        f"{field} is not valid base64 ({reason}); is it cut short? Send the whole file"
    )


def binary_schema(description: str) -> dict[str, Any]:
    """The forms of a binary field in JSON; a raw request body fills it as well."""
    byte = {"type": "integer", "minimum": 0, "maximum": 255}
    return {
        "description": description,
        "anyOf": [
            {
                "type": "array",
                "items": byte,
                "description": "Its bytes: [...new Uint8Array(buffer)].",
            },
            {"type": "string", "description": "Base64, or a data URL."},
            {
                "type": "object",
                "additionalProperties": byte,
                "description": 'A Uint8Array as JSON has it: {"0": 137, "1": 80, …}.',
            },
        ],
    }
