"""What there is to say about a project's configuration: level, words, file, line and column."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from skerry.errors import ProjectError

Level = Literal["error", "warning"]


class Spot(msgspec.Struct, frozen=True):
    """A place in a text. Both count from 1; a column counts characters."""

    line: int
    column: int


class Diagnostic(msgspec.Struct, frozen=True):
    """One remark. line and column count from 1; 0 where it is about the file as a whole."""

    level: Level
    message: str
    file: Path
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.place()}: {self.level}: {self.message}"

    def place(self, root: Path | None = None) -> str:
        """`file:line:column`, the file relative to `root` where it lies below it."""
        file = self.file
        if root is not None and file.is_relative_to(root):
            file = file.relative_to(root)
        return f"{file}:{self.line}:{self.column}" if self.line else str(file)


class Lines:
    """Finds the line and column of an offset in one text."""

    def __init__(self, text: str) -> None:
        self._starts = [0, *(end.end() for end in re.finditer("\n", text))]

    def spot(self, offset: int) -> Spot:
        """Where the character number `offset` stands."""
        line = bisect_right(self._starts, offset)
        return Spot(line, offset - self._starts[line - 1] + 1)


def written(diagnostics: Iterable[Diagnostic], root: Path | None = None) -> str:
    """The diagnostics for a terminal: errors first, then in order of place."""
    lines = sorted(diagnostics, key=lambda each: (each.level != "error", str(each.file), each.line))
    return "\n".join(f"{each.place(root)}: {each.level}: {each.message}" for each in lines)


def refuse(diagnostics: Sequence[Diagnostic]) -> None:
    """Raises ProjectError with every error in one message, if there is one."""
    errors = [each for each in diagnostics if each.level == "error"]
    if errors:
        raise ProjectError("\n".join(f"{each.place()}: {each.message}" for each in errors))
