"""What a configuration key may hold, and what becomes of it here: the words the tables are of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Literal

import msgspec

from skerry.workers.wrangler.document import Keys

Support = Literal["supported", "no effect", "unsupported"]
Scope = Literal["inherited", "own", "top"]


class Text(msgspec.Struct, frozen=True):
    """A string; one of `choices`, where there are any."""

    choices: tuple[str, ...] = ()
    empty: bool = True


class Flag(msgspec.Struct, frozen=True):
    """true or false."""


class Number(msgspec.Struct, frozen=True):
    """A number from low to high; null where `null`."""

    low: float | None = None
    high: float | None = None
    whole: bool = True
    null: bool = False


class Anything(msgspec.Struct, frozen=True):
    """Any JSON value. TOML's dates are none."""


class ListOf(msgspec.Struct, frozen=True):
    """A list whose items are all of one kind."""

    item: Kind


class MapOf(msgspec.Struct, frozen=True):
    """A table with names of the user's own."""

    item: Kind


class Table(msgspec.Struct, frozen=True):
    """A table with these keys and no others."""

    keys: tuple[Key, ...]

    def find(self, name: str) -> Key | None:
        """The key of that name."""
        return next((key for key in self.keys if key.name == name), None)


class Either(msgspec.Struct, frozen=True):
    """One of several kinds of different JSON types."""

    kinds: tuple[Kind, ...]


Kind = Text | Flag | Number | Anything | ListOf | MapOf | Table | Either


class Key(msgspec.Struct, frozen=True):
    """A key of the configuration.

    note: for what has no effect or is not supported, the reason and the way out.
    quiet: the value that needs no remark although the key has no effect.
    fatal: not supported, and nothing can run with it.
    scope: of a top-level key: whether an `env.NAME` may have it, and takes it over if it has not.
    """

    name: str
    kind: Kind
    support: Support = "supported"
    note: str = ""
    required: bool = False
    quiet: Any = None
    fatal: bool = False
    scope: Scope = "inherited"


def needed(name: str, kind: Kind | None = None) -> Key:
    """A key that must be there; a string that is not empty unless said otherwise."""
    return Key(name, kind or Text(empty=False), required=True)


def idle(name: str, kind: Kind, note: str, *, quiet: Any = None, scope: Scope = "inherited") -> Key:
    """A key that is known and has no effect here."""
    return Key(name, kind, "no effect", note, quiet=quiet, scope=scope)


def refused(
    name: str,
    note: str,
    kind: Kind | None = None,
    *,
    fatal: bool = False,
    scope: Scope = "own",
) -> Key:
    """A key that is known and not supported."""
    return Key(name, kind or Anything(), "unsupported", note, fatal=fatal, scope=scope)


def tables_of(kind: Kind) -> Iterator[Table]:
    """The tables that a value of this kind, or its items, may be."""
    for each in _within([kind]):
        if isinstance(each, Table):
            yield each
        elif isinstance(each, MapOf):
            yield from tables_of(each.item)


def classify(kind: Kind, way: Keys) -> Key | None:
    """The key that decides about `way` (names; list indexes are skipped) in a value of `kind`.

    It is the last name's own, or the nearest above it that has no effect, is not supported, or
    whose names are the user's. None: not known.
    """
    found: Key | None = None
    kinds = [kind]
    for name in (part for part in way if isinstance(part, str)):
        if found is not None and found.support != "supported":
            return found
        key: Key | None = None
        below: list[Kind] = []
        for each in _within(kinds):
            if isinstance(each, Anything):
                return found
            if isinstance(each, MapOf):
                key = found
                below.append(each.item)
            elif isinstance(each, Table):
                own = each.find(name)
                if own is not None:
                    key = own
                    below.append(own.kind)
        if key is None:
            return None
        found, kinds = key, below
    return found


def _within(kinds: Iterable[Kind]) -> Iterator[Kind]:
    """The kinds without the lists and choices around them."""
    for kind in kinds:
        if isinstance(kind, ListOf):
            yield from _within([kind.item])
        elif isinstance(kind, Either):
            yield from _within(kind.kinds)
        else:
            yield kind
