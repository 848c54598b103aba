"""`env.KV`: a Workers KV namespace."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote, urlencode

from _skerry.client import Client, Reply
from _skerry.streams import ReadableStream
from _skerry.values import Result, dumps, loads, options, result

METADATA = "cf-kv-metadata"


class KvError(Exception):
    """What KV raises: "KV PUT failed: 400 …"."""


class KvNamespace:
    """get, getWithMetadata, put, delete, list; names in camelCase or snake_case, options as an
    object or as keywords."""

    def __init__(self, client: Client, name: str) -> None:
        self._client = client
        self._name = name

    async def get(self, key: Any, type_: Any = None, **kwargs: Any) -> Any:
        """The value, None where there is none; of a list of keys, a dict of values."""
        if isinstance(key, list | tuple):
            return await self._many(key, type_, kwargs, metadata=False)
        found = await self._get(key, type_, kwargs)
        return found.value

    async def getWithMetadata(self, key: Any, type_: Any = None, **kwargs: Any) -> Any:
        """The value and its metadata, as {value, metadata, cacheStatus}."""
        if isinstance(key, list | tuple):
            return await self._many(key, type_, kwargs, metadata=True)
        return await self._get(key, type_, kwargs)

    get_with_metadata = getWithMetadata

    async def put(self, key: str, value: Any, put_options: Any = None, **kwargs: Any) -> None:
        """Keep text, bytes or a stream. expirationTtl=, expiration=, metadata=."""
        given = options(put_options, kwargs)
        query = {"urlencoded": "true"}
        if "expiration" in given:
            query["expiration"] = str(given["expiration"])
        if "expirationTtl" in given:
            query["expiration_ttl"] = str(given["expirationTtl"])
        headers = []
        if "metadata" in given:
            headers.append((METADATA, dumps(given["metadata"])))
        reply = await self._ask("PUT", key, query, headers, _value(value))
        await reply.read()

    async def delete(self, key: str) -> None:
        await (await self._ask("DELETE", key, {"urlencoded": "true"})).read()

    async def list(self, list_options: Any = None, **kwargs: Any) -> Result:
        """A page: {keys: [{name, expiration?, metadata?}], list_complete, cursor?}."""
        given = options(list_options, kwargs)
        query = {}
        for name, sent in (
            ("limit", "key_count_limit"),
            ("prefix", "prefix"),
            ("cursor", "cursor"),
        ):
            if name in given:
                query[sent] = str(given[name])
        target = f"/?{urlencode(query)}"
        reply = await self._client.request(self._name, "GET", target)
        page: Result = loads(await _good(reply, "GET"))
        for each in page["keys"]:
            if isinstance(each.get("metadata"), str):
                each["metadata"] = _metadata(each["metadata"])
        return page

    async def _get(self, key: str, type_: Any, kwargs: dict[str, Any]) -> Result:
        kind, query = _wanted(type_, kwargs)
        reply = await self._ask("GET", key, query, missing=True)
        if reply.status in (404, 410):
            await reply.read()
            return Result(value=None, metadata=None, cacheStatus=None)
        noted = reply.header(METADATA)
        value: Any
        if kind == "stream":
            value = ReadableStream(reply.body)
        else:
            data = await reply.read()
            value = data if kind == "arrayBuffer" else data.decode(errors="replace")
            if kind == "json":
                value = loads(data)
        return Result(
            value=value, metadata=None if noted is None else _metadata(noted), cacheStatus=None
        )

    async def _many(
        self, keys: Any, type_: Any, kwargs: dict[str, Any], *, metadata: bool
    ) -> Result:
        kind, query = _wanted(type_, kwargs)
        body = {"keys": list(keys), "type": kind, "withMetadata": metadata}
        if "cache_ttl" in query:
            body["cacheTtl"] = query["cache_ttl"]
        reply = await self._client.request(
            self._name, "POST", "/bulk/get", [("content-type", "application/json")],
            dumps(body).encode(),
        )  # fmt: skip
        found: Result = loads(await _good(reply, "GET_BULK"))
        return found

    async def _ask(
        self, method: str, key: Any, query: dict[str, str], headers: Any = None,
        body: bytes | ReadableStream | None = None, *, missing: bool = False,
    ) -> Reply:  # fmt: skip
        if not isinstance(key, str):
            raise TypeError(f"a key is text, not {type(key).__name__}")
        target = f"/{quote(key, safe='')}?{urlencode(query)}"
        reply = await self._client.request(self._name, method, target, headers, body)
        if not (missing and reply.status in (404, 410)) and reply.status >= 300:
            await _good(reply, method)
        return reply


def _wanted(type_: Any, kwargs: dict[str, Any]) -> tuple[str, dict[str, str]]:
    given = options(None if isinstance(type_, str) else type_, kwargs)
    kind = type_ if isinstance(type_, str) else given.get("type", "text")
    kind = {"array_buffer": "arrayBuffer", "bytes": "arrayBuffer"}.get(kind, kind)
    if kind not in ("text", "json", "arrayBuffer", "stream"):
        raise TypeError(
            'Unknown response type. Possible types are "text", "arrayBuffer", "json", and "stream".'
        )
    query = {"urlencoded": "true"}
    if "cacheTtl" in given:
        query["cache_ttl"] = str(given["cacheTtl"])
    return kind, query


def _value(value: Any) -> bytes | ReadableStream:
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    if isinstance(value, ReadableStream):
        return value
    raise TypeError(
        "KV put() accepts only strings, ArrayBuffers, ArrayBufferViews, and ReadableStreams as"
        f" values: str, bytes or a stream, not {type(value).__name__}; write a dict with json.dumps"
    )


def _metadata(text: str) -> Any:
    data = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return result(json.loads(data))


async def _good(reply: Reply, method: str) -> bytes:
    data = await reply.read()
    if reply.status >= 300:
        raise KvError(f"KV {method} failed: {reply.status} {reply.reason}")
    return data
