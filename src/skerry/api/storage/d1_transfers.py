"""Import and export of D1 databases over REST: SQL files that are put to and had from a URL.

Cloudflare lends a signed URL of R2 for them; here it is a URL of the node itself.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import msgspec
from aiohttp import web

from skerry.api.reading import read_body
from skerry.api.storage.rest import ACCOUNT, json_body, ok, stored
from skerry.errors import StorageError
from skerry.storage.d1.base import D1Dump, D1Error, D1Info

if TYPE_CHECKING:
    from skerry.storage.open import Stores

ONE = f"{ACCOUNT}/d1/database/{{database}}"
LARGEST = 1 << 30
"""Bytes of a file that is imported."""
KEPT = 3600.0
"""Seconds that an export can be had."""

_ETAG = re.compile(r"[0-9a-f]{32}")
_FILE = re.compile(r"[A-Za-z0-9._-]{1,200}\.sql")


class ImportBody(msgspec.Struct):
    """init: `etag`, the file's MD5; ingest: `etag` and `filename`; poll: `current_bookmark`."""

    action: str
    etag: str = ""
    filename: str = ""
    current_bookmark: str = ""


class ExportBody(msgspec.Struct):
    """`output_format` is "polling"; `dump_options` says what to leave out."""

    output_format: str = "polling"
    current_bookmark: str = ""
    dump_options: D1Dump = msgspec.field(default_factory=D1Dump)


class D1TransfersRest:
    """…/import, …/export, and the files between."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post(f"{ONE}/import", stored(self.import_, ImportBody)),
            web.put(f"{ONE}/import/{{file}}", stored(self.upload)),
            web.post(f"{ONE}/export", stored(self.export, ExportBody)),
            web.get(f"{ONE}/export/{{file}}", stored(self.download)),
        ]

    async def import_(self, request: web.Request) -> web.Response:
        """Import a SQL file in three steps: init, PUT to `upload_url`, ingest. All or nothing."""
        info = await self._found(request)
        body = await json_body(request, ImportBody)
        if body.action == "poll":
            return ok(_import(success=False, error="Not currently importing anything."))
        if _ETAG.fullmatch(body.etag) is None:
            raise StorageError("etag: not the MD5 of the file, in 32 hex digits", code=7400)
        name = f"{info.uuid}.{body.etag}.sql"
        if body.action == "init":
            url = f"{_base(request)}/import/{name}"
            return ok(_import(success=True, filename=name, upload_url=url))
        if body.action != "ingest" or body.filename != name:
            raise StorageError("action: init, ingest or poll, with the filename of init", code=7400)
        path = self._folder(request) / name
        try:
            data = await asyncio.to_thread(path.read_bytes)
        except FileNotFoundError as error:
            raise StorageError(f"{name} was not uploaded", code=7400) from error
        return ok(await self._ingest(request, data, path, body.etag))

    async def _ingest(
        self, request: web.Request, data: bytes, path: Path, etag: str
    ) -> dict[str, Any]:
        if await asyncio.to_thread(_md5, data) != etag:
            raise StorageError("the uploaded file has another MD5 than etag says", code=7400)
        try:
            sql = data.decode()
        except UnicodeDecodeError as error:
            raise StorageError(f"the uploaded file is not UTF-8: {error}", code=7400) from error
        where = request.match_info
        try:
            done = await self._stores.d1(where["account"], where["database"]).load(sql)
        except D1Error as error:
            return _import(success=False, status="error", error=error.message)
        finally:
            await asyncio.to_thread(path.unlink, missing_ok=True)
        return _import(
            success=True,
            status="complete",
            at_bookmark=done.bookmark,
            result={
                "final_bookmark": done.bookmark,
                "num_queries": done.statements,
                "meta": msgspec.to_builtins(done.meta),
            },
        )

    async def upload(self, request: web.Request) -> web.Response:
        """The file of an import; answers its MD5 as ETag."""
        await self._found(request)
        path = self._file(request)
        data = await read_body(request, LARGEST, _too_large)
        await asyncio.to_thread(_keep, path, data)
        digest = await asyncio.to_thread(_md5, data)
        return web.Response(headers={"ETag": f'"{digest}"'})

    async def export(self, request: web.Request) -> web.Response:
        """The database as SQL, at `signed_url` for an hour."""
        info = await self._found(request)
        body = await json_body(request, ExportBody)
        if body.output_format != "polling":
            raise StorageError("output_format: polling", code=7400)
        database = self._stores.d1(request.match_info["account"], info.uuid)
        sql = await database.dump(body.dump_options)
        name = f"{info.uuid}.{uuid4().hex}.sql"
        folder = self._folder(request)
        await asyncio.to_thread(_clear, folder, time.time() - KEPT)
        await asyncio.to_thread(_keep, folder / name, sql.encode())
        return ok(
            {
                "success": True,
                "type": "export",
                "status": "complete",
                "at_bookmark": body.current_bookmark or name,
                "messages": [],
                "result": {
                    "filename": name,
                    "signed_url": f"{_base(request)}/export/{name}",
                },
            }
        )

    async def download(self, request: web.Request) -> web.Response:
        """The file of an export."""
        await self._found(request)
        try:
            data = await asyncio.to_thread(self._file(request).read_bytes)
        except FileNotFoundError as error:
            raise StorageError(
                "no such export; it is kept for an hour", code=7404, status=404
            ) from (error)
        return web.Response(body=data, content_type="application/sql")

    async def _found(self, request: web.Request) -> D1Info:
        where = request.match_info
        return await self._stores.d1_databases(where["account"]).get(where["database"])

    def _folder(self, request: web.Request) -> Path:
        return self._stores.folder(request.match_info["account"], "d1") / "transfers"

    def _file(self, request: web.Request) -> Path:
        """The file of the path, if it is one of this database. Raises StorageError."""
        name, database = request.match_info["file"], request.match_info["database"]
        if _FILE.fullmatch(name) is None or not name.startswith(f"{database}."):
            raise StorageError("no file of this database has such a name", code=7404, status=404)
        return self._folder(request) / name


def _base(request: web.Request) -> str:
    path = request.path.rsplit("/", 1)[0]
    return f"{request.scheme}://{request.host}{path}"


def _import(*, success: bool, **more: Any) -> dict[str, Any]:
    return {"success": success, "type": "import", "messages": [], **more}


def _too_large(size: int) -> None:
    raise StorageError(f"{size} bytes; at most {LARGEST}", code=7400, status=413)


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _keep(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.write_bytes(data)


def _clear(folder: Path, before: float) -> None:
    for path in folder.glob("*.sql") if folder.is_dir() else ():
        if path.stat().st_mtime < before:
            path.unlink(missing_ok=True)
