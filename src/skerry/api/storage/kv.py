"""Workers KV over REST: namespaces, values, metadata, keys, bulk."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any

import msgspec
import orjson
from aiohttp import BodyPartReader, web

from skerry.api.bindings.kv import bulk_values, expiration_of
from skerry.api.reading import read_body
from skerry.api.storage.rest import ACCOUNT, json_body, number, ok, page_of, part_of_path, stored
from skerry.storage.kv import limits
from skerry.storage.kv.base import KvError, KvKey, KvNamespace, KvNamespaceInfo, KvWrite

if TYPE_CHECKING:
    from skerry.storage.open import Stores

BASE = f"{ACCOUNT}/storage/kv/namespaces"
BULK = 10_000
"""Pairs of one bulk write or delete."""
BULK_BYTES = 100 << 20
"""Bytes of the body of one bulk write."""
TITLE = 512


class Titled(msgspec.Struct):
    """The body that creates or renames a namespace."""

    title: str


class NamespaceBody(Titled):
    """The body that creates a namespace."""

    id: str | None = None
    """Not Cloudflare's: the id that a project's configuration has for it, which is its title,
    too. One that is known already is no error."""


class Pair(msgspec.Struct):
    """One pair of a bulk write."""

    key: str
    value: str
    base64: bool = False
    expiration: int | None = None
    expiration_ttl: int | None = None
    metadata: msgspec.Raw = msgspec.Raw(b"null")


class BulkGet(msgspec.Struct):
    """The body of a bulk get."""

    keys: list[str]
    type: str = "text"
    withMetadata: bool = False  # noqa: N815  the wire's name


class KvRest:
    """/accounts/{account}/storage/kv/namespaces…"""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def routes(self) -> list[web.RouteDef]:
        one = f"{BASE}/{{namespace}}"
        value = f"{one}/values/{{key:(?s:.*)}}"
        return [
            web.get(BASE, stored(self.list)),
            web.post(BASE, stored(self.create)),
            web.get(one, stored(self.get)),
            web.put(one, stored(self.rename)),
            web.delete(one, stored(self.delete)),
            web.get(f"{one}/keys", stored(self.keys)),
            web.get(value, stored(self.get_value)),
            web.put(value, stored(self.put_value)),
            web.delete(value, stored(self.delete_value)),
            web.get(f"{one}/metadata/{{key:(?s:.*)}}", stored(self.metadata)),
            web.put(f"{one}/bulk", stored(self.bulk_put)),
            web.delete(f"{one}/bulk", stored(self.bulk_delete)),
            web.post(f"{one}/bulk/delete", stored(self.bulk_delete)),
            web.post(f"{one}/bulk/get", stored(self.bulk_get)),
        ]

    async def list(self, request: web.Request) -> web.Response:
        """All namespaces, by page; `order` is id or title, `direction` asc or desc."""
        items = await self._stores.kv_namespaces(request.match_info["account"]).list()
        order = request.query.get("order")
        if order in ("id", "title"):
            items.sort(key=lambda each: getattr(each, order))
        if request.query.get("direction") == "desc":
            items.reverse()
        found, info = page_of(request, items)
        return ok([_info(each) for each in found], info)

    async def create(self, request: web.Request) -> web.Response:
        """{title} -> {id, title}."""
        body = await json_body(request, NamespaceBody)
        namespaces = self._stores.kv_namespaces(request.match_info["account"])
        if body.id is not None:
            return ok(_info(await namespaces.ensure(_title(Titled(body.id)))))
        return ok(_info(await namespaces.create(_title(Titled(body.title)))))

    async def get(self, request: web.Request) -> web.Response:
        """One namespace."""
        return ok(_info(await self._found(request)))

    async def rename(self, request: web.Request) -> web.Response:
        """{title}."""
        title = _title(await json_body(request, Titled))
        where = request.match_info
        made = await self._stores.kv_namespaces(where["account"]).rename(where["namespace"], title)
        return ok(_info(made))

    async def delete(self, request: web.Request) -> web.Response:
        """The namespace and all its keys."""
        where = request.match_info
        await self._stores.kv_namespaces(where["account"]).delete(where["namespace"])
        return ok(None)

    async def keys(self, request: web.Request) -> web.Response:
        """Keys by page: prefix, limit, cursor."""
        namespace = await self._namespace(request)
        page = await namespace.list(
            request.query.get("prefix", ""),
            number(request, "limit", limits.LIST, 1, limits.LIST),
            request.query.get("cursor", ""),
        )
        return ok(
            [_key(each) for each in page.keys],
            {"count": len(page.keys), "cursor": page.cursor},
        )

    async def get_value(self, request: web.Request) -> web.Response:
        """The value as it is; its expiration is a header."""
        entry = await (await self._namespace(request)).get(part_of_path(request, 10))
        if entry is None:
            raise _no_key("get")
        headers = {"Content-Type": "application/octet-stream"}
        if entry.expiration is not None:
            headers["expiration"] = str(entry.expiration)
        return web.Response(body=entry.value, headers=headers)

    async def put_value(self, request: web.Request) -> web.Response:
        """The body is the value; or multipart with the parts `value` and `metadata`."""
        namespace = await self._namespace(request)
        key = part_of_path(request, 10)
        limits.key_bytes(key)
        metadata: str | None = None
        if request.content_type == "multipart/form-data":
            value, metadata = await _parts(request)
        else:
            value = await read_body(request, limits.VALUE, limits.check_value)
        await namespace.put(key, value, metadata=metadata, **expiration_of(request.query))
        return ok(None)

    async def delete_value(self, request: web.Request) -> web.Response:
        """One key."""
        await (await self._namespace(request)).delete(part_of_path(request, 10))
        return ok(None)

    async def metadata(self, request: web.Request) -> web.Response:
        """The metadata of one key, or null."""
        entry = await (await self._namespace(request)).get(part_of_path(request, 10))
        if entry is None:
            raise _no_key("get")
        return ok(None if entry.metadata is None else orjson.Fragment(entry.metadata))

    async def bulk_put(self, request: web.Request) -> web.Response:
        """Up to 10,000 pairs, all or none."""
        namespace = await self._namespace(request)
        pairs = await json_body(request, list[Pair], BULK_BYTES)
        _check_count(pairs)
        await namespace.put_many([_write(each) for each in pairs])
        return ok({"successful_key_count": len(pairs), "unsuccessful_keys": []})

    async def bulk_delete(self, request: web.Request) -> web.Response:
        """Up to 10,000 keys, all or none."""
        namespace = await self._namespace(request)
        keys = await json_body(request, list[str], BULK_BYTES)
        _check_count(keys)
        await namespace.delete_many(keys)
        return ok({"successful_key_count": len(keys), "unsuccessful_keys": []})

    async def bulk_get(self, request: web.Request) -> web.Response:
        """Up to 100 keys at one moment."""
        namespace = await self._namespace(request)
        asked = await json_body(request, BulkGet)
        entries = await namespace.get_many(asked.keys)
        values = bulk_values(
            entries.items(),
            asked.type,
            with_metadata=asked.withMetadata,
            with_expiration=True,
        )
        return ok({"values": values})

    async def _found(self, request: web.Request) -> KvNamespaceInfo:
        where = request.match_info
        return await self._stores.kv_namespaces(where["account"]).get(where["namespace"])

    async def _namespace(self, request: web.Request) -> KvNamespace:
        """The namespace of the path. Raises NamespaceNotFound."""
        found = await self._found(request)
        return self._stores.kv(request.match_info["account"], found.id)


def _info(namespace: KvNamespaceInfo) -> dict[str, Any]:
    return {"id": namespace.id, "title": namespace.title, "supports_url_encoding": True}


def _key(key: KvKey) -> dict[str, Any]:
    out: dict[str, Any] = {"name": key.name}
    if key.expiration is not None:
        out["expiration"] = key.expiration
    if key.metadata is not None:
        out["metadata"] = orjson.Fragment(key.metadata)
    return out


def _title(body: Titled) -> str:
    title = body.title.strip()
    if not title:
        raise KvError("title: a namespace needs one", code=10019)
    if len(title) > TITLE:
        raise KvError(f"title: longer than {TITLE} characters", code=10019)
    return title


def _no_key(what: str) -> KvError:
    return KvError(f"{what}: 'key not found'", code=10009, status=404)


def _check_count(items: list[Any]) -> None:
    if len(items) > BULK:
        raise KvError(f"{len(items)} keys; at most {BULK} at once", code=10026)


def _write(pair: Pair) -> KvWrite:
    if pair.base64:
        try:
            value = base64.b64decode(pair.value, validate=True)
        except (binascii.Error, ValueError) as error:
            raise KvError(f"{pair.key[:100]}: the value is not base64: {error}", code=10012) from (
                error
            )
    else:
        value = pair.value.encode()
    text = bytes(pair.metadata).decode().strip()
    metadata = None if text == "null" else text
    return KvWrite(pair.key, value, metadata, pair.expiration, pair.expiration_ttl)


async def _parts(request: web.Request) -> tuple[bytes, str | None]:
    """`value` and `metadata` of a multipart body. Raises KvError."""
    value: bytes | None = None
    metadata: str | None = None
    try:
        async for part in await request.multipart():
            if not isinstance(part, BodyPartReader) or part.name not in ("value", "metadata"):
                raise KvError("the parts of a multipart body are `value` and `metadata`")
            limit = limits.VALUE if part.name == "value" else 4 * limits.METADATA
            data = bytearray()
            while chunk := await part.read_chunk(1 << 16):
                data += chunk
                if len(data) > limit:
                    limits.check_value(len(data))
                    raise KvError(
                        f"Metadata length of {len(data)} exceeds limit of {limits.METADATA}.",
                        status=413,
                    )
            if part.name == "value":
                value = bytes(data)
            else:
                metadata = data.decode()
    except (ValueError, AssertionError) as error:  # aiohttp's words for a broken body
        raise KvError(f"the multipart body cannot be read: {error}", code=10012) from error
    if value is None:
        raise KvError("the multipart body has no part `value`", code=10012)
    return value, metadata
