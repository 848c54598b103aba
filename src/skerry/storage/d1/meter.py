"""Counting what a statement did, on one connection."""

from __future__ import annotations

import re
from typing import Any

import apsw

from skerry.storage.d1.account import Account, Measures
from skerry.storage.d1.counter import Moves
from skerry.storage.d1.program import Step

KEPT = 256
"""Statements whose programs are kept."""

_LITERAL = re.compile(r"'(?:[^']|'')*'|\b\d+(?:\.\d+)?\b")
_INSERT = re.compile(r"\s*(?:insert|replace)\b", re.IGNORECASE)
_SCHEMA = "SELECT schema_version FROM pragma_schema_version"
_KNOW = "SELECT 1 FROM sqlite_master LIMIT 1"
_TABLE = "SELECT tbl_name FROM sqlite_master WHERE rootpage = ?"


class Meter:
    """Rows read and written of the statements of one connection."""

    def __init__(self, connection: apsw.Connection, moves: Moves | None) -> None:
        self._moves = moves
        self._accounts: dict[str, Account] = {}
        self._schema = -1
        self._account: Account | None = None
        self._sql = ""
        self._status: dict[str, int] = {}
        self._index = 0
        connection.trace_v2(apsw.SQLITE_TRACE_PROFILE, self._profiled)

    def start(self) -> None:
        """A statement is about to be prepared."""
        self._account = None
        self._sql = ""
        self._status = {}

    def prepared(self, connection: apsw.Connection, sql: str, bindings: Any) -> None:
        """It is prepared; call with the guard open."""
        row = connection.execute(_SCHEMA).fetchone()
        schema = int(str(row[0])) if row else 0
        if schema != self._schema:
            # EXPLAIN alone would tell of the schema that this connection last knew.
            connection.execute(_KNOW).fetchall()
            self._schema = schema
            self._accounts.clear()
        if len(self._accounts) >= KEPT:
            self._accounts.clear()
        # Inserts of the same form have the same program, whatever values stand in them.
        key = _LITERAL.sub("?", sql) if _INSERT.match(sql) else sql
        account = self._accounts.get(key)
        if account is None:
            lines = connection.execute(f"EXPLAIN {sql}", bindings, can_cache=False)
            account = self._accounts[key] = Account([_step(line) for line in lines])
        self._account = account
        self._sql = sql

    def _profiled(self, event: dict[str, Any]) -> None:
        """Called by SQLite when a statement has ended; ours run before the user's begins."""
        if self._sql and event["sql"] == self._sql:
            self._status = event["stmt_status"]
            moves = self._moves
            taken = moves.take(event["connection"], event["id"]) if moves is not None else None
            self._index = taken or 0

    def stop(self, connection: apsw.Connection, rows: int, changes: int) -> tuple[int, int]:
        """Rows read and written by the statement that has just ended."""
        account, status = self._account, self._status
        self._sql = ""
        if account is None or not status:
            return rows, changes
        read, written = account.solve(
            Measures(
                # A statement that has to be prepared anew has made its first two steps in vain.
                status["SQLITE_STMTSTATUS_VM_STEP"] - 2 * status["SQLITE_STMTSTATUS_REPREPARE"],
                rows,
                changes,
                self._index,
                status["SQLITE_STMTSTATUS_FULLSCAN_STEP"],
                status["SQLITE_STMTSTATUS_SORT"],
                status["SQLITE_STMTSTATUS_AUTOINDEX"],
            )
        )
        for root in account.counted:
            read += _size(connection, root)
        return read, written


def _step(line: tuple[Any, ...]) -> Step:
    return Step(*line)


def _size(connection: apsw.Connection, root: int) -> int:
    """Rows of the table that has, or whose index has, this root page."""
    found = connection.execute(_TABLE, (root,)).fetchone()
    if found is None:
        return 0
    name = str(found[0]).replace('"', '""')
    row = connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()  # noqa: S608  quoted
    return int(str(row[0])) if row else 0
