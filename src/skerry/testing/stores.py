"""The stores of a project, for tests to fill and to look into."""

from __future__ import annotations

import json as jsonlib
from typing import TYPE_CHECKING, Any

from skerry.storage.kv.base import KvNamespace
from skerry.workers.migrations import BoundDatabase

if TYPE_CHECKING:
    from skerry.testing.node import LocalNode


class Kv:
    """A KV namespace."""

    def __init__(self, node: LocalNode, namespace: KvNamespace) -> None:
        self._node = node
        self._namespace = namespace

    def get(self, key: str) -> str | None:
        """The value as text; None where there is none."""
        entry = self._node.call(self._namespace.get(key))
        return None if entry is None else entry.value.decode()

    def json(self, key: str) -> Any:
        """The value as JSON; None where there is none."""
        text = self.get(key)
        return None if text is None else jsonlib.loads(text)

    def put(
        self, key: str, value: str | bytes, *, metadata: Any = None, ttl: int | None = None
    ) -> None:
        """Put a value; ttl: seconds, at least 60."""
        data = value.encode() if isinstance(value, str) else value
        told = None if metadata is None else jsonlib.dumps(metadata)
        self._node.call(self._namespace.put(key, data, metadata=told, expiration_ttl=ttl))

    def delete(self, key: str) -> None:
        self._node.call(self._namespace.delete(key))

    def keys(self, prefix: str = "") -> list[str]:
        """Every key that starts with `prefix`, in order."""
        return self._node.call(self._keys(prefix))

    def clear(self) -> None:
        """Delete every key."""
        self._node.call(self._clear())

    async def _keys(self, prefix: str) -> list[str]:
        found: list[str] = []
        cursor = ""
        while True:
            page = await self._namespace.list(prefix, cursor=cursor)
            found += [each.name for each in page.keys]
            cursor = page.cursor
            if not cursor:
                return found

    async def _clear(self) -> None:
        keys = await self._keys("")
        if keys:
            await self._namespace.delete_many(keys)


class D1:
    """A D1 database."""

    def __init__(self, node: LocalNode, database: BoundDatabase) -> None:
        self._node = node
        self._database = database
        binding = database.binding
        self.names = (binding.name, binding.database_name, binding.id)

    def execute(self, sql: str, *params: Any) -> list[dict[str, Any]]:
        """Run SQL, all of it or none; the rows of the last statement. Raises D1Error."""
        return self._node.call(self._database.run(sql, params))

    def migrate(self) -> list[str]:
        """Apply the migrations that were not applied yet; `start` has done so. Their names."""
        return self._node.call(self._database.migrate())

    def reset(self) -> None:
        """Delete all that is in it, and apply the migrations."""
        self._node.call(self._reset())

    async def _reset(self) -> None:
        known = self._node.node.stores.d1_databases("local")
        mine = self._database.binding.id
        if any(each.uuid == mine for each in await known.list()):
            await known.delete(mine)
        await self._database.migrate()
