"""KV as workerd speaks to it: the error's text is the reason phrase of the status line."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec
import orjson
from aiohttp import web

from skerry.api.bindings.base import BindingFace
from skerry.api.reading import read_body
from skerry.errors import StorageError
from skerry.storage.kv import limits
from skerry.storage.kv.base import KvEntry, KvError, KvKey, KvNamespace

METADATA = "CF-KV-Metadata"
EXPIRATION = "CF-Expiration"

_NOT_ASCII = re.compile(r"[^\x00-\x7f]")


class BulkGet(msgspec.Struct):
    """The body of POST /bulk/get."""

    keys: list[str]
    type: str = "text"
    withMetadata: bool = False  # noqa: N815  the wire's name
    cacheTtl: str | int | None = None  # noqa: N815  the wire's name


class KvFace(BindingFace):
    """`kvNamespace` of workerd, and the same for the Python host."""

    def __init__(self, namespace: KvNamespace) -> None:
        self._namespace = namespace

    async def handle(self, request: web.Request) -> web.StreamResponse:
        try:
            return await self._answer(request)
        except StorageError as error:
            return web.Response(
                status=error.status, reason=phrase(error.message), text=error.message
            )

    async def _answer(self, request: web.Request) -> web.Response:
        raw = request.rel_url.raw_path[1:]
        method = request.method
        if method == "GET":
            return await (self._get(request, raw) if raw else self._list(request))
        if method == "PUT":
            return await self._put(request, raw)
        if method == "DELETE":
            await self._namespace.delete(key_of(request, raw))
            return web.Response()
        if method == "POST" and raw == "bulk/get":
            return await self._bulk(request)
        raise KvError(f"{method} is not known here", status=405)

    async def _get(self, request: web.Request, raw: str) -> web.Response:
        key = key_of(request, raw)
        cache_ttl = request.query.get("cache_ttl")
        if cache_ttl is not None:
            _check_cache_ttl(cache_ttl)
        entry = await self._namespace.get(key)
        if entry is None:
            return web.Response(status=404, reason="Not Found")
        headers = {}
        if entry.metadata is not None:
            headers[METADATA] = ascii_json(entry.metadata)
        if entry.expiration is not None:
            headers[EXPIRATION] = str(entry.expiration)
        return web.Response(body=entry.value, headers=headers)

    async def _put(self, request: web.Request, raw: str) -> web.Response:
        key = key_of(request, raw)
        limits.key_bytes(key)
        metadata = request.headers.get(METADATA)
        if metadata is not None:
            # aiohttp marks what is not ASCII with surrogates; workerd sends UTF-8 as it is.
            data = metadata.encode("utf-8", "surrogateescape")
            metadata = data.decode("utf-8", "replace")
        value = await read_body(request, limits.VALUE, limits.check_value)
        await self._namespace.put(key, value, metadata=metadata, **expiration_of(request.query))
        return web.Response()

    async def _list(self, request: web.Request) -> web.Response:
        query = request.query
        limit = query.get("key_count_limit")
        page = await self._namespace.list(
            query.get("prefix", ""),
            limits.LIST
            if limit is None
            else limits.whole_number(
                "key_count_limit", limit, "Please specify an integer greater than 0."
            ),
            query.get("cursor", ""),
        )
        out: dict[str, Any] = {
            "keys": [key_object(each) for each in page.keys],
            "list_complete": not page.cursor,
            "cacheStatus": None,
        }
        if page.cursor:
            out["cursor"] = page.cursor
        return _json(orjson.dumps(out))

    async def _bulk(self, request: web.Request) -> web.Response:
        try:
            asked = msgspec.json.decode(
                await read_body(request, 1 << 20, _check_request), type=BulkGet
            )
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise KvError(f"Invalid request: {error}") from error
        if asked.cacheTtl is not None:
            _check_cache_ttl(str(asked.cacheTtl))
        entries = await self._namespace.get_many(asked.keys)
        values = bulk_values(entries.items(), asked.type, with_metadata=asked.withMetadata)
        return _json(orjson.dumps(values))


def bulk_values(
    entries: Any, kind: str, *, with_metadata: bool, with_expiration: bool = False
) -> dict[str, Any]:
    """What a bulk get answers: key -> value, or value and metadata; None for what is not there.

    Raises KvError for a type but text and json, and for a value that is not of its type.
    """
    if kind not in ("text", "json"):
        raise KvError(f'"{kind[:100]}" is not a valid type. Use "json" or "text"')
    out: dict[str, Any] = {}
    for key, entry in entries:
        if entry is None:
            out[key] = None
            continue
        value = _value(entry, kind)
        if with_metadata:
            out[key] = {
                "value": value,
                "metadata": None if entry.metadata is None else orjson.Fragment(entry.metadata),
            }
            if with_expiration and entry.expiration is not None:
                out[key]["expiration"] = entry.expiration
        else:
            out[key] = value
    return out


def _value(entry: KvEntry, kind: str) -> Any:
    if kind == "text":
        return entry.value.decode("utf-8", "replace")
    try:
        msgspec.json.decode(entry.value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise KvError("At least one of the requested keys corresponds to a non-json value") from (
            error
        )
    return orjson.Fragment(entry.value)


def key_of(request: web.Request, raw: str) -> str:
    """The key in a path. Raises KvError for what is not UTF-8."""
    if request.query.get("urlencoded", "").lower() != "true":
        return raw
    return decoded_key(raw)


def decoded_key(raw: str) -> str:
    """A percent-encoded key. Raises KvError for what is not UTF-8."""
    try:
        return unquote_to_bytes(raw).decode()
    except UnicodeDecodeError as error:
        raise KvError("Could not URL-decode key name") from error


def expiration_of(query: Any) -> dict[str, int | None]:
    """`expiration` and `expiration_ttl` of a query, as `put` takes them. Raises KvError."""
    ttl, at = query.get("expiration_ttl"), query.get("expiration")
    return {
        "expiration_ttl": None
        if ttl is None
        else limits.whole_number("expiration_ttl", ttl, "Please specify integer greater than 0."),
        "expiration": None
        if at is None
        else limits.whole_number(
            "expiration",
            at,
            "Please specify integer greater than the current number of seconds since the UNIX"
            " epoch.",
        ),
    }


def key_object(key: KvKey) -> dict[str, Any]:
    """A key of a list; the metadata stays JSON text, which workerd parses."""
    out: dict[str, Any] = {"name": key.name}
    if key.expiration is not None:
        out["expiration"] = key.expiration
    if key.metadata is not None:
        out["metadata"] = key.metadata
    return out


def ascii_json(text: str) -> str:
    """The same JSON in ASCII, for a header; beyond ASCII there are only parts of strings."""
    return _NOT_ASCII.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    data = match.group().encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{data[at : at + 4]}" for at in range(0, len(data), 4))


def phrase(text: str) -> str:
    """A text as a reason phrase: one line of ASCII."""
    return "".join(c if " " <= c <= "~" else "?" for c in text)[:400]


def _check_cache_ttl(text: str) -> None:
    limits.check_cache_ttl(
        limits.whole_number("cache_ttl", text, f"Cache TTL must be at least {limits.CACHE_TTL}.")
    )


def _check_request(size: int) -> None:
    raise KvError(f"Request of {size} bytes is too large", status=413)


def _json(body: bytes) -> web.Response:
    return web.Response(body=body, content_type="application/json")
