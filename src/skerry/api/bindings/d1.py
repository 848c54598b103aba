"""D1 as workerd speaks to it: rows as arrays, errors in the body, a token for sessions."""

from __future__ import annotations

from typing import Any

import msgspec
import orjson
from aiohttp import web

from skerry.api.bindings.base import BindingFace
from skerry.api.reading import read_body
from skerry.errors import StorageError
from skerry.storage.d1.base import D1Database, D1Error, D1Result, D1Statement

TOKEN = "x-cf-d1-session-commit-token"  # noqa: S105  a header's name
"""A session's bookmark. There is one primary, always current: a token in a request is met."""
BODY = 100 << 20

_Body = D1Statement | list[D1Statement]
_bodies: msgspec.json.Decoder[_Body] = msgspec.json.Decoder(_Body)


class D1Face(BindingFace):
    """POST /query?resultsFormat=ROWS_AND_COLUMNS and POST /execute?resultsFormat=NONE."""

    def __init__(self, database: D1Database) -> None:
        self._database = database

    async def handle(self, request: web.Request) -> web.StreamResponse:
        try:
            if request.method != "POST" or request.path not in ("/query", "/execute"):
                raise D1Error(f"{request.method} {request.path[:100]} is not known here")
            body = _decoded(await read_body(request, BODY, _too_large))
            statements = body if isinstance(body, list) else [body]
            answer = await self._database.query(statements)
        except StorageError as error:
            return _json({"success": False, "error": error.message}, {})
        arrays = request.query.get("resultsFormat") == "ROWS_AND_COLUMNS"
        return _json(
            [_result(each, arrays=arrays) for each in answer.results], {TOKEN: answer.bookmark}
        )


def _decoded(data: bytes) -> _Body:
    try:
        return _bodies.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise D1Error(f"the request does not fit: {error}") from error


def _result(result: D1Result, *, arrays: bool) -> dict[str, Any]:
    rows: Any = {"columns": result.columns, "rows": result.rows} if arrays else result.objects()
    return {"success": True, "results": rows, "meta": msgspec.to_builtins(result.meta)}


def _too_large(size: int) -> None:
    raise D1Error(f"a request of {size} bytes is too large; at most {BODY}")


def _json(value: Any, headers: dict[str, str]) -> web.Response:
    return web.Response(body=orjson.dumps(value), content_type="application/json", headers=headers)
