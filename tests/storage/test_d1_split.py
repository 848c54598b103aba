"""Texts of SQL into statements, as SQLite itself reads them."""

from __future__ import annotations

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.storage.d1.split import split

TRIGGER = "CREATE TRIGGER x AFTER INSERT ON t BEGIN SELECT CASE WHEN 1 THEN 2 END; SELECT ';'; END;"


@pytest.mark.parametrize(
    ("sql", "parts"),
    [
        ("", []),
        (" ; ;; ", []),
        ("-- a;\n/* b; */", []),
        ("SELECT 1", ["SELECT 1"]),
        ("SELECT 1;SELECT 2;", ["SELECT 1;", "SELECT 2;"]),
        (
            "SELECT ';' ; SELECT \"a;b\", `c;d`, [e;f]",
            ["SELECT ';' ;", 'SELECT "a;b", `c;d`, [e;f]'],
        ),
        ("SELECT 'it''s;' ;--x", ["SELECT 'it''s;' ;"]),
        ("SELECT 1 -- ;\n+ 1; /* ; */ SELECT 2", ["SELECT 1 -- ;\n+ 1;", "/* ; */ SELECT 2"]),
        (f"{TRIGGER} SELECT 1", [TRIGGER, "SELECT 1"]),
        (f"/* c */ {TRIGGER}SELECT 1;", [f"/* c */ {TRIGGER}", "SELECT 1;"]),
        ("SELECT 'open; SELECT 2", ["SELECT 'open;", "SELECT 2"]),
        ("SELECT 1 /* open; SELECT 2", ["SELECT 1 /* open; SELECT 2"]),
    ],
)
def test_split(sql: str, parts: list[str]) -> None:
    assert list(split(sql)) == parts


PIECES = st.sampled_from(
    ["SELECT 1", "SELECT ';'", "SELECT '''' || ';'", 'SELECT "id"', "-- x;\n", "/* ; */", ";", " "]
)


@given(st.lists(PIECES, max_size=8))
def test_each_part_is_what_sqlite_runs(pieces: list[str]) -> None:
    sql = ";".join(pieces)
    seen: list[str] = []
    connection = apsw.Connection(":memory:")
    cursor = connection.cursor()

    def trace(cursor: apsw.Cursor, text: str, bindings: object) -> bool:
        if cursor.has_vdbe:
            seen.append(text)
        return True

    cursor.exec_trace = trace
    cursor.execute(sql).fetchall()
    assert len(list(split(sql))) == len(seen)
