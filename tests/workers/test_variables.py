"""`.dev.vars` and `.env` files. The expected values are what dotenv 16.6 gives."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.errors import ProjectError
from skerry.workers.wrangler.variables import expand, parse, read

FILE = Path("/p/.dev.vars")


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("A=1", {"A": "1"}),
        ("A=1\r\nB=2\rC=3", {"A": "1", "B": "2", "C": "3"}),
        ("  A = x y  ", {"A": "x y"}),
        ("A=", {"A": ""}),
        ("A=a#b", {"A": "a"}),
        ("A='a#b' # c", {"A": "a#b"}),
        ("# A=1\n\nB=2", {"B": "2"}),
        ("export A=1", {"A": "1"}),
        ("A: 1", {"A": "1"}),
        ("A.b-c=1", {"A.b-c": "1"}),
        ('A="x\ny"\nB=1', {"A": "x\ny", "B": "1"}),
        ('A="x\\ny\\r"', {"A": "x\ny\r"}),
        ("A='x\\ny'", {"A": "x\\ny"}),
        ("A=x\\ny", {"A": "x\\ny"}),
        ("A=`'\"`", {"A": "'\""}),
        ('A="a\\"b"', {"A": 'a\\"b'}),
        ('A="never closed\nB=2', {"A": '"never closed', "B": "2"}),
        ("A='it' is", {"A": "'it' is"}),
        ("A=1\nA=2", {"A": "2"}),
        ('KEY="-----BEGIN\nabc=\n-----END"', {"KEY": "-----BEGIN\nabc=\n-----END"}),
        ("A=postgres://u:p@h/db?x=1", {"A": "postgres://u:p@h/db?x=1"}),
    ],
)
def test_what_a_file_says(text: str, values: dict[str, str]) -> None:
    found = parse(text, FILE)
    assert found.values == values
    assert found.diagnostics == ()


def test_lines_that_say_nothing_are_told() -> None:
    found = parse("A=1\n  what is this\nB=2\n=3\n", FILE)
    assert found.values == {"A": "1", "B": "2"}
    assert [(each.line, each.column) for each in found.diagnostics] == [(2, 3), (4, 1)]


@given(st.text(max_size=60))
def test_no_text_breaks_it(text: str) -> None:
    found = parse(text, FILE)
    assert all(isinstance(value, str) for value in found.values.values())
    expand(found.values)


@given(st.dictionaries(st.from_regex(r"[A-Z_]{1,8}", fullmatch=True), st.text(max_size=20)))
def test_what_is_quoted_comes_back(values: dict[str, str]) -> None:
    plain = {name: "".join(c for c in value if c not in "'\r") for name, value in values.items()}
    plain = {name: value.rstrip("\\") for name, value in plain.items()}
    text = "\n".join(f"{name}='{value}'" for name, value in plain.items())
    assert parse(text, FILE).values == plain


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"A": "1", "B": "$A-${A}"}, "1-1"),
        ({"B": "${A:-none}"}, "none"),
        ({"B": "${A-none}"}, "none"),
        ({"A": "1", "B": "${A:+set}"}, "set"),
        ({"B": "[${A:+set}]"}, "[]"),
        ({"B": "$A"}, ""),
        ({"A": "1", "B": "\\$A"}, "$A"),
        ({"A": "$B", "B": "5"}, "5"),
        ({"A": "${C:-$B}", "B": "x"}, "x"),
        ({"B": "100$"}, "100$"),
    ],
)
def test_references(values: dict[str, str], expected: str) -> None:
    assert expand(values)["B"] == expected


def test_a_value_that_refers_to_itself_ends() -> None:
    assert expand({"A": "\\$A", "B": "$A"})["B"] == "$A"


def test_files(tmp_path: Path) -> None:
    assert read(tmp_path / "none") is None
    (tmp_path / "f").write_bytes(b"\xef\xbb\xbfA=1")
    found = read(tmp_path / "f")
    assert found is not None
    assert found.values == {"A": "1"}
    (tmp_path / "f").write_bytes(b"A=\xff")
    with pytest.raises(ProjectError, match="UTF-8"):
        read(tmp_path / "f")
