"""workerd's configuration: values that nothing breaks out of, and who may reach what."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.errors import ProjectError
from skerry.workers import bindings as kinds
from skerry.workers.build import Bundle
from skerry.workers.project import Project
from skerry.workers.workerd.capnp import quoted, written
from skerry.workers.workerd.config import Faces, Options, config, entry, pattern
from skerry.workers.workers import RESERVED

from .rig import WorkerRig

ESCAPE = re.compile(r"\\x([0-9a-f]{2})")


def read(literal: str) -> bytes:
    """What Cap'n Proto's lexer makes of a literal of plain characters and \\xHH."""
    assert literal[0] == literal[-1] == '"'
    inner = literal[1:-1]
    assert '"' not in inner
    assert inner.isascii()
    assert inner.isprintable()
    assert "\\" not in ESCAPE.sub("", inner)
    return ESCAPE.sub(lambda match: chr(int(match[1], 16)), inner).encode("latin-1")


@given(st.text())
def test_a_text_comes_back_as_it_was(text: str) -> None:
    assert read(quoted(text)).decode() == text


@given(st.text(st.characters(categories=["Cs"]), min_size=1))
def test_a_lone_surrogate_becomes_the_replacement(text: str) -> None:
    assert set(read(quoted(text)).decode()) == {"�"}


def test_structs_and_lists_are_written() -> None:
    value: Any = {"a": ["x", True, 3], "b": {"c": False}}
    assert written(value) == '(a = ["x", true, 3], b = (c = false))'


HOSTILE = [
    '"), (name="evil", service="control',
    "\\",
    '\\"',
    "\n\r\t\x00\x1b",
    'embed "/etc/passwd"',
    "\u2028\u202e\U0001f4a3",
    "const x = 1; # comment",
    "x" * 100_000,
]


async def test_hostile_values_reach_the_worker_unchanged(run: Any) -> None:
    rig: WorkerRig = await run(
        "export default { fetch(request, env) { return Response.json(env); } };",
        vars={f"V{at}": text for at, text in enumerate(HOSTILE)} | {"J": {"deep": HOSTILE}},
    )
    given = await rig.json("/")
    assert [given[f"V{at}"] for at in range(len(HOSTILE))] == HOSTILE
    assert given["J"] == {"deep": HOSTILE}


def project(**fields: Any) -> Project:
    given: dict[str, Any] = {"root": Path("/p"), "name": "p", "main": None} | fields
    return Project(language="javascript", **given)


BUNDLE = Bundle(folder=Path("/b"), modules=(), exports=("Room", "not a name", "x"), inputs=())
FACES = Faces(bindings=Path("/s/b.sock"))


@pytest.mark.parametrize("name", ["", "a b", "x-y", 'a"', "1a", "skerry:node", "é", "a" * 129])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ProjectError, match="cannot name a binding"):
        config(project(bindings=(kinds.AiBinding(name=name),)), BUNDLE, FACES)
    with pytest.raises(ProjectError, match="cannot name a binding"):
        config(project(vars={name: "x"}), BUNDLE, FACES)


def test_two_bindings_of_one_name_are_refused() -> None:
    twice = (kinds.AiBinding(name="X"), kinds.KvBinding(name="X", id="k"))
    with pytest.raises(ProjectError, match="two bindings are called X"):
        config(project(bindings=twice), BUNDLE, FACES)


def test_only_names_are_exported_and_settings_are_data() -> None:
    text = entry(BUNDLE, Options(cf={"city": '"; evil(); //'}))
    assert "export const Room = " in text
    assert "not a name" not in text
    assert '"city":"\\"; evil(); //"' in text


@pytest.mark.parametrize(
    ("url", "node_s"),
    [
        ("http://h/client/v4/accounts/a/ai/run/x", True),
        ("http://h/v1/chat/completions", True),
        ("http://h/v1/chat/completions?x=1", True),
        ("http://h/v1/models/a", True),
        ("http://h/openapi.json", True),
        ("http://h/v1/chat/completions2", False),
        ("http://h/v1/users", False),
        ("http://h/x/client/v4/", False),
        ("http://h/?u=http://h/client/v4/", False),
        ("http://h/__scheduled", False),
        ("http://h/", False),
    ],
)
def test_which_paths_are_the_node_s(url: str, node_s: bool) -> None:
    found = re.search(pattern(RESERVED, test_scheduled=False), url)
    assert (found is not None) is node_s


def test_every_endpoint_of_the_node_is_reserved() -> None:
    from skerry import __version__
    from skerry.api.openapi import document
    from skerry.tasks.registry import load_tasks

    compiled = re.compile(pattern(RESERVED, test_scheduled=False))
    for path in document(load_tasks(), __version__)["paths"]:
        if path != "/":
            assert compiled.search(f"http://h{path}"), path
