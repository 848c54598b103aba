"""Read a torch checkpoint without torch and without running what a pickle may say.

The unpickler knows three kinds of names, which build plain tensors; anything else is refused.
Both forms are read: the zip (since torch 1.6) and the older stream of pickles.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from skerry.errors import ConversionFailed

Array = npt.NDArray[Any]
_STORAGES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
}
_BROKEN = (
    *(pickle.UnpicklingError, zipfile.BadZipFile, EOFError, LookupError, ValueError, TypeError),
    *(AttributeError, OverflowError, MemoryError, RecursionError, SystemError, StopIteration),
)
"""What broken bytes make pickle and zipfile raise."""
_MAGIC = 0x1950A86A20F9469CFC6C


class _Storage:
    """Numbers that tensors are views of; filled once the pickle has been read."""

    def __init__(self, key: str, length: int, dtype: str) -> None:
        self.key, self.length, self.dtype = key, length, dtype
        self.values: Array | None = None


class _Tensor:
    def __init__(
        self, storage: _Storage, offset: int, shape: tuple[int, ...], stride: tuple[int, ...]
    ) -> None:
        self.storage, self.offset, self.shape, self.stride = storage, offset, shape, stride

    def array(self) -> Array:
        """The numbers; never any outside the storage."""
        values = self.storage.values
        if values is None:
            raise ConversionFailed(f"the checkpoint has no storage {self.storage.key}")
        spans = zip(self.shape, self.stride, strict=True)
        last = self.offset + sum((n - 1) * step for n, step in spans)
        if min((self.offset, *self.shape, *self.stride)) < 0 or last >= values.size:
            raise ConversionFailed("a tensor of the checkpoint lies outside its storage")
        steps = [step * values.itemsize for step in self.stride]
        view = np.lib.stride_tricks.as_strided(values[self.offset :], self.shape, steps)
        return view.copy()


def _rebuild(
    storage: _Storage, offset: int, shape: tuple[int, ...], stride: tuple[int, ...], *_: object
) -> _Tensor:
    return _Tensor(storage, offset, shape, stride)


class _Metadata(OrderedDict[str, Any]):
    """An ordered dict that a pickle may set attributes on (torch adds `_metadata`)."""


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild
        if (module, name) == ("collections", "OrderedDict"):
            return _Metadata
        if module == "torch" and name in _STORAGES:
            return name
        raise pickle.UnpicklingError(f"the checkpoint names {module}.{name}, which is refused")

    def persistent_load(self, pid: Any) -> _Storage:
        _, kind, key, _, length = pid[:5]
        return self.storages.setdefault(key, _Storage(key, int(length), _STORAGES[kind]))


def read_checkpoint(path: Path) -> dict[str, Array]:
    """Tensors by name. Raises ConversionFailed."""
    try:
        return _from_zip(path) if zipfile.is_zipfile(path) else _from_stream(path)
    except _BROKEN as error:
        raise ConversionFailed(f"{path.name} is not a checkpoint of tensors: {error}") from error


def _tensors(loaded: Mapping[str, Any]) -> dict[str, Array]:
    return {name: value.array() for name, value in loaded.items() if isinstance(value, _Tensor)}


def _from_zip(path: Path) -> dict[str, Array]:
    with zipfile.ZipFile(path) as file:
        root = next(n for n in file.namelist() if n.endswith("data.pkl")).removesuffix("data.pkl")
        reader = _Unpickler(io.BytesIO(file.read(f"{root}data.pkl")))
        loaded = reader.load()
        for storage in reader.storages.values():
            raw = file.read(f"{root}data/{storage.key}")
            storage.values = np.frombuffer(raw, storage.dtype)[: storage.length]
    return _tensors(loaded)


def _from_stream(path: Path) -> dict[str, Array]:
    """Magic, protocol, system, the object, the keys of its storages, then their numbers."""
    with path.open("rb") as file:
        if _Unpickler(file).load() != _MAGIC:
            raise ConversionFailed(f"{path.name} is not a torch checkpoint")
        _Unpickler(file).load()
        _Unpickler(file).load()
        reader = _Unpickler(file)
        loaded = reader.load()
        for key in _Unpickler(file).load():
            storage = reader.storages[key]
            length = int.from_bytes(file.read(8), "little")
            dtype = np.dtype(storage.dtype)
            storage.values = np.frombuffer(file.read(length * dtype.itemsize), dtype)
    return _tensors(loaded)
