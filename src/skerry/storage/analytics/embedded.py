"""Data points in SQLite, one file per account. Writes that come together share one commit."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import apsw

from skerry.storage.analytics.base import (
    BLOBS,
    DOUBLES,
    AnalyticsDataset,
    AnalyticsError,
    DataPoint,
    check_points,
)
from skerry.storage.sqlite import Database

_BLOBS = [f"blob{number}" for number in range(1, BLOBS + 1)]
_DOUBLES = [f"double{number}" for number in range(1, DOUBLES + 1)]
_COLUMNS = ", ".join(["dataset", "timestamp", "index1", *_BLOBS, *_DOUBLES])
_PLACES = ", ".join("?" * (3 + BLOBS + DOUBLES))
_INSERT = f"INSERT INTO points ({_COLUMNS}) VALUES ({_PLACES})"  # noqa: S608  our own names
_SELECT = (
    f"SELECT {_COLUMNS} FROM points WHERE dataset = ?"  # noqa: S608  our own names
    " ORDER BY timestamp DESC, seq DESC LIMIT ?"
)
_NAME = re.compile(r"[A-Za-z0-9_-]{1,128}")

SCHEMA = (
    "CREATE TABLE points (seq INTEGER PRIMARY KEY, dataset TEXT NOT NULL,"
    " timestamp INTEGER NOT NULL, index1 BLOB NOT NULL, "
    + ", ".join([f"{name} BLOB" for name in _BLOBS] + [f"{name} REAL" for name in _DOUBLES])
    + ") STRICT;"
    "CREATE INDEX points_time ON points (dataset, timestamp);",
)


class EmbeddedDataset(AnalyticsDataset):
    """A dataset of the file of its account."""

    def __init__(self, name: str, database: Database) -> None:
        """Raises AnalyticsError for what is no dataset's name."""
        if _NAME.fullmatch(name) is None:
            raise AnalyticsError(
                f"{name[:100]!r} is no dataset name: use letters, digits, '-' and '_'"
            )
        self.name = name
        self._database = database

    async def write(self, points: Sequence[DataPoint]) -> None:
        check_points(points)
        rows = [self._row(each) for each in points]

        def work(connection: apsw.Connection) -> None:
            connection.executemany(_INSERT, rows)

        if rows:
            await self._database.write(work)

    async def points(self, limit: int = 1000) -> list[DataPoint]:
        def work(connection: apsw.Connection) -> list[DataPoint]:
            return [_point(row) for row in connection.execute(_SELECT, (self.name, limit))]

        return await self._database.read(work)

    async def count(self) -> int:
        def work(connection: apsw.Connection) -> Any:
            return connection.execute(
                "SELECT count(*) FROM points WHERE dataset = ?", (self.name,)
            ).get

        return int(await self._database.read(work))

    def _row(self, point: DataPoint) -> tuple[apsw.SQLiteValue, ...]:
        blobs = [*point.blobs, *[None] * (BLOBS - len(point.blobs))]
        doubles = [*point.doubles, *[0.0] * (DOUBLES - len(point.doubles))]
        return (self.name, point.timestamp_ns, point.index, *blobs, *doubles)


def _point(row: tuple[Any, ...]) -> DataPoint:
    return DataPoint(
        timestamp_ns=row[1],
        index=row[2],
        blobs=row[3 : 3 + BLOBS],
        doubles=row[3 + BLOBS :],
    )
