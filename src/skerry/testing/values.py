"""Inputs and answers of models as JSON, and the key that an answer is found by.

{"$bytes": "…"}                                     base64
{"$array": {"dtype": "float32", "shape": […], "data": "…"}}   base64 of its bytes, little endian
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from typing import Any

import numpy as np

SHOWN = 200
"""Characters of a text, and entries of a list, that a cassette shows of the inputs."""
_KINDS = "biuf"
"""Numbers: the kinds of arrays that are kept. Others would need pickle."""


def packed(value: Any) -> Any:
    """`value` as JSON can hold it; `unpacked` gives it back. Raises TypeError."""
    if isinstance(value, bytes | bytearray | memoryview):
        return {"$bytes": base64.b64encode(bytes(value)).decode()}
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in _KINDS:
            raise TypeError(f"an array of {value.dtype} cannot be kept")
        plain = np.ascontiguousarray(value, value.dtype.newbyteorder("<"))
        data = base64.b64encode(plain.tobytes()).decode()
        return {"$array": {"dtype": value.dtype.name, "shape": list(value.shape), "data": data}}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, dict):
        return {str(key): packed(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [packed(each) for each in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"a {type(value).__name__} cannot be kept")


def unpacked(value: Any) -> Any:
    """What `packed` was given. Raises ValueError for what it cannot have made."""
    if isinstance(value, list):
        return [unpacked(each) for each in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"$bytes"}:
        return _bytes(value["$bytes"])
    if value.keys() == {"$array"}:
        try:
            told = value["$array"]
            kind = np.dtype(told["dtype"]).newbyteorder("<")
            if kind.kind not in _KINDS:
                raise ValueError(f"an array of {kind}")
            flat = np.frombuffer(_bytes(told["data"]), kind).astype(kind.newbyteorder("="))
            return flat.reshape(told["shape"])
        except (KeyError, TypeError) as error:
            raise ValueError(f"not an array: {error!r}") from error
    return {key: unpacked(each) for key, each in value.items()}


def _bytes(text: Any) -> bytes:
    if not isinstance(text, str):
        raise ValueError("bytes are base64 text")  # noqa: TRY004  a file's fault, as the others
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"not base64: {error}") from error


def key_of(model: str, inputs: Any) -> str:
    """The same for the same model and inputs, whatever the order of their fields."""
    text = json.dumps(
        [model, packed(inputs)], sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def shown(value: Any) -> Any:
    """`value` for a reader of the cassette: what is long is cut."""
    if isinstance(value, bytes | bytearray | memoryview):
        return f"{len(value)} bytes"
    if isinstance(value, str):
        return value if len(value) <= SHOWN else f"{value[:SHOWN]}… ({len(value)} characters)"
    if isinstance(value, list | tuple):
        if len(value) > SHOWN:
            return f"{len(value)} entries"
        return [shown(each) for each in value]
    if isinstance(value, dict):
        return {str(key): shown(each) for key, each in value.items()}
    return packed(value)
