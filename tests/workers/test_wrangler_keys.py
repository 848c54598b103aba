"""Every key of wrangler's configuration is classified, and the tables hold together."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from skerry.workers.wrangler.document import Keys
from skerry.workers.wrangler.keys import ENVIRONMENT, PROJECT
from skerry.workers.wrangler.schema import (
    Anything,
    Either,
    Key,
    Kind,
    ListOf,
    MapOf,
    Table,
    classify,
)

NAMES = Path(__file__).with_name("wrangler_keys.txt")


def names() -> list[str]:
    """Every key of wrangler's schema, dotted."""
    out = []
    for line in NAMES.read_text().splitlines():
        if not line.startswith("#"):
            top, *within = line.split()
            out += [top, *(f"{top}.{name}" for name in within)]
    return out


@pytest.mark.parametrize("name", names())
def test_every_key_of_wrangler_is_classified(name: str) -> None:
    key = classify(PROJECT, tuple(name.split(".")))
    assert key is not None
    assert key.support == "supported" or key.note, f"{name} has no way out"


def keys(kind: Kind, way: Keys = ()) -> Iterator[tuple[Keys, Key]]:
    """Every key of the tables, with its way."""
    if isinstance(kind, Table):
        for key in kind.keys:
            yield (*way, key.name), key
            if key.name != "env":
                yield from keys(key.kind, (*way, key.name))
    elif isinstance(kind, ListOf | MapOf):
        yield from keys(kind.item, way)
    elif isinstance(kind, Either):
        for each in kind.kinds:
            yield from keys(each, way)


def test_every_key_has_its_reason_and_stands_once() -> None:
    top = [key.name for key in PROJECT.keys]
    assert len(set(top)) == len(top)
    for way, key in keys(PROJECT):
        assert classify(PROJECT, way) is not None
        assert bool(key.note) == (key.support != "supported"), way
        assert not key.note.endswith("."), way


def test_an_environment_has_what_is_not_of_the_top_level_only() -> None:
    assert {key.name for key in PROJECT.keys} - {key.name for key in ENVIRONMENT.keys} == {
        key.name for key in PROJECT.keys if key.scope == "top"
    }
    for name in ("vars", "kv_namespaces", "d1_databases", "ai", "queues", "services", "define"):
        key = ENVIRONMENT.find(name)
        assert key is not None
        assert key.scope == "own", name
    for name in ("main", "triggers", "assets", "routes", "limits", "compatibility_flags"):
        key = ENVIRONMENT.find(name)
        assert key is not None
        assert key.scope == "inherited", name


@pytest.mark.parametrize(
    ("way", "support"),
    [
        (("kv_namespaces", 0, "binding"), "supported"),
        (("kv_namespaces", 0, "bindig"), None),
        (("nothing",), None),
        (("nothing", "below"), None),
        (("containers", 0, "whatever"), "unsupported"),
        (("observability", "logs", "enabled"), "no effect"),
        (("vars", "ANY"), "supported"),
        (("vars", "ANY", "deep"), "supported"),
        (("routes", 0, "zone_name"), "supported"),
        (("routes", 0, "zone"), None),
        (("build", "command"), "unsupported"),
    ],
)
def test_how_a_way_is_classified(way: Keys, support: str | None) -> None:
    key = classify(PROJECT, way)
    assert (key and key.support) == support


def test_nothing_that_is_supported_goes_unchecked() -> None:
    for way, key in keys(PROJECT):
        if isinstance(key.kind, Anything):
            decides = classify(PROJECT, way)
            assert decides is not None
            assert decides.support != "supported", way
