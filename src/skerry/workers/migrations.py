"""The migrations of the D1 databases that a project is bound to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from skerry.storage.d1 import migrations
from skerry.storage.d1.base import D1Database
from skerry.workers.bindings import D1Binding
from skerry.workers.project import Project


class Databases(Protocol):
    """What is needed of storage.open.Stores."""

    def d1(self, account: str, database: str, name: str = "") -> D1Database: ...


class BoundDatabase:
    """One database of a project, and the folder of its migrations, which need not be there."""

    def __init__(self, stores: Databases, account: str, binding: D1Binding, root: Path) -> None:
        self._stores = stores
        self._account = account
        self.binding = binding
        self._folder = root / binding.migrations_dir

    async def run(self, sql: str, params: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """Run SQL, all of it or none; the rows of its last statement. Raises D1Error."""
        binding = self.binding
        database = self._stores.d1(self._account, binding.id, binding.database_name)
        answer = await database.script(sql, list(params) or None)
        return answer.results[-1].objects()

    async def pending(self) -> list[str]:
        """The names of the migrations that were not applied yet."""
        if not self._folder.is_dir():
            return []
        table = self.binding.migrations_table
        return [path.name for path in await migrations.pending(self.run, self._folder, table)]

    async def migrate(self) -> list[str]:
        """Apply what is pending; the names. Raises MigrationFailed."""
        if not self._folder.is_dir():
            return []
        return await migrations.apply(self.run, self._folder, self.binding.migrations_table)


def databases(stores: Databases, account: str, project: Project) -> list[BoundDatabase]:
    """Every D1 database that a project is bound to."""
    return [
        BoundDatabase(stores, account, each, project.root)
        for each in project.bindings
        if isinstance(each, D1Binding)
    ]
