"""Vectorize as workerd's own client speaks to it: POST /insert and /upsert (NDJSON), /query,
/getByIds, /deleteByIds, GET /info. Any status but 200 brings `{code, error}`."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from skerry.api.bindings.base import BindingFace
from skerry.api.reading import read_body
from skerry.errors import StorageError
from skerry.storage.vectorize.base import (
    WORKER_BATCH,
    IndexState,
    InvalidQuery,
    Match,
    Query,
    Returned,
    Vector,
    VectorError,
    VectorIndex,
    VectorIndexes,
)
from skerry.storage.vectorize.check import vectors_of

MAX_BODY = 100 << 20
"""Bytes of the vectors of one call."""

_SMALL = 1 << 20
_LONG = 1 << 17

T = TypeVar("T")


class QueryBody(msgspec.Struct, rename="camel"):
    """The body of a query: `vector`, or `vectorId`, and how to search."""

    vector: list[float] | None = None
    vector_id: str | None = None
    top_k: float = 5
    namespace: str | None = None
    filter: dict[str, Any] | None = None
    return_values: bool = False
    return_metadata: Returned | bool = "none"


class Ids(msgspec.Struct):
    """The body of getByIds and deleteByIds."""

    ids: list[str]


class VectorizeFace(BindingFace):
    """An index that a worker is bound to; it is looked up by each call, so it may come later."""

    def __init__(self, indexes: VectorIndexes, name: str) -> None:
        self._indexes = indexes
        self._name = name

    async def handle(self, request: web.Request) -> web.StreamResponse:
        try:
            return _json(await self._answer(request))
        except StorageError as error:
            body = {"code": error.code or 10000 + error.status, "error": error.message}
            return _json(body, error.status)

    async def _answer(self, request: web.Request) -> Any:
        index = await self._indexes.open(self._name)
        what = (request.method, request.path)
        if what == ("GET", "/info"):
            return info_object(await index.state())
        if what in (("POST", "/insert"), ("POST", "/upsert")):
            data = await read_body(request, MAX_BODY, too_large)
            vectors = await parsed(data, WORKER_BATCH)
            put = index.insert if request.path == "/insert" else index.upsert
            return {"mutationId": await put(vectors)}
        if what == ("POST", "/query"):
            return await queried(index, await body_of(request, QueryBody))
        if what == ("POST", "/getByIds"):
            return await index.get_by_ids((await body_of(request, Ids)).ids)
        if what == ("POST", "/deleteByIds"):
            ids = (await body_of(request, Ids)).ids
            return {"mutationId": await index.delete_by_ids(ids)}
        raise VectorError(f"{request.method} {request.path[:100]} is not known", status=404)


async def parsed(data: bytes, most: int, *, discard: bool = False) -> list[Vector]:
    """`vectors_of`, in a thread where it takes long."""
    if len(data) < _LONG:
        return vectors_of(data, most, discard=discard)
    return await asyncio.to_thread(vectors_of, data, most, discard=discard)


async def queried(index: VectorIndex, body: QueryBody) -> dict[str, Any]:
    """{count, matches} of a query. Raises InvalidQuery, InvalidFilter, InvalidVector."""
    if (body.vector is None) == (body.vector_id is None):
        raise InvalidQuery("give one of vector and vectorId")
    if body.top_k != int(body.top_k):
        raise InvalidQuery(f"topK: {body.top_k:g} is no whole number")
    level: Any = body.return_metadata
    query = Query(
        top_k=int(body.top_k),
        namespace=body.namespace,
        filter=body.filter,
        return_values=body.return_values,
        return_metadata=("all" if level else "none") if isinstance(level, bool) else level,
    )
    target: Any = body.vector_id if body.vector is None else body.vector
    matches: list[Match] = await index.query(target, query)
    return {"count": len(matches), "matches": matches}


def info_object(state: IndexState) -> dict[str, Any]:
    """What `describe()` answers."""
    at = datetime.fromtimestamp(state.mutation_ms / 1000, UTC) if state.mutation else None
    return {
        "vectorCount": state.vector_count,
        "dimensions": state.dimensions,
        "processedUpToDatetime": at,
        "processedUpToMutation": state.mutation or None,
    }


async def body_of(request: web.Request, kind: type[T]) -> T:
    """The body as JSON of a type, whatever its label. Raises InvalidQuery."""
    data = await read_body(request, _SMALL, too_large)
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidQuery(f"failed to parse the request: {error}") from error


def too_large(size: int) -> None:
    """Raises VectorError."""
    raise VectorError(f"a body of {size} bytes is too large", code=40005, status=413)


def _json(value: Any, status: int = 200) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(value), content_type="application/json", status=status
    )
