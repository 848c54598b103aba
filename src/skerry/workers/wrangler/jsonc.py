"""JSON with comments and trailing commas, each value with its place.

Exact: what is JSON (RFC 8259) gives the value that Python's json gives; beside it only `//` and
`/* */` comments, one comma after a last item, and a byte order mark are taken.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from skerry.workers.diagnostics import Lines, Spot
from skerry.workers.wrangler.document import Document, Keys, broken

DEEPEST = 100
"""Objects and lists within one another; past it the file is refused."""

_BLANK = re.compile(r"[ \t\r\n]+")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?(?![\w.+-])")
_WORD = re.compile(r"[A-Za-z_$][\w$]*")
_CONTROL = re.compile(r"[\x00-\x1f]")
_WORDS = {"true": True, "false": False, "null": None}


def parse(text: str, file: Path) -> Document:
    """The document. Raises ProjectError naming file, line and column."""
    return _Parser(text, file).document()


class _Parser:
    def __init__(self, text: str, file: Path) -> None:
        self.text = text
        self.file = file
        self.lines = Lines(text)
        self.at = 1 if text.startswith("\ufeff") else 0
        self.keys: dict[Keys, Spot] = {}
        self.values: dict[Keys, Spot] = {}
        self.repeated: list[Keys] = []

    def document(self) -> Document:
        self.blank()
        value = self.value(())
        self.blank()
        if self.at < len(self.text):
            self.fail("the file goes on after its value")
        if not isinstance(value, dict):
            self.fail("a configuration is an object: { … }", 0)
        return Document(self.file, value, self.keys, self.values, tuple(self.repeated))

    def fail(self, message: str, at: int | None = None) -> NoReturn:
        raise broken(self.file, message, self.lines.spot(self.at if at is None else at))

    def blank(self) -> None:
        """Steps over white space and comments."""
        text = self.text
        while True:
            blank = _BLANK.match(text, self.at)
            if blank:
                self.at = blank.end()
            elif text.startswith("//", self.at):
                ends = [at for at in (text.find(c, self.at) for c in "\r\n") if at >= 0]
                self.at = min(ends, default=len(text))
            elif text.startswith("/*", self.at):
                end = text.find("*/", self.at + 2)
                if end < 0:
                    self.fail("this comment never ends")
                self.at = end + 2
            else:
                return

    def value(self, way: Keys) -> Any:
        self.values[way] = self.lines.spot(self.at)
        if len(way) > DEEPEST:
            self.fail(f"nested more than {DEEPEST} deep")
        first = self.text[self.at : self.at + 1]
        if first == "{":
            return self.object(way)
        if first == "[":
            return self.list(way)
        if first == '"':
            return self.string()
        number = _NUMBER.match(self.text, self.at)
        if number:
            self.at = number.end()
            whole = number[1] is None and number[2] is None
            try:
                return int(number[0]) if whole else float(number[0])
            except ValueError:  # Python takes no whole numbers of more than 4300 digits
                self.fail("a number with too many digits", number.start())
        word = _WORD.match(self.text, self.at)
        if word and word[0] in _WORDS:
            self.at = word.end()
            return _WORDS[word[0]]
        if not first:
            self.fail("the file ends where a value should stand")
        what = word[0] if word else first
        return self.fail(f"a value should stand here, not {what[:40]!r}")

    def object(self, way: Keys) -> dict[str, Any]:
        out: dict[str, Any] = {}

        def item() -> None:
            start = self.at
            if self.text[start : start + 1] != '"':
                self.fail('a name in double quotes should stand here, as in "name": …')
            name = self.string()
            here = (*way, name)
            if name in out:
                self.repeated.append(here)
            self.keys[here] = self.lines.spot(start)
            self.blank()
            if self.text[self.at : self.at + 1] != ":":
                self.fail(f'a colon should follow "{name}"')
            self.at += 1
            self.blank()
            out[name] = self.value(here)

        self.items("}", item)
        return out

    def list(self, way: Keys) -> list[Any]:
        out: list[Any] = []
        self.items("]", lambda: out.append(self.value((*way, len(out)))))
        return out

    def items(self, close: str, item: Callable[[], None]) -> None:
        """Reads items up to `close`, with commas between and perhaps one after the last."""
        opened = self.at
        self.at += 1
        self.blank()
        while self.text[self.at : self.at + 1] != close:
            if self.at >= len(self.text):
                self.fail(f"{self.text[opened]} is never closed", opened)
            item()
            self.blank()
            after = self.text[self.at : self.at + 1]
            if after == ",":
                self.at += 1
                self.blank()
            elif not after:
                self.fail(f"{self.text[opened]} is never closed", opened)
            elif after != close:
                self.fail(f"a comma or {close} should stand here")
        self.at += 1

    def string(self) -> str:
        start = self.at
        end = start + 1
        while True:
            quote = self.text.find('"', end)
            if quote < 0:
                self.fail("this string never ends", start)
            slashes = quote - len(self.text[start + 1 : quote].rstrip("\\")) - start - 1
            end = quote + 1
            if slashes % 2 == 0:
                break
        raw = self.text[start:end]
        control = _CONTROL.search(raw)
        if control:
            self.fail(
                "this string never ends"
                if control[0] in "\r\n"
                else f"a control character in a string: write \\u{ord(control[0]):04x}",
                start if control[0] in "\r\n" else start + control.start(),
            )
        try:
            value = json.loads(raw)
        except json.JSONDecodeError as error:
            raise broken(self.file, error.msg, self.lines.spot(start + error.pos)) from error
        if any("\ud800" <= each <= "\udfff" for each in value):
            self.fail("half of a surrogate pair in a string", start)
        self.at = end
        return str(value)
