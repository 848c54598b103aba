"""A text of SQL into its statements, as SQLite would read them one after the other."""

from __future__ import annotations

import re
from collections.abc import Iterator

import apsw

_TOKEN = re.compile(
    r"""
    (?P<quoted> '(?:[^']|'')*' | "(?:[^"]|"")*" | `(?:[^`]|``)*` | \[[^\]]*\] )
  | (?P<comment> --[^\n]* | /\*(?:[^*]|\*(?!/))*(?:\*/)? )
  | (?P<end> ; )
    """,
    re.VERBOSE,
)
_TRIGGER = re.compile(r"\s*create\s+(?:temp\s+|temporary\s+)?trigger\b", re.IGNORECASE)
_NOT_CODE = re.compile(r"--[^\n]*|/\*(?:[^*]|\*(?!/))*(?:\*/)?")


def split(sql: str) -> Iterator[str]:
    """Each statement with its semicolon; what holds nothing but comments is left out."""
    start = 0
    code = False  # has the statement begun?
    trigger = False
    last = 0
    for token in _TOKEN.finditer(sql):
        between = sql[last : token.start()]
        if not code and between.strip():
            code = True
            trigger = (
                _TRIGGER.match(_NOT_CODE.sub(" ", sql[start : token.start() + 200])) is not None
            )
        last = token.end()
        if token["quoted"]:
            code = True
        if token["end"] is None:
            continue
        statement = sql[start:last]
        # In a trigger's body a semicolon ends a statement of the body, not the trigger.
        if trigger and not apsw.complete(statement):
            continue
        if code:
            yield statement.strip()
        start, code, trigger = last, False, False
    if code or sql[last:].strip():
        yield sql[start:].strip()
