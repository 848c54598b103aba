"""D1 over REST: databases and queries."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from skerry.api.storage.d1_transfers import D1TransfersRest
from skerry.api.storage.rest import ACCOUNT, json_body, ok, page_of, stored
from skerry.errors import StorageError
from skerry.storage.d1.base import D1Database, D1Info, D1Result, D1Statement
from skerry.storage.open import folder_name

if TYPE_CHECKING:
    from skerry.storage.open import Stores

BASE = f"{ACCOUNT}/d1/database"
BODY = 100 << 20

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9 ._-]{0,62}")


class DatabaseBody(msgspec.Struct):
    """The body that creates a database. A location is taken and means nothing: this node is it."""

    name: str
    uuid: str | None = None
    """Not Cloudflare's: the id that a project's configuration has for it. One that is known
    already is no error."""
    primary_location_hint: str | None = None
    jurisdiction: str | None = None


class QueryBody(msgspec.Struct):
    """One text of SQL and its parameters, or a batch of them; a batch is one transaction."""

    sql: str | None = None
    params: list[Any] | None = None
    batch: list[D1Statement] | None = None


class D1Rest:
    """/accounts/{account}/d1/database…"""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._transfers = D1TransfersRest(stores)

    def routes(self) -> list[web.RouteDef]:
        one = f"{BASE}/{{database}}"
        return [
            web.get(BASE, stored(self.list)),
            web.post(BASE, stored(self.create, DatabaseBody)),
            web.get(one, stored(self.get)),
            web.delete(one, stored(self.delete)),
            web.post(f"{one}/query", stored(self.query, QueryBody)),
            web.post(f"{one}/raw", stored(self.raw, QueryBody)),
            *self._transfers.routes(),
        ]

    async def list(self, request: web.Request) -> web.Response:
        """All databases, by page; `name` keeps those whose name holds it."""
        wanted = request.query.get("name", "")
        found = await self._stores.d1_databases(request.match_info["account"]).list()
        items, info = page_of(request, [each for each in found if wanted in each.name], 10_000)
        return ok([_short(each) for each in items], info)

    async def create(self, request: web.Request) -> web.Response:
        """{name} -> {uuid, name, …}; 7502 where the name is taken."""
        body = await json_body(request, DatabaseBody)
        if _NAME.fullmatch(body.name) is None:
            raise StorageError("name: 1 to 63 letters, digits, spaces, '-', '_' and '.'", code=7400)
        databases = self._stores.d1_databases(request.match_info["account"])
        if body.uuid is None:
            made = await databases.create(body.name)
        else:
            await databases.ensure(folder_name(body.uuid), body.name)
            made = await databases.get(body.uuid)
        return ok(await self._long(request, made))

    async def get(self, request: web.Request) -> web.Response:
        """One database, its size in bytes and its number of tables."""
        return ok(await self._long(request, await self._found(request)))

    async def delete(self, request: web.Request) -> web.Response:
        """The database and all that is in it."""
        where = request.match_info
        await self._stores.d1_databases(where["account"]).delete(where["database"])
        return ok(None)

    async def query(self, request: web.Request) -> web.Response:
        """Run SQL; one result for each statement, rows as objects. All or nothing."""
        return ok([_result(each, each.objects()) for each in await self._run(request)])

    async def raw(self, request: web.Request) -> web.Response:
        """Run SQL; one result for each statement, rows as arrays. All or nothing."""
        return ok(
            [
                _result(each, {"columns": each.columns, "rows": each.rows})
                for each in await self._run(request)
            ]
        )

    async def _run(self, request: web.Request) -> Sequence[D1Result]:
        database = await self._database(request)
        body = await json_body(request, QueryBody, BODY)
        if body.batch is not None:
            return (await database.query(body.batch)).results
        if body.sql is None:
            raise StorageError("give `sql`, or a `batch` of them", code=7400)
        return (await database.script(body.sql, body.params)).results

    async def _long(self, request: web.Request, info: D1Info) -> dict[str, Any]:
        size, tables = await self._stores.d1(request.match_info["account"], info.uuid).size()
        return _short(info) | {
            "num_tables": tables,
            "file_size": size,
            "read_replication": {"mode": "disabled"},
        }

    async def _found(self, request: web.Request) -> D1Info:
        where = request.match_info
        return await self._stores.d1_databases(where["account"]).get(where["database"])

    async def _database(self, request: web.Request) -> D1Database:
        """The database of the path. Raises DatabaseNotFound."""
        info = await self._found(request)
        return self._stores.d1(request.match_info["account"], info.uuid, info.name)


def _short(info: D1Info) -> dict[str, Any]:
    return {
        "uuid": info.uuid,
        "name": info.name,
        "version": "production",
        "created_at": info.created_at,
    }


def _result(result: D1Result, rows: Any) -> dict[str, Any]:
    meta = msgspec.to_builtins(result.meta)
    meta["served_by_primary"] = True
    meta["timings"] = {"sql_duration_ms": result.meta.duration}
    return {"results": rows, "success": True, "meta": meta}
