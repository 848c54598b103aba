"""The parsers that keep places: their values are json's and tomllib's, their places are true."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.errors import ProjectError
from skerry.workers.wrangler import jsonc, toml
from skerry.workers.wrangler.document import Document, Keys, dotted

FILE = Path("/p/wrangler.jsonc")

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | numbers | text
trees = st.recursive(
    scalars, lambda part: st.lists(part) | st.dictionaries(text, part), max_leaves=20
)
objects = st.dictionaries(text, trees, max_size=6)


def ways(value: Any, way: Keys = ()) -> Iterator[Keys]:
    """The way to each value in a tree."""
    yield way
    parts: Any = ()
    if isinstance(value, dict):
        parts = value.items()
    elif isinstance(value, list):
        parts = enumerate(value)
    for name, part in parts:
        yield from ways(part, (*way, name))


@given(objects, st.sampled_from([None, 0, 2]), st.booleans())
def test_jsonc_reads_json_as_json_does(value: Any, indent: int | None, ascii_only: bool) -> None:
    source = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    document = jsonc.parse(source, FILE)
    assert document.value == json.loads(source)
    assert repr(document.value) == repr(json.loads(source))  # 1 is not 1.0, nor True
    assert set(document.values) == set(ways(value))


@given(st.text('{}[]",:/*\\ \n\t01.-eEtrufalsn\u20ac', max_size=30))
def test_jsonc_takes_no_less_and_little_more_than_json(source: str) -> None:
    try:
        expected = json.loads(source)
    except ValueError:
        expected = None
    try:
        got: Any = jsonc.parse(source, FILE).value
    except ProjectError as error:
        assert not isinstance(expected, dict)
        assert str(error).startswith(f"{FILE}:")
        return
    if isinstance(expected, dict):
        assert got == expected
    else:  # then it has what json does not take
        assert "//" in source or "/*" in source or "," in source


@given(objects)
def test_places_in_jsonc_are_where_the_values_stand(value: Any) -> None:
    source = json.dumps(value, indent=1, ensure_ascii=False)
    document = jsonc.parse(source, FILE)
    lines = source.split("\n")
    for way, spot in document.keys.items():
        rest = lines[spot.line - 1][spot.column - 1 :]
        assert rest.startswith(json.dumps(way[-1], ensure_ascii=False))
    for way, spot in document.values.items():
        here: Any = value
        for part in way:
            here = here[part]
        rest = lines[spot.line - 1][spot.column - 1 :]
        if isinstance(here, dict | list):
            assert rest[0] in "{["
        else:
            assert rest.startswith(json.dumps(here, ensure_ascii=False))


def test_jsonc_takes_comments_and_trailing_commas() -> None:
    document = jsonc.parse(
        '\ufeff// first\n{ /* a */ "a" /* : */ : [1, /* two */ 2,], // "b": 3\r\n'
        '"c": "// no /* comment",\n}\n// last',
        FILE,
    )
    assert document.value == {"a": [1, 2], "c": "// no /* comment"}
    assert document.keys[("c",)].line == 3


def test_a_name_that_stands_twice_is_told() -> None:
    document = jsonc.parse('{"a": {"b": 1, "b": 2}}', FILE)
    assert document.value == {"a": {"b": 2}}
    assert document.repeated == (("a", "b"),)


@pytest.mark.parametrize(
    ("source", "place", "words"),
    [
        ("", "1:1", "ends where a value"),
        ("[1]", "1:1", "is an object"),
        ('{"a": 1', "1:1", "never closed"),
        ('{\n"a": [1, 2', "2:6", "never closed"),
        ('{"a": 1,,}', "1:9", "a name in double quotes"),
        ('{"a" 1}', "1:6", "a colon"),
        ('{"a": 1 "b": 2}', "1:9", "a comma or }"),
        ('{"a": 01}', "1:7", "not '0'"),
        ('{"a": 1.}', "1:7", "not '1'"),
        ('{"a": NaN}', "1:7", "not 'NaN'"),
        ('{"a": undefined}', "1:7", "not 'undefined'"),
        ("{'a': 1}", "1:2", "double quotes"),
        ('{"a": "x', "1:7", "never ends"),
        ('{"a": "x\ny"}', "1:7", "never ends"),
        ('{"a": "x\ty"}', "1:9", "\\u0009"),
        ('{"a": "\\q"}', "1:8", "escape"),
        ('{"a": "\\ud800"}', "1:7", "surrogate"),
        ('{"a": 1} 2', "1:10", "goes on"),
        ('{"a": /* 1}', "1:7", "comment never ends"),
        ('{"a": ' + "9" * 5000 + "}", "1:7", "digits"),
        ('{"a": ' + "[" * 5000, "1:107", "100 deep"),
    ],
)
def test_what_is_wrong_in_jsonc_is_told_with_its_place(source: str, place: str, words: str) -> None:
    with pytest.raises(ProjectError) as caught:
        jsonc.parse(source, FILE)
    assert str(caught.value).startswith(f"{FILE}:{place}: ")
    assert words in str(caught.value)


def written(value: Any) -> str:
    """A value as inline TOML."""
    if isinstance(value, dict):
        inner = ", ".join(f"{json.dumps(key)} = {written(part)}" for key, part in value.items())
        return f"{{ {inner} }}"
    if isinstance(value, list):
        return "[\n" + "".join(f" {written(part)}, # item\n" for part in value) + "]"
    return json.dumps(value)


plain = st.text(st.characters(codec="ascii", categories=["L", "N", "P", "Zs"]), max_size=10)
leaves = st.booleans() | st.integers(-(2**60), 2**60) | plain
tables = st.dictionaries(
    plain,
    st.recursive(leaves, lambda part: st.lists(part, max_size=3), max_leaves=5)
    | st.dictionaries(plain, leaves, max_size=3),
    max_size=5,
)


@given(tables, st.lists(tables, min_size=1, max_size=3), tables)
def test_toml_places_every_value_that_tomllib_reads(top: Any, items: list[Any], deep: Any) -> None:
    def body(table: Any) -> str:
        return "".join(f"{json.dumps(key)} = {written(part)}\n" for key, part in table.items())

    source = body({f"_{key}": part for key, part in top.items()})
    for item in items:
        source += f"[[ list.'of it' ]] # next\n{body(item)}[list.'of it'.below]\nx = 'y'\n"
    source += f"[deep . a]\n{body(deep)}"
    try:
        value = tomllib.loads(source)
    except tomllib.TOMLDecodeError:  # the item has a key "below" of its own
        assert any("below" in item for item in items)
        return
    document = toml.parse(source, FILE)
    assert document.value == value
    assert set(document.values) == set(ways(value))
    lines = source.split("\n")
    for way, spot in document.keys.items():
        rest = lines[spot.line - 1][spot.column - 1 :]
        name = str(way[-1])
        assert rest.startswith((json.dumps(name), name, f"'{name}'"))


TOML = '''name = "a" # the name
main = """
three
lines"""
a.b.c = 1
dates = [ 2026-01-02, 07:32:00 ]
"quoted = key" = { x = 'y', "z.z" = [1, {w = 2}] }

[vars]
X = "# no comment"

[[kv_namespaces]]
binding = "A"
[[kv_namespaces]]
  binding = "B"
[env.staging.vars]
Y = 1_000
[[env.staging.kv_namespaces]]
binding = \'\'\'C\'\'\'
'''


def test_places_in_toml() -> None:
    document = toml.parse(TOML, FILE)
    places = {
        dotted(way): f"{spot.line}:{spot.column}" for way, spot in document.values.items() if way
    }
    assert set(document.values) == set(ways(document.value))
    assert places["name"] == "1:8"
    assert places["main"] == "2:8"
    assert places["a.b.c"] == "5:9"
    assert places["dates[1]"] == "6:23"
    assert places["quoted = key.z.z[1].w"] == "7:46"
    assert places["vars.X"] == "10:5"
    assert places["kv_namespaces[0].binding"] == "13:11"
    assert places["kv_namespaces[1].binding"] == "15:13"
    assert places["env.staging.vars.Y"] == "17:5"
    assert places["env.staging.kv_namespaces[0].binding"] == "19:11"


@pytest.mark.parametrize(
    ("source", "place"),
    [("a = ", "1:5"), ("a = 1\na = 2", "2:6"), ("x = 1\n[a", "2:3"), ("\r\n= 1", "2:1")],
)
def test_what_is_wrong_in_toml_is_told_with_its_place(source: str, place: str) -> None:
    with pytest.raises(ProjectError) as caught:
        toml.parse(source, FILE)
    assert str(caught.value).startswith(f"{FILE}:{place}: ")


@pytest.mark.parametrize("parse", [jsonc.parse, toml.parse])
@given(source=st.text(max_size=40))
def test_no_text_breaks_a_parser(parse: Callable[[str, Path], Document], source: str) -> None:
    try:
        parse(source, FILE)
    except ProjectError as error:
        assert str(error).startswith(f"{FILE}:")
