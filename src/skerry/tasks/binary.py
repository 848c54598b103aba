"""Binary fields: the many ways JSON carries bytes, to bytes."""

from __future__ import annotations

import binascii
import re
from array import array
from typing import Any

import numpy as np

from skerry.errors import InvalidData
from skerry.types import Inputs

_DATA_URL = re.compile(r"data:[^,]{0,256},", re.IGNORECASE)


def decode_field(inputs: Inputs, field: str) -> Inputs:
    """The inputs with `field` as bytes, where it is something that can be bytes at all.

    Other types stay, for the schema to refuse. Raises InvalidData.
    """
    if field not in inputs:
        return inputs
    value = inputs[field]
    decoded = _decode(value, field)
    if decoded is None:
        return inputs
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


def _from_numbers(numbers: list[Any], field: str) -> bytes:
    try:
        return bytes(numbers)
    except ValueError as error:
        raise _not_bytes(field) from error
    except TypeError as error:
        return _from_floats(numbers, field, error)


def _from_floats(numbers: list[Any], field: str, cause: Exception) -> bytes:
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
        raw = text.encode("ascii")
        try:
            return binascii.a2b_base64(raw, strict_mode=True)
        except binascii.Error:  # perhaps it is in lines, or in the alphabet for URLs
            plain = b"".join(raw.split()).replace(b"-", b"+").replace(b"_", b"/")
            return binascii.a2b_base64(plain, strict_mode=True)
    except UnicodeEncodeError as error:
        raise _not_base64(field, "it has characters that base64 has not") from error
    except binascii.Error as error:
        raise _not_base64(field, str(error)) from error


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
