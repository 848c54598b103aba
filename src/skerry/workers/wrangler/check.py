"""Holds a document against the tables of keys: what is unknown, wrong, or without effect."""

from __future__ import annotations

import math
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

from skerry.workers.diagnostics import Diagnostic, Level
from skerry.workers.wrangler.document import Document, Keys, dotted
from skerry.workers.wrangler.schema import (
    Anything,
    Either,
    Flag,
    Key,
    Kind,
    ListOf,
    MapOf,
    Number,
    Table,
    Text,
)


def check(
    document: Document, table: Table, way: Keys = (), *, only_faults: bool = False
) -> Iterator[Diagnostic]:
    """What there is to say about the table at `way`.

    A wrong type or a missing key is an error; an unknown key, one without effect and one that is
    not supported is a warning, unless nothing can run with it. only_faults: for an environment
    that was not chosen: every fault is a warning, and what has no effect is not told.
    """
    value: Any = document.value
    for part in way:
        value = value[part]
    checker = _Checker(document, "warning" if only_faults else "error", quiet=only_faults)
    yield from checker.table(value, table, way)


class _Checker:
    def __init__(self, document: Document, fault: Level, *, quiet: bool) -> None:
        self.document = document
        self.fault = fault
        self.quiet = quiet

    def table(self, value: dict[str, Any], table: Table, way: Keys) -> Iterator[Diagnostic]:
        for key in table.keys:
            if key.required and key.name not in value:
                message = f"`{dotted((*way, key.name))}` is missing"
                yield self.document.say(self.fault, message, way)
        for name, inner in value.items():
            here = (*way, name)
            key_of = table.find(name)
            if key_of is None:
                yield self.unknown(table, here)
            elif here != ("env",):
                yield from self.key(inner, key_of, here)

    def unknown(self, table: Table, way: Keys) -> Diagnostic:
        name = str(way[-1])
        known = [key.name for key in table.keys]
        near = get_close_matches(name, known, 1, 0.6)
        hint = f"did you mean `{near[0]}`?" if near else "it has no effect"
        return self.document.say(
            "warning", f"`{dotted(way)}` is not a known key: {hint}", way, of_key=True
        )

    def key(self, value: Any, key: Key, way: Keys) -> Iterator[Diagnostic]:
        remark = self.remark(value, key, way)
        if remark is not None:
            yield remark
        below = _Checker(self.document, self.fault, quiet=self.quiet or key.support != "supported")
        yield from below.value(value, key.kind, way)

    def remark(self, value: Any, key: Key, way: Keys) -> Diagnostic | None:
        if key.support == "supported" or (self.quiet and not key.fatal):
            return None
        if key.quiet is not None and value == key.quiet:
            return None
        if key.support == "no effect":
            message = f"`{dotted(way)}` has no effect here: {key.note}"
            return self.document.say("warning", message, way, of_key=True)
        message = f"`{dotted(way)}` is not supported: {key.note}"
        level: Level = "error" if key.fatal and self.fault == "error" else "warning"
        return self.document.say(level, message, way, of_key=True)

    def value(self, value: Any, kind: Kind, way: Keys) -> Iterator[Diagnostic]:
        if isinstance(kind, Either):
            fitting = [each for each in kind.kinds if _is(value, each)]
            if fitting:
                yield from self.value(value, fitting[0], way)
                return
        elif _is(value, kind):
            yield from self.inside(value, kind, way)
            return
        message = f"`{dotted(way)}` must be {_words(kind)}, not {_shown(value)}"
        yield self.document.say(self.fault, message, way)

    def inside(self, value: Any, kind: Kind, way: Keys) -> Iterator[Diagnostic]:
        """What is wrong with a value of the right JSON type."""
        if isinstance(kind, Table):
            yield from self.table(value, kind, way)
        elif isinstance(kind, ListOf):
            for number, item in enumerate(value):
                yield from self.value(item, kind.item, (*way, number))
        elif isinstance(kind, MapOf):
            for name, item in value.items():
                yield from self.value(item, kind.item, (*way, name))
        elif isinstance(kind, Anything):
            yield from self.dates(value, way)

    def dates(self, value: Any, way: Keys) -> Iterator[Diagnostic]:
        """TOML's dates and infinite numbers are no JSON."""
        if isinstance(value, dict):
            for name, item in value.items():
                yield from self.dates(item, (*way, name))
        elif isinstance(value, list):
            for number, item in enumerate(value):
                yield from self.dates(item, (*way, number))
        elif isinstance(value, float) and not math.isfinite(value):
            yield self.document.say(
                self.fault, f"`{dotted(way)}` must be a finite number, not {value}", way
            )
        elif value is not None and not isinstance(value, str | int | float):
            message = f"`{dotted(way)}` is a date: write it as a string, in quotes"
            yield self.document.say(self.fault, message, way)


def _is(value: Any, kind: Kind) -> bool:
    """Whether the value is of the kind, but for what is within it."""
    match kind:
        case Text(choices, empty):
            is_text = isinstance(value, str) and "\0" not in value
            return is_text and (value in choices if choices else empty or value.strip() != "")
        case Flag():
            return isinstance(value, bool)
        case Number():
            return _fits(value, kind)
        case ListOf():
            return isinstance(value, list)
        case Table() | MapOf():
            return isinstance(value, dict)
        case Either(kinds):
            return any(_is(value, each) for each in kinds)
        case Anything():
            return True


def _fits(value: Any, kind: Number) -> bool:
    if value is None:
        return kind.null
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return False
    if kind.whole and value != int(value):
        return False
    return (kind.low is None or value >= kind.low) and (kind.high is None or value <= kind.high)


def _words(kind: Kind) -> str:
    """The kind as the message names it."""
    match kind:
        case Text(choices, empty):
            if choices:
                return "one of " + ", ".join(f'"{each}"' for each in choices)
            return "a string" if empty else "a string that is not empty"
        case Flag():
            return "true or false"
        case Number():
            return _numbers(kind)
        case ListOf(item):
            return f"a list, each item {_words(item)}"
        case Table() | MapOf():
            return "a table"
        case Either(kinds):
            return " or ".join(_words(each) for each in kinds)
        case Anything():
            return "a JSON value"


def _numbers(kind: Number) -> str:
    words = "a whole number" if kind.whole else "a number"
    if kind.low is not None and kind.high is not None:
        words += f" from {kind.low:g} to {kind.high:g}"
    elif kind.low is not None:
        words += f" from {kind.low:g}"
    return f"{words}, or null" if kind.null else words


def _shown(value: Any) -> str:
    """A wrong value, short."""
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    text = f'"{value}"' if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
