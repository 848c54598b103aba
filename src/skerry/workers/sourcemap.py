"""Source maps (ECMA-426): from a place in the bundle to the file, line and column it came from."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path

import msgspec

_DIGITS = {
    char: at
    for at, char in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
}
_FRAME = re.compile(r"(?:file:///bundle/)?(?P<file>worker\.js):(?P<line>\d+):(?P<column>\d+)")
_OURS = re.compile(r"\n[^\n]*skerry-entry\.js:\d+:\d+\)?(?=\n|$)")


class _Map(msgspec.Struct):
    version: int
    sources: list[str | None]
    mappings: str
    sourceRoot: str | None = None  # noqa: N815 (the format's name)


class Place(msgspec.Struct, frozen=True):
    """A place in a source. line and column count from 1."""

    source: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}"


def vlq(text: str) -> Iterator[int]:
    """The numbers of one segment. Raises ValueError for what is no base64 VLQ."""
    value = shift = 0
    for char in text:
        digit = _DIGITS.get(char)
        if digit is None or shift > 60:
            raise ValueError(f"{text[:40]!r} is no VLQ")
        value |= (digit & 31) << shift
        if digit & 32:
            shift += 5
            continue
        yield -(value >> 1) if value & 1 else value >> 1
        value = shift = 0
    if shift:
        raise ValueError(f"{text[:40]!r} ends within a number")


class SourceMap:
    """One map, decoded. `sources` are named relative to `root`."""

    def __init__(self, data: bytes, base: Path, root: Path) -> None:
        """base: the folder of the map, which its sources are relative to. Raises ValueError."""
        try:
            raw = msgspec.json.decode(data, type=_Map)
        except msgspec.DecodeError as error:
            raise ValueError(f"no source map: {error}") from error
        if raw.version != 3:
            raise ValueError(f"a source map of version {raw.version}, not 3")
        self._sources = [_named(each or "?", base, root) for each in raw.sources]
        self._lines: list[tuple[list[int], list[tuple[int, int, int] | None]]] = []
        self._decode(raw.mappings)

    def _decode(self, mappings: str) -> None:
        source = line = column = 0
        for text in mappings.split(";"):
            starts: list[int] = []
            places: list[tuple[int, int, int] | None] = []
            start = 0
            for segment in filter(None, text.split(",")):
                fields = list(vlq(segment))
                if len(fields) not in (1, 4, 5):
                    raise ValueError(f"a segment of {len(fields)} numbers")
                start += fields[0]
                starts.append(start)
                if len(fields) == 1:
                    places.append(None)
                    continue
                source += fields[1]
                line += fields[2]
                column += fields[3]
                if not 0 <= source < len(self._sources):
                    raise ValueError(f"a segment names source {source}, which there is not")
                places.append((source, line, column))
            self._lines.append((starts, places))

    def find(self, line: int, column: int) -> Place | None:
        """Where a place of the bundle came from; both count from 1. None for generated code."""
        if not 1 <= line <= len(self._lines):
            return None
        starts, places = self._lines[line - 1]
        at = bisect_right(starts, column - 1) - 1
        found = places[at] if at >= 0 else None
        if found is None:
            return None
        return Place(self._sources[found[0]], found[1] + 1, found[2] + 1)

    def trace(self, stack: str) -> str:
        """A stack trace of the bundle as one of the sources, without the frames of Skerry."""
        without = _OURS.sub("", stack)

        def put(match: re.Match[str]) -> str:
            place = self.find(int(match["line"]), int(match["column"]))
            return str(place) if place is not None else match[0]

        return _FRAME.sub(put, without)


def _named(source: str, base: Path, root: Path) -> str:
    path = Path(base, source).resolve()
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
