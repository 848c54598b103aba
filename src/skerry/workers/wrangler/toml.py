"""TOML: the values are tomllib's, the places come from a walk over the text.

tomllib tells no places, and the libraries that keep the text keep no line numbers. The walk comes
after tomllib has taken the text, so it only follows what is known to be valid.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from skerry.workers.diagnostics import Lines, Spot
from skerry.workers.wrangler.document import Document, Keys, broken

_BLANK = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)+")
_STRING = re.compile(
    "|".join(
        (
            r'"""(?:\\.|[^\\])*?"{3,5}',  # up to two quotes may stand before the closing three
            r"'''.*?'{3,5}",
            r'"(?:\\.|[^"\\\n])*"',
            r"'[^'\n]*'",
        )
    ),
    re.DOTALL,
)
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR = re.compile(r"[^,\]}#\n\r]+")
_TABLE = re.compile(r"\[(\[?)[ \t]*")
_AT = re.compile(r"\(at line (\d+), column (\d+)\)")


def parse(text: str, file: Path) -> Document:
    """The document. Raises ProjectError naming file, line and column."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    try:
        value = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        at = _AT.search(str(error))
        end = Lines(text).spot(len(text))
        spot = Spot(int(at[1]), int(at[2])) if at else end
        raise broken(file, str(error).split(" (at ")[0], spot) from error
    except RecursionError as error:
        raise broken(file, "nested too deep", Spot(1, 1)) from error
    walk = _Walk(text)
    walk.document()
    return Document(file, value, walk.keys, walk.values)


class _Walk:
    """Steps through valid TOML and notes where keys and values stand."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.lines = Lines(text)
        self.at = 0
        self.keys: dict[Keys, Spot] = {}
        self.values: dict[Keys, Spot] = {(): Spot(1, 1)}
        self.lengths: dict[Keys, int] = {}
        """Of each list of tables, how many there have been."""

    def document(self) -> None:
        table: Keys = ()
        self.blank()
        while self.at < len(self.text):
            head = _TABLE.match(self.text, self.at)
            if head:
                start = self.at
                self.at = head.end()
                table = self.table(self.key(), start, is_list=bool(head[1]))
                self.at = self.text.index("]", self.at) + len(head[1]) + 1
            else:
                self.pair(table)
            self.blank()

    def table(self, names: list[tuple[str, Spot]], start: int, *, is_list: bool) -> Keys:
        """Notes a `[head]`; the way that its keys are below."""
        way: Keys = ()
        for number, (name, spot) in enumerate(names):
            way = (*way, name)
            self.note(way, spot, spot)
            last = number == len(names) - 1
            if last and is_list:
                self.lengths[way] = self.lengths.get(way, 0) + 1
            if way in self.lengths:
                way = (*way, self.lengths[way] - 1)
                self.values.setdefault(way, self.lines.spot(start))
        return way

    def note(self, way: Keys, key: Spot, value: Spot) -> None:
        self.keys.setdefault(way, key)
        self.values.setdefault(way, value)

    def pair(self, table: Keys) -> None:
        """One `key = value`, the key perhaps dotted."""
        names = self.key()
        self.at = self.text.index("=", self.at) + 1
        self.spaces()
        way = table
        for name, spot in names[:-1]:
            way = (*way, name)
            self.note(way, spot, spot)
        name, spot = names[-1]
        self.note((*way, name), spot, self.lines.spot(self.at))
        self.value((*way, name))

    def key(self) -> list[tuple[str, Spot]]:
        """The parts of a key, each with its place."""
        parts = []
        while True:
            self.spaces()
            spot = self.lines.spot(self.at)
            quoted = _STRING.match(self.text, self.at)
            bare = _BARE.match(self.text, self.at)
            if quoted:
                self.at = quoted.end()
                parts.append((_unquoted(quoted[0]), spot))
            else:
                assert bare, self.text[self.at :]
                self.at = bare.end()
                parts.append((bare[0], spot))
            self.spaces()
            if not self.text.startswith(".", self.at):
                return parts
            self.at += 1

    def value(self, way: Keys) -> None:
        self.values.setdefault(way, self.lines.spot(self.at))
        string = _STRING.match(self.text, self.at)
        if string:
            self.at = string.end()
        elif self.text.startswith("[", self.at):
            self.items("]", way)
        elif self.text.startswith("{", self.at):
            self.items("}", way)
        else:
            scalar = _SCALAR.match(self.text, self.at)
            assert scalar, self.text[self.at :]
            self.at = scalar.end()

    def items(self, close: str, way: Keys) -> None:
        self.at += 1
        self.blank()
        number = 0
        while not self.text.startswith(close, self.at):
            if close == "]":
                self.value((*way, number))
            else:
                self.pair(way)
            number += 1
            self.blank()
            if self.text.startswith(",", self.at):
                self.at += 1
                self.blank()
        self.at += 1

    def spaces(self) -> None:
        while self.text[self.at : self.at + 1] in (" ", "\t"):
            self.at += 1

    def blank(self) -> None:
        blank = _BLANK.match(self.text, self.at)
        if blank:
            self.at = blank.end()


def _unquoted(text: str) -> str:
    """A quoted key as tomllib reads it."""
    table: dict[str, Any] = tomllib.loads(f"{text} = 0")
    return next(iter(table))
