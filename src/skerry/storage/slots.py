"""Minutes that were claimed, so that of several processes one alone fires a cron trigger."""

from __future__ import annotations

import apsw

from skerry.storage.sqlite import Database

SCHEMA = (
    """
    CREATE TABLE slots (
        worker TEXT NOT NULL,
        cron TEXT NOT NULL,
        minute INTEGER NOT NULL,
        PRIMARY KEY (worker, cron, minute)
    ) STRICT, WITHOUT ROWID;
    """,
)

_KEPT = 10_080
"""Minutes that a claim is kept: a week, longer than any clock is set back."""


class Slots:
    """The claims of one account."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, worker: str, cron: str, minute: int) -> bool:
        """Is this minute (Unix time by 60) ours to fire? To one caller alone the answer is yes.

        The claim is on the disk before the trigger fires: a process that dies in between leaves
        the minute unfired, never fired twice.
        """

        def work(connection: apsw.Connection) -> bool:
            connection.execute(
                "INSERT INTO slots VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                (worker, cron, minute),
            )
            mine = bool(connection.changes())
            if mine:
                connection.execute(
                    "DELETE FROM slots WHERE worker = ? AND cron = ? AND minute < ?",
                    (worker, cron, minute - _KEPT),
                )
            return mine

        return await self._database.write(work)
