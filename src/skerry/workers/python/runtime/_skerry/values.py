"""Plain values with both faces: `result["response"]` and `result.response`.

Published workers see JavaScript objects through Pyodide and use them either way, ask arrays for
`.length`, bytes for `.to_bytes()` and dates for `.toISOString()`; here all of these are ordinary
dicts, lists, bytes and datetimes that also answer to those names.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any


class Array(list[Any]):
    """A list with JavaScript's `length` and `push`, and Pyodide's `to_py`."""

    @property
    def length(self) -> int:
        return len(self)

    def push(self, *items: Any) -> int:
        self.extend(items)
        return len(self)

    def at(self, index: int) -> Any:
        return self[index] if -len(self) <= index < len(self) else None

    def to_py(self, **_: Any) -> list[Any]:
        return [plain(item) for item in self]


class _Shadow(Array):
    """A list under a name that dicts use for a method: `listed.keys` and `listed.keys()`."""

    def __init__(self, items: Iterable[Any], method: Callable[..., Any]) -> None:
        super().__init__(items)
        self._method = method

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._method(*args, **kwargs)


SHADOWED = frozenset(("keys", "items", "values", "get", "pop", "copy", "update", "clear"))


class Result(dict[str, Any]):
    """A dict whose items are attributes too, all the way down."""

    def __getattribute__(self, name: str) -> Any:
        if name in SHADOWED:
            held = dict.get(self, name)
            if isinstance(held, list):
                return _Shadow(held, dict.__getattribute__(self, name))
        return super().__getattribute__(name)

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"{name!r}: there are {', '.join(self) or 'no fields'}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def to_py(self, **_: Any) -> dict[str, Any]:
        return {name: plain(value) for name, value in dict.items(self)}

    def object_entries(self) -> list[tuple[str, Any]]:
        return list(dict.items(self))

    def object_keys(self) -> list[str]:
        return list(self)

    def object_values(self) -> list[Any]:
        return list(dict.values(self))

    def as_object_map(self, **_: Any) -> Result:
        return self

    def as_py_json(self) -> Result:
        return self


class Uint8Array(bytes):
    """Bytes as JavaScript's typed arrays and Pyodide's buffers show them."""

    @property
    def buffer(self) -> Uint8Array:
        return self

    @property
    def length(self) -> int:
        return len(self)

    @property
    def byteLength(self) -> int:
        return len(self)

    def to_bytes(self) -> bytes:
        return bytes(self)

    def tobytes(self) -> bytes:
        return bytes(self)

    def to_py(self, **_: Any) -> memoryview:
        return memoryview(self)

    def to_memoryview(self) -> memoryview:
        return memoryview(self)

    def to_string(self, encoding: str = "utf-8") -> str:
        return self.decode(encoding)


class Date(dt.datetime):
    """An aware datetime with JavaScript's `toISOString` and `getTime`."""

    @classmethod
    def at(cls, seconds: float) -> Date:
        """The moment so many seconds after 1970."""
        return cls.fromtimestamp(seconds, dt.UTC)

    def getTime(self) -> int:
        return int(self.timestamp() * 1000)

    def valueOf(self) -> int:
        return self.getTime()

    def toISOString(self) -> str:
        moment = self.astimezone(dt.UTC)
        return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"

    def toJSON(self) -> str:
        return self.toISOString()


def result(value: Any) -> Any:
    """The value with Result for dicts and Array for lists, all the way down."""
    if isinstance(value, dict):
        return Result({name: result(item) for name, item in dict.items(value)})
    if isinstance(value, list | tuple):
        return Array(result(item) for item in value)
    return value


def plain(value: Any) -> Any:
    """The value with dicts and lists of Python's own, all the way down."""
    if isinstance(value, dict):
        return {name: plain(item) for name, item in dict.items(value)}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def _unknown(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        moment = value if value.tzinfo else value.replace(tzinfo=dt.UTC)
        return Date.at(moment.timestamp()).toISOString()
    if isinstance(value, bytes | bytearray | memoryview):
        # as JSON.stringify writes a Uint8Array
        return {str(index): byte for index, byte in enumerate(bytes(value))}
    if isinstance(value, Mapping):
        return dict(value)
    for name in ("tolist", "to_py"):  # numpy arrays and scalars; objects of these shims
        convert = getattr(value, name, None)
        if callable(convert):
            return convert()
    if isinstance(value, set | frozenset | Iterable):
        return list(value)
    raise TypeError(f"a {type(value).__name__} cannot be written as JSON")


def dumps(value: Any) -> str:
    """JSON as `JSON.stringify` writes it; numpy arrays as arrays, NaN as null."""
    value = plain(value)
    options: dict[str, Any] = {"default": _unknown, "separators": (",", ":"), "ensure_ascii": False}
    try:
        return json.dumps(value, allow_nan=False, **options)
    except ValueError as error:
        if "JSON compliant" not in str(error):
            raise
        return json.dumps(_finite(json.loads(json.dumps(value, **options))), **options)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    if isinstance(value, float) and value - value != 0:
        return None
    return value


def loads(text: str | bytes) -> Any:
    """JSON into Result and Array."""
    return result(json.loads(text))


def options(given: Any, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """One dict of the options object and the keyword arguments; snake_case becomes camelCase."""
    merged: dict[str, Any] = {} if given is None else dict(dict.items(given))
    merged.update(kwargs)
    return {_camel(name): value for name, value in merged.items() if value is not None}


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in rest)
