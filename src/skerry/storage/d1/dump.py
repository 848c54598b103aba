"""A database as SQL: tables and rows first, then what depends on them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import apsw

from skerry.storage.d1.base import D1Dump, D1Error
from skerry.storage.d1.limits import OWN

_OBJECTS = (
    "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid"
)


def dumped(connection: apsw.Connection, what: D1Dump) -> str:
    """SQL that makes the database again. Raises D1Error for virtual tables, which D1 does not
    export, and for a table that does not exist."""
    return "\n".join([*_lines(connection, what), ""])


def _lines(connection: apsw.Connection, what: D1Dump) -> Iterator[str]:
    objects: list[tuple[str, str, str, str]] = [
        (str(kind), str(name), str(table), str(sql))
        for kind, name, table, sql in connection.execute(_OBJECTS)
        if not str(name).lower().startswith((OWN, "sqlite_"))
    ]
    tables = [each for each in objects if each[0] == "table"]
    chosen = set(what.tables) or {name for _, name, _, _ in tables}
    unknown = chosen - {name for _, name, _, _ in tables}
    if unknown:
        raise D1Error(f"no such table: {min(unknown)}: SQLITE_ERROR")
    yield "PRAGMA defer_foreign_keys=TRUE;"
    for _, name, _, sql in tables:
        if name not in chosen:
            continue
        if sql.lower().startswith("create virtual table"):
            raise D1Error("D1 Export error: cannot export databases with Virtual Tables (fts5)")
        if not what.no_schema:
            yield f"{sql};"
        if not what.no_data:
            yield from _rows(connection, name)
    if not what.no_data and "sqlite_sequence" in _all(connection):
        yield "DELETE FROM sqlite_sequence;"
        yield from _rows(connection, "sqlite_sequence", chosen)
    if not what.no_schema:
        for kind, _, table, sql in objects:
            if kind != "table" and (table in chosen or kind == "view"):
                yield f"{sql};"


def _all(connection: apsw.Connection) -> set[str]:
    return {str(row[0]) for row in connection.execute("SELECT name FROM sqlite_master")}


def _rows(connection: apsw.Connection, table: str, only: set[str] | None = None) -> Iterator[str]:
    name = _quoted(table)
    columns = [
        str(row[1])
        for row in connection.execute(f"PRAGMA table_xinfo({name})")
        if row[6] == 0  # neither hidden nor generated
    ]
    listed = ",".join(_quoted(column) for column in columns)
    for row in connection.execute(f"SELECT {listed} FROM {name}"):  # noqa: S608  quoted
        if only is None or row[0] in only:
            values = ",".join(_literal(value) for value in row)
            yield f"INSERT INTO {name} ({listed}) VALUES({values});"


def _quoted(name: str) -> str:
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


def _literal(value: Any) -> str:
    if isinstance(value, str) and "\0" in value:
        return f"CAST({apsw.format_sql_value(value.encode())} AS TEXT)"
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return "9e999" if value > 0 else "-9e999"
    return str(apsw.format_sql_value(value))
