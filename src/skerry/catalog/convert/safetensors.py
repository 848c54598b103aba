"""Read a safetensors file: a length, a JSON header, the bytes. Source: the format's README."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from skerry.errors import ConversionFailed

_TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "U8": "u1"}
MAX_HEADER = 100 << 20


class _Tensor(msgspec.Struct):
    dtype: str
    shape: list[int]
    data_offsets: tuple[int, int]


def read_safetensors(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Tensors by name, float32 where the file has BF16. Raises ConversionFailed."""
    try:
        return _read(path)
    except (struct.error, msgspec.DecodeError, ValueError, KeyError) as error:
        raise ConversionFailed(f"{path.name} is not a safetensors file: {error}") from error


def _read(path: Path) -> dict[str, npt.NDArray[Any]]:
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        if length > MAX_HEADER:
            raise ValueError(f"header of {length} bytes")
        header = msgspec.json.decode(file.read(length), type=dict[str, Any])
    data = np.memmap(path, np.uint8, "r", offset=8 + length)
    out: dict[str, npt.NDArray[Any]] = {}
    for name, raw in header.items():
        if name == "__metadata__":
            continue
        tensor = msgspec.convert(raw, _Tensor)
        start, end = tensor.data_offsets
        if not 0 <= start <= end <= data.size:
            raise ValueError(f"{name} lies outside the file")
        out[name] = _array(np.asarray(data[start:end]), tensor)
    return out


def _array(raw: npt.NDArray[np.uint8], tensor: _Tensor) -> npt.NDArray[Any]:
    if tensor.dtype == "BF16":
        wide = raw.view("<u2").astype(np.uint32) << 16
        return wide.view(np.float32).reshape(tensor.shape)
    return raw.view(_TYPES[tensor.dtype]).reshape(tensor.shape)
