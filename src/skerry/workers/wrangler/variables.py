"""`.dev.vars` and `.env` files: NAME=value lines as dotenv reads them, told where they are not.

A value may stand in single, double or back quotes, over several lines; within double quotes \\n and
\\r are line ends. Without quotes it ends at a # or at the line's end. `export` may stand before.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import msgspec

from skerry.errors import ProjectError
from skerry.workers.diagnostics import Diagnostic, Lines

_NAME = re.compile(r"(?:export[ \t]+)?([\w.-]+)(?:[ \t]*=|:(?=[ \t]))[ \t]*")
_QUOTED = re.compile(r"(['\"`])((?:\\\1|(?!\1).)*)\1[ \t]*(?:#[^\n]*)?(?=\n|\Z)", re.DOTALL)
_PLAIN = re.compile(r"[^#\n]*")
_LINE = re.compile(r"[^\n]*")
_REFERENCE = re.compile(r"(?<!\\)\$(?:\{([^{}]+)\}|([A-Za-z_][A-Za-z0-9_]*))")
_OPERATOR = re.compile(r":\+|\+|:-|-")
_MOST = 50
"""Replacements in one value; a value that needs more refers to itself."""


class Variables(msgspec.Struct, frozen=True):
    """What one file says, and the lines that say nothing."""

    values: dict[str, str]
    diagnostics: tuple[Diagnostic, ...]


def read(file: Path) -> Variables | None:
    """The variables of a file; None if there is none. Raises ProjectError."""
    try:
        text = file.read_text("utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeError) as error:
        raise ProjectError(f"{file}: cannot be read as UTF-8: {error}") from error
    return parse(text, file)


def parse(text: str, file: Path) -> Variables:
    """The variables in `text`; the last value of a name counts."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    lines = Lines(text)
    values: dict[str, str] = {}
    odd: list[Diagnostic] = []
    at = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        found = _NAME.match(text, at) if text[at] != "#" else None
        if found:
            values[found[1]], at = _value(text, found.end())
        elif text[at] != "#":
            spot = lines.spot(at)
            message = "this line is left out: it is not NAME=value"
            odd.append(Diagnostic("warning", message, file, spot.line, spot.column))
        rest = _LINE.match(text, at)  # a comment, or what was not understood
        at = rest.end() if rest else at
    return Variables(values, tuple(odd))


def _value(text: str, at: int) -> tuple[str, int]:
    """The value that starts at `at`, and where it ends."""
    quoted = _QUOTED.match(text, at)
    if quoted:
        return _unescaped(quoted[2], quoted[1]), quoted.end()
    plain = _PLAIN.match(text, at)
    assert plain  # it matches the empty string too
    value = plain[0].strip()
    quote = value[:1]
    if quote in ("'", '"', "`") and len(value) > 1 and value.endswith(quote):
        value = value[1:-1]
    return _unescaped(value, quote), plain.end()


def _unescaped(value: str, quote: str) -> str:
    return value.replace("\\n", "\n").replace("\\r", "\r") if quote == '"' else value


def expand(values: Mapping[str, str]) -> dict[str, str]:
    """The values with `$NAME` and `${NAME:-default}` replaced by what stands before them.

    An unknown name is empty; `\\$` is a dollar sign.
    """
    out: dict[str, str] = {}
    for name, value in values.items():
        current = value
        for _ in range(_MOST):
            reference = _REFERENCE.search(current)
            if reference is None:
                break
            meant = _meant(reference[1] or reference[2], out)
            current = current[: reference.start()] + meant + current[reference.end() :]
        out[name] = current.replace("\\$", "$")
    return out


def _meant(expression: str, known: Mapping[str, str]) -> str:
    operator = _OPERATOR.search(expression)
    if operator is None:
        return known.get(expression, "")
    name, other = expression[: operator.start()], expression[operator.end() :]
    value = known.get(name, "")
    if operator[0].endswith("+"):
        return other if value else ""
    return value or other
