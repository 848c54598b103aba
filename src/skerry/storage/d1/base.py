"""What a D1 database can do, whichever backend holds it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import msgspec

from skerry.errors import StorageError

QUERY_FAILED = 7500


class D1Error(StorageError):
    """What a caller of D1 sees: SQLite's words in D1's form, "no such table: x: SQLITE_ERROR"."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code=QUERY_FAILED, status=400)


class DatabaseNotFound(StorageError):
    """No database of that id: 7404, 404."""

    def __init__(self, database: str) -> None:
        super().__init__(f"The database {database[:64]} could not be found", code=7404, status=404)


class DatabaseExists(StorageError):
    """Another database of the account has this name: 7502, 400. wrangler looks for the code."""

    def __init__(self, name: str) -> None:
        super().__init__(f"A database with the name {name} already exists", code=7502, status=400)


class D1Statement(msgspec.Struct, frozen=True):
    """SQL and what is bound to it: JSON values; an array of numbers is a blob."""

    sql: str
    params: list[Any] | None = None


class D1Meta(msgspec.Struct, frozen=True):
    """What a statement did and cost. `duration` is in milliseconds, `size_after` in bytes."""

    served_by: str
    duration: float
    changes: int
    last_row_id: int
    changed_db: bool
    size_after: int
    rows_read: int
    rows_written: int


class D1Result(msgspec.Struct, frozen=True):
    """The rows of one statement, as JSON has them: blobs are arrays of numbers."""

    columns: list[str]
    rows: list[list[Any]]
    meta: D1Meta

    def objects(self) -> list[dict[str, Any]]:
        """Each row as column -> value."""
        columns = self.columns
        return [dict(zip(columns, row, strict=True)) for row in self.rows]


class D1Answer(msgspec.Struct, frozen=True):
    """One result per statement, and the state of the database that they saw or made."""

    results: list[D1Result]
    bookmark: str


class D1ImportResult(msgspec.Struct, frozen=True):
    """What an import did. `meta` adds up over its statements."""

    statements: int
    meta: D1Meta
    bookmark: str


class D1Dump(msgspec.Struct, frozen=True):
    """What an export holds: schema, rows, of which tables (none named: all)."""

    no_schema: bool = False
    no_data: bool = False
    tables: list[str] = []


class D1Database(ABC):
    """One database."""

    @abstractmethod
    async def query(self, statements: Sequence[D1Statement]) -> D1Answer:
        """Run statements in one transaction: all of them, or none. Raises D1Error.

        Each may hold several, separated by semicolons; its result is then that of the last.
        """

    @abstractmethod
    async def script(self, sql: str, params: list[Any] | None = None) -> D1Answer:
        """Run all statements of a text in one transaction; one result for each. Raises D1Error.

        Only the last can have parameters.
        """

    @abstractmethod
    async def load(self, sql: str) -> D1ImportResult:
        """Run a long text in one transaction, keeping none of its results. Raises D1Error."""

    @abstractmethod
    async def dump(self, what: D1Dump) -> str:
        """SQL that makes the same database again. Raises D1Error."""

    @abstractmethod
    async def size(self) -> tuple[int, int]:
        """Bytes of the file, and how many tables it has."""


class D1Info(msgspec.Struct, frozen=True):
    """A database as the REST API has it."""

    uuid: str
    name: str
    created_at: str
    """ISO 8601, UTC."""


class D1Databases(ABC):
    """The databases of an account."""

    @abstractmethod
    async def create(self, name: str) -> D1Info:
        """A new, empty database. Raises DatabaseExists."""

    @abstractmethod
    async def ensure(self, database: str, name: str) -> None:
        """Know the database of this id, which a project's configuration chose; under `name` where
        that is free."""

    @abstractmethod
    async def get(self, database: str) -> D1Info:
        """By its id. Raises DatabaseNotFound."""

    @abstractmethod
    async def list(self) -> list[D1Info]:
        """All, in the order in which they were made."""

    @abstractmethod
    async def delete(self, database: str) -> None:
        """The database and all that is in it. Raises DatabaseNotFound."""
