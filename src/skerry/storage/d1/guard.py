"""What a user's SQL may do on a connection, decided as each statement is prepared."""

from __future__ import annotations

import time

import apsw

from skerry.storage.d1 import limits
from skerry.storage.d1.base import D1Error

_ALLOWED = frozenset(
    {
        apsw.SQLITE_SELECT,
        apsw.SQLITE_RECURSIVE,
        apsw.SQLITE_ANALYZE,
    }
)
_NAMED = frozenset(
    {
        apsw.SQLITE_CREATE_TABLE,
        apsw.SQLITE_DELETE,
        apsw.SQLITE_DROP_TABLE,
        apsw.SQLITE_INSERT,
        apsw.SQLITE_CREATE_VIEW,
        apsw.SQLITE_DROP_VIEW,
        apsw.SQLITE_REINDEX,
        apsw.SQLITE_READ,
        apsw.SQLITE_UPDATE,
        apsw.SQLITE_CREATE_INDEX,
        apsw.SQLITE_DROP_INDEX,
        apsw.SQLITE_CREATE_TRIGGER,
        apsw.SQLITE_DROP_TRIGGER,
    }
)
STEPS = 20_000
"""Steps of SQLite's machine between two looks at the clock: well under a millisecond."""


class Guard:
    """The authorizer and the clock of one connection.

    `trusted` is off while a user's statement is prepared and run. Statements of Skerry's own that
    must not be had from SQLite's cache by a user are prepared without it (see sqlite.py).
    """

    def __init__(self, connection: apsw.Connection, seconds: float) -> None:
        self.trusted = True
        self.used_pragma = False
        self._seconds = seconds
        self._deadline = 0.0
        for limit, value in limits.SQLITE.items():
            connection.limit(limit, value)
        connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
        connection.config(apsw.SQLITE_DBCONFIG_ENABLE_FKEY, 1)
        connection.set_authorizer(self._authorize)
        connection.set_progress_handler(self._late, STEPS)

    def start(self) -> None:
        """A user's statement begins."""
        self.trusted = False
        self._deadline = time.monotonic() + self._seconds

    def stop(self) -> None:
        """It ended."""
        self.trusted = True

    def _late(self) -> bool:
        return not self.trusted and time.monotonic() > self._deadline

    def _authorize(
        self,
        action: int,
        first: str | None,
        second: str | None,
        schema: str | None,
        trigger: str | None,
    ) -> int:
        if self.trusted or self._allows(action, first, second, schema):
            return apsw.SQLITE_OK
        return apsw.SQLITE_DENY

    def _allows(
        self, action: int, first: str | None, second: str | None, schema: str | None
    ) -> bool:
        if action in (apsw.SQLITE_TRANSACTION, apsw.SQLITE_SAVEPOINT):
            raise D1Error(limits.TRANSACTION)
        if action == apsw.SQLITE_ALTER_TABLE:  # SQLite gives the schema first here
            return first == "main" and _theirs(second)
        if schema == "temp":
            return action in (apsw.SQLITE_READ, apsw.SQLITE_UPDATE) and _theirs(first)
        if schema not in (None, "main"):
            return False
        if action in _ALLOWED:
            return True
        if action in _NAMED:
            return _theirs(first) and (
                action in (apsw.SQLITE_READ, apsw.SQLITE_UPDATE) or _theirs(second)
            )
        if action == apsw.SQLITE_FUNCTION:
            return (second or "").lower() in limits.FUNCTIONS
        if action == apsw.SQLITE_PRAGMA:
            return self._pragma((first or "").lower(), second)
        if action in (apsw.SQLITE_CREATE_VTABLE, apsw.SQLITE_DROP_VTABLE):
            return _theirs(first) and (second or "").lower() in limits.MODULES
        return False

    def _pragma(self, name: str, value: str | None) -> bool:
        kind = limits.PRAGMAS.get(name)
        if kind is None:
            return False
        if kind == "boolean":
            self.used_pragma = self.used_pragma or value is not None
            return value is None or limits.BOOLEAN.fullmatch(value) is not None
        if kind == "none":
            return value is None
        return _theirs(value) and (kind == "any" or value is not None)


def _theirs(name: str | None) -> bool:
    return name is None or not name.lower().startswith(limits.OWN)
