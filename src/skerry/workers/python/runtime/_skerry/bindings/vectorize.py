"""`env.VECTORIZE`: a Vectorize index."""

from __future__ import annotations

import json
from typing import Any

from _skerry.client import Client
from _skerry.values import Result, dumps, loads, options


class VectorizeError(Exception):
    """What an index raises: "VECTOR_QUERY_ERROR (code = 40006): …"."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class VectorizeIndex:
    """insert, upsert, query, queryById, getByIds, deleteByIds, describe."""

    def __init__(self, client: Client, name: str) -> None:
        self._client = client
        self._name = name

    async def describe(self) -> Result:
        return await self._ask("GET", "/info", None, "INDEX_INFO")

    async def insert(self, vectors: Any) -> Result:
        return await self._ask("POST", "/insert", _lines(vectors), "VECTOR_INSERT", ndjson=True)

    async def upsert(self, vectors: Any) -> Result:
        return await self._ask("POST", "/upsert", _lines(vectors), "VECTOR_UPSERT", ndjson=True)

    async def query(self, vector: Any, query_options: Any = None, **kwargs: Any) -> Result:
        """{matches: [{id, score, values?, metadata?}], count}; topK=, filter=, namespace=,
        returnValues=, returnMetadata=."""
        asked = {**_query(query_options, kwargs), "vector": _numbers(vector)}
        return await self._ask("POST", "/query", dumps(asked).encode(), "VECTOR_QUERY")

    async def queryById(self, vector_id: str, query_options: Any = None, **kwargs: Any) -> Result:
        asked = {**_query(query_options, kwargs), "vectorId": vector_id}
        return await self._ask("POST", "/query", dumps(asked).encode(), "VECTOR_QUERY")

    async def getByIds(self, ids: Any) -> Any:
        body = dumps({"ids": list(ids)}).encode()
        return await self._ask("POST", "/getByIds", body, "VECTOR_GET")

    async def deleteByIds(self, ids: Any) -> Result:
        body = dumps({"ids": list(ids)}).encode()
        return await self._ask("POST", "/deleteByIds", body, "VECTOR_DELETE")

    query_by_id, get_by_ids, delete_by_ids = queryById, getByIds, deleteByIds

    async def _ask(
        self, method: str, path: str, body: bytes | None, action: str, *, ndjson: bool = False
    ) -> Result:
        kind = "application/x-ndjson" if ndjson else "application/json"
        headers = [("content-type", kind)] if body is not None else []
        reply = await self._client.request(
            self._name, method, path, headers, body, host="vector-search"
        )
        data = await reply.read()
        if reply.status != 200:
            try:
                told = json.loads(data)
                code, text = int(told["code"]), str(told["error"])
            except (ValueError, KeyError, TypeError):
                code, text = 0, data[:500].decode(errors="replace") or f"status {reply.status}"
            shown = f"{action}_ERROR (code = {code})" if code else f"{action}_ERROR"
            raise VectorizeError(f"{shown}: {text}", code)
        found: Result = loads(data)
        return found


def _query(given: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
    asked = options(given, kwargs)
    wanted = asked.get("returnMetadata")
    if isinstance(wanted, bool):
        asked["returnMetadata"] = "all" if wanted else "none"
    return asked


def _numbers(vector: Any) -> Any:
    """The vector as a list; of numpy or any other buffer of floats, too."""
    if isinstance(vector, list | tuple):
        return vector
    convert = getattr(vector, "tolist", None)
    return convert() if callable(convert) else list(vector)


def _lines(vectors: Any) -> bytes:
    rows = []
    for each in [vectors] if isinstance(vectors, dict) else vectors:
        row = dict(dict.items(each))
        if "values" in row:
            row["values"] = _numbers(row["values"])
        rows.append(dumps(row))
    return "\n".join(rows).encode()
