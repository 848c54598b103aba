"""A configuration file as a value, with the place of every key and value in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from skerry.errors import ProjectError
from skerry.workers.diagnostics import Diagnostic, Level, Spot

Keys = tuple[str | int, ...]
"""The way to a value: names and list indexes."""


class Document(msgspec.Struct, frozen=True):
    """value: what the file says.  keys, values: the way to a value -> where it stands.

    A list's items have no key. Every way in `keys` is one in `values`.
    """

    file: Path
    value: dict[str, Any]
    keys: dict[Keys, Spot]
    values: dict[Keys, Spot]
    repeated: tuple[Keys, ...] = ()
    """Names that stood twice in one object; the last one counts."""

    def say(self, level: Level, message: str, way: Keys, *, of_key: bool = False) -> Diagnostic:
        """A remark about the value at `way`, or about its key."""
        places = (self.keys, self.values) if of_key else (self.values, self.keys)
        for places_of in places:
            spot = places_of.get(way)
            if spot is not None:
                return Diagnostic(level, message, self.file, spot.line, spot.column)
        return self.say(level, message, way[:-1]) if way else Diagnostic(level, message, self.file)


def broken(file: Path, message: str, spot: Spot) -> ProjectError:
    """The error for a file that cannot be parsed."""
    return ProjectError(f"{file}:{spot.line}:{spot.column}: {message}")


def dotted(way: Keys) -> str:
    """The way as one writes it: `d1_databases[0].binding`."""
    out = ""
    for part in way:
        out += f"[{part}]" if isinstance(part, int) else f".{part}" if out else part
    return out
