"""The first bytes of a binary field in whichever form it is, with the rest left alone.

They tell a file's format: what is none of a task's formats can be refused before megabytes of it
are decoded.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

import msgspec

COUNT = 48
"""Bytes that are looked at."""
LEAST = 16
"""Fewer tell nothing: b"" then."""
TEXT = 1024
"""Bytes of JSON in which they are."""

_DATA_URL = re.compile(rb"data:[^,]{0,256};base64,", re.IGNORECASE)
_SPACE = b" \t\n\r\v\f"
_FOR_URLS = bytes.maketrans(b"-_", b"+/")

_numbers: msgspec.json.Decoder[list[float]] = msgspec.json.Decoder(list[float])
_pairs: msgspec.json.Decoder[dict[str, float]] = msgspec.json.Decoder(dict[str, float])


def first_bytes(value: Any) -> bytes:
    """At least LEAST of the first bytes, or b"" where they cannot be told. Raises nothing."""
    if isinstance(value, bytes | bytearray | memoryview):
        found = bytes(value[:COUNT])
    elif isinstance(value, str):
        found = _from_text(value[:TEXT].encode(errors="replace"))
    elif isinstance(value, list):
        found = _from_numbers(value[:COUNT])
    elif isinstance(value, Mapping):
        found = _from_pairs(islice(value.items(), COUNT))
    elif isinstance(value, msgspec.Raw):
        found = first_bytes_of_json(bytes(memoryview(value)[:TEXT]))
    else:
        found = b""
    return found if len(found) >= LEAST else b""


def first_bytes_of_json(text: bytes) -> bytes:
    """The same of the beginning, up to TEXT bytes, of a field's JSON text."""
    text = text.lstrip(_SPACE)
    quoted = text[:1] == b'"'
    found = _from_text(text[1:].partition(b'"')[0]) if quoted else _from_json(text)
    return found if len(found) >= LEAST else b""


def _from_json(text: bytes) -> bytes:
    end = text.rfind(b",")
    if end < 0:
        return b""
    try:
        if text[:1] == b"[":
            return _from_numbers(_numbers.decode(text[:end] + b"]")[:COUNT])
        if text[:1] == b"{":
            return _from_pairs(islice(_pairs.decode(text[:end] + b"}").items(), COUNT))
    except msgspec.DecodeError:
        pass  # told, with the reason, by whoever decodes all of it
    return b""


def _from_text(text: bytes) -> bytes:
    text = text.replace(b"\\/", b"/").replace(b"\\n", b"").replace(b"\\r", b"")
    url = _DATA_URL.match(text)
    if url:
        text = text[url.end() :]
    text = text.translate(_FOR_URLS, _SPACE)[: COUNT // 3 * 4]
    try:
        return binascii.a2b_base64(text[: len(text) // 4 * 4], strict_mode=True)
    except binascii.Error:
        return b""


def _from_numbers(numbers: Sequence[Any]) -> bytes:
    try:
        whole = [int(number) for number in numbers]
        return bytes(whole) if whole == numbers else b""
    except (TypeError, ValueError, OverflowError):
        return b""


def _from_pairs(pairs: Iterable[tuple[Any, Any]]) -> bytes:
    """Of a Uint8Array's "0", "1", … in their order."""
    found = list(pairs)
    if any(str(key) != str(at) for at, (key, _) in enumerate(found)):
        return b""
    return _from_numbers([value for _, value in found])
