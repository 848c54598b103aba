"""A counter of SQLite that apsw does not hand out: how often index scans moved on.

`sqlite3_stmt_status` counts the moves of full scans (1), sorts (2) and automatic indexes (3).
Moves of all other cursors are counted beside them, as 0. The function is had the way every
SQLite extension has it: from the table of functions that SQLite passes to an extension's entry
point. Only public interfaces are used, sqlite3_next_stmt among them, which proves that an address
is a statement of the connection before it is asked. A test of its own at the start shows that
counter 0 counts; where it does not, there is none, and rows read are estimated.
"""

from __future__ import annotations

import ctypes
from typing import Protocol

import apsw

_ENTRY = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
_NEXT = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
_STATUS = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_int)

NEXT_STMT, STMT_STATUS = 152, 170
"""Places in sqlite3_api_routines (sqlite3ext.h); SQLite only ever adds to its end."""


class Moves(Protocol):
    """Reads the counter of a statement and sets it back."""

    def take(self, connection: apsw.Connection, statement: int) -> int | None:
        """Moves since it was last taken; None where `statement` is none of the connection's."""


class _Loader(apsw.VFS):
    """A "shared library" with one symbol: a function of ours that SQLite calls as its entry."""

    def __init__(self) -> None:
        super().__init__("skerry-loader", "")
        self.table = 0
        self._entry = _ENTRY(self._called)  # kept: SQLite calls it

    def _called(self, connection: int, error: int, table: int) -> int:
        self.table = table
        return apsw.SQLITE_OK

    def xDlOpen(self, filename: str) -> int:  # noqa: N802  SQLite's name
        return 1

    def xDlSym(self, handle: int, symbol: str) -> int:  # noqa: N802  SQLite's name
        return ctypes.cast(self._entry, ctypes.c_void_p).value or 0

    def xDlClose(self, handle: int) -> None:  # noqa: N802  SQLite's name
        pass

    def xDlError(self) -> str:  # noqa: N802  SQLite's name
        return "there is no such library"


class IndexMoves:
    """The counter, by SQLite's own functions."""

    def __init__(self) -> None:
        """Raises apsw.Error where SQLite does not load extensions."""
        loader = _Loader()
        connection = apsw.Connection(":memory:", vfs="skerry-loader")
        try:
            connection.enable_load_extension(True)
            connection.load_extension("skerry", "entry")
        finally:
            connection.close()
            loader.unregister()
        places = ctypes.cast(loader.table, ctypes.POINTER(ctypes.c_void_p))
        self._next = _NEXT(places[NEXT_STMT] or 0)
        self._status = _STATUS(places[STMT_STATUS] or 0)

    def take(self, connection: apsw.Connection, statement: int) -> int | None:
        """See Moves."""
        handle = connection.sqlite3_pointer()
        found = self._next(handle, None)
        while found is not None and found != statement:
            found = self._next(handle, found)
        if found is None:
            return None
        count: int = self._status(found, 0, 1)
        return count


def open_moves() -> Moves | None:
    """The counter, once it has shown that it counts."""
    try:
        moves = IndexMoves()
        connection = apsw.Connection(":memory:")
        connection.execute("CREATE TABLE t (x); CREATE INDEX i ON t (x)")
        connection.execute("INSERT INTO t VALUES (1), (2), (3), (4), (5)")
        taken: list[int | None] = []
        connection.trace_v2(
            apsw.SQLITE_TRACE_PROFILE,
            lambda event: taken.append(moves.take(connection, event["id"])),
        )
        for _ in range(2):
            connection.execute("SELECT x FROM t WHERE x > 1").fetchall()
        connection.trace_v2(0, None)
        connection.close()
    except (apsw.Error, ValueError):
        return None
    return moves if taken == [3, 3] else None
