"""Headers: case-insensitive, several values to a name, with Python's names and JavaScript's."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
BAD_VALUE = re.compile("[\x00\r\n]")


class Headers:
    """As a mapping: `headers["x"]` (None where there is none), `items()`, `get_all()`.

    Raises TypeError for a name that is no token and a value with a line break in it.
    """

    def __init__(self, init: Any = None) -> None:
        self._pairs: list[tuple[str, str]] = []
        for name, value in pairs_of(init):
            self.append(name, value)

    @classmethod
    def new(cls, init: Any = None) -> Headers:
        return cls(init)

    def append(self, name: str, value: Any) -> None:
        """One more value of this name."""
        value = str(value).strip(" \t\r\n")
        if not TOKEN.fullmatch(name):
            raise TypeError(f"{name[:80]!r} is no name of a header")
        if BAD_VALUE.search(value):
            raise TypeError(f"the header {name} may hold no line break and no NUL")
        self._pairs.append((name, value))

    add_header = append

    def set(self, name: str, value: Any) -> None:
        """This value in place of all of this name."""
        before = self._pairs
        self.append(name, value)
        made = self._pairs[-1]
        low = name.lower()
        self._pairs = [pair for pair in before[:-1] if pair[0].lower() != low] + [made]

    __setitem__ = set

    def delete(self, name: str) -> None:
        low = name.lower()
        self._pairs = [pair for pair in self._pairs if pair[0].lower() != low]

    __delitem__ = delete

    def setdefault(self, name: str, value: Any) -> str:
        if name not in self:
            self.set(name, value)
        return self[name] or ""

    def get_all(self, name: str, default: Any = None) -> Any:
        """The values of this name, each for itself."""
        low = name.lower()
        found = [value for key, value in self._pairs if key.lower() == low]
        return found or default

    getall = getAll = get_all

    def getSetCookie(self) -> list[str]:
        return list(self.get_all("set-cookie", []))

    def get(self, name: str, default: Any = None) -> Any:
        """The values of this name in one, parted by commas."""
        found = self.get_all(name)
        return ", ".join(found) if found else default

    def __getitem__(self, name: str) -> str | None:
        found: str | None = self.get(name)
        return found

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.get_all(name) is not None

    def has(self, name: str) -> bool:
        return name in self

    def raw(self) -> list[tuple[str, str]]:
        """Name and value as they were given, in order."""
        return list(self._pairs)

    def entries(self) -> Iterator[tuple[str, str]]:
        """Lower-case names in order, values of one name joined, but each Set-Cookie for itself."""
        for name in sorted({name.lower() for name, _ in self._pairs}):
            if name == "set-cookie":
                yield from ((name, value) for value in self.getSetCookie())
            else:
                yield name, self.get(name)

    def items(self) -> Iterator[tuple[str, str]]:
        return self.entries()

    def keys(self) -> Iterator[str]:
        return iter(sorted({name.lower() for name, _ in self._pairs}))

    def values(self) -> Iterator[str]:
        return (value for _, value in self.entries())

    def __iter__(self) -> Iterator[Any]:
        return self.keys()

    def __len__(self) -> int:
        return len(list(self.keys()))

    def forEach(self, call: Callable[..., Any]) -> None:
        for name, value in self.entries():
            call(value, name)

    def to_py(self, **_: Any) -> dict[str, str]:
        return dict(self.entries())

    @property
    def js_object(self) -> JsHeaders:
        return JsHeaders(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.to_py()!r})"


class JsHeaders(Headers):
    """The same, iterated as JavaScript does it: pairs of name and value."""

    def __iter__(self) -> Iterator[Any]:
        return self.entries()

    @property
    def js_object(self) -> JsHeaders:
        return self


def pairs_of(init: Any) -> Iterable[tuple[str, Any]]:
    """Name and value of whatever describes headers: a mapping, pairs, or Headers."""
    if init is None:
        return []
    if isinstance(init, Headers):
        return init.raw()
    if isinstance(init, dict):
        return list(dict.items(init))
    if isinstance(init, Mapping) or hasattr(init, "items"):
        return list(init.items())
    return [(pair[0], pair[1]) for pair in init]
