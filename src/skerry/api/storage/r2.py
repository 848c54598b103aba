"""R2 over REST: buckets and their objects, whose keys may have slashes.

Shapes: Cloudflare's API reference ("R2"), as wrangler and the `cloudflare` package use them.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import msgspec
from aiohttp import web

from skerry.api.storage.r2_headers import (
    WRITTEN,
    condition_of,
    headers_of,
    metadata_of,
    wants_cached,
)
from skerry.api.storage.rest import ACCOUNT, json_body, number, ok, part_of_path, stored
from skerry.storage.open import Stores
from skerry.storage.r2.base import LIST_KEYS, R2, R2Body, R2Bucket
from skerry.storage.r2.errors import IncompleteBody, InvalidArgument, PreconditionFailed
from skerry.storage.r2.types import Bucket, GetOptions, ListOptions, PutOptions, R2Object

BASE = f"{ACCOUNT}/r2/buckets"
STORAGE_CLASS = "cf-r2-storage-class"
_CODINGS = {"gzip", "x-gzip", "deflate", "br", "zstd"}


class NewBucket(msgspec.Struct):
    """The body that creates a bucket."""

    name: str
    storageClass: str = "Standard"  # noqa: N815 - the wire's name
    locationHint: str = "default"  # noqa: N815 - the wire's name


class R2Rest:
    """/accounts/{account}/r2/buckets…"""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def routes(self) -> list[web.RouteDef]:
        one = f"{BASE}/{{bucket}}"
        key = f"{one}/objects/{{key:(?s:.*)}}"
        return [
            web.get(BASE, stored(self.list)),
            web.post(BASE, stored(self.create, NewBucket)),
            web.get(one, stored(self.get)),
            web.patch(one, stored(self.change)),
            web.delete(one, stored(self.delete)),
            web.get(f"{one}/objects", stored(self.objects)),
            web.get(key, stored(self.get_object)),  # HEAD too
            web.put(key, stored(self.put_object)),
            web.delete(key, stored(self.delete_object)),
        ]

    async def list(self, request: web.Request) -> web.Response:
        """The buckets: name_contains, start_after, direction, per_page, cursor."""
        query = request.query
        per_page = number(request, "per_page", LIST_KEYS, 1, LIST_KEYS)
        found = list(await self._r2(request).buckets())
        if query.get("direction") == "desc":
            found.reverse()
        after = query.get("cursor") or query.get("start_after")
        if after is not None:
            back = query.get("direction") == "desc"
            found = [each for each in found if (each.name < after if back else each.name > after)]
        found = [each for each in found if query.get("name_contains", "") in each.name]
        info: dict[str, Any] = {"per_page": per_page}
        if len(found) > per_page:
            found = found[:per_page]
            info["cursor"] = found[-1].name
        return ok({"buckets": [_bucket(each) for each in found]}, info)

    async def create(self, request: web.Request) -> web.Response:
        """{name, storageClass?, locationHint?}."""
        wish = await json_body(request, NewBucket)
        return ok(
            _bucket(await self._r2(request).create(wish.name, wish.storageClass, wish.locationHint))
        )

    async def get(self, request: web.Request) -> web.Response:
        """One bucket."""
        return ok(_bucket(await self._r2(request).info(request.match_info["bucket"])))

    async def change(self, request: web.Request) -> web.Response:
        """The storage class of new objects, from the header cf-r2-storage-class."""
        wish = request.headers.get(STORAGE_CLASS, "")
        name = request.match_info["bucket"]
        return ok(_bucket(await self._r2(request).set_storage_class(name, wish)))

    async def delete(self, request: web.Request) -> web.Response:
        """A bucket that has no objects."""
        await self._r2(request).delete(request.match_info["bucket"])
        return ok({})

    async def objects(self, request: web.Request) -> web.Response:
        """A page of objects: prefix, delimiter, start_after, per_page, cursor."""
        query = request.query
        per_page = number(request, "per_page", LIST_KEYS, 1, LIST_KEYS)
        page = await self._objects(request).list(
            ListOptions(
                prefix=query.get("prefix", ""),
                delimiter=query.get("delimiter", ""),
                start_after=query.get("start_after"),
                cursor=query.get("cursor") or None,
                limit=per_page,
                http=True,
                custom=True,
            )
        )
        info: dict[str, Any] = {"per_page": per_page, "is_truncated": page.cursor is not None}
        if page.cursor is not None:
            info["cursor"] = page.cursor
        if page.delimited_prefixes:
            info["delimited"] = page.delimited_prefixes
        return ok([_listed(each) for each in page.objects], info)

    async def get_object(self, request: web.Request) -> web.StreamResponse:
        """The bytes of an object, or a range of them; conditions are heeded."""
        bucket = self._objects(request)
        key = part_of_path(request, 9)
        headers = request.headers
        options = GetOptions(range_header=headers.get("Range"), only_if=condition_of(headers))
        try:
            async with bucket.get(key, options) as body:
                return await _send(request, body)
        except PreconditionFailed as error:
            if error.object is None or not wants_cached(headers):
                raise
            return web.Response(status=304, headers=headers_of(error.object))

    async def put_object(self, request: web.Request) -> web.Response:
        """The body is the object, of any length; its headers are kept with it."""
        bucket = self._objects(request)
        headers = request.headers
        coding = headers.get("Content-Encoding", "").strip().lower()
        if coding in _CODINGS:
            raise InvalidArgument(
                f"Content-Encoding: a body of {coding} is decoded on its way in, so that the"
                " object would not be what you sent; put it from a worker, or with"
                " skerry r2 object put --content-encoding"
            )
        options = PutOptions(
            http=metadata_of(headers),
            only_if=condition_of(headers),
            checksums=_checksums(headers.get("Content-MD5")),
            storage_class=headers.get(STORAGE_CLASS),
            size=request.content_length if request.body_exists else 0,
        )
        made = await bucket.put(part_of_path(request, 9), _body(request), options)
        return ok(
            {
                "key": made.key,
                "etag": made.etag,
                "version": made.version,
                "size": str(made.size),
                "storage_class": made.storage_class,
                "uploaded": _time(made.uploaded),
            }
        )

    async def delete_object(self, request: web.Request) -> web.Response:
        """One object; one that is not there is no error."""
        key = part_of_path(request, 9)
        await self._objects(request).delete([key])
        return ok({"key": key})

    def _r2(self, request: web.Request) -> R2:
        return self._stores.r2_buckets(request.match_info["account"])

    def _objects(self, request: web.Request) -> R2Bucket:
        return self._r2(request).bucket(request.match_info["bucket"])


async def _body(request: web.Request) -> AsyncIterator[bytes]:
    try:
        async for piece in request.content.iter_any():
            yield piece
    except web.RequestPayloadError as error:
        raise IncompleteBody from error


async def _send(request: web.Request, body: R2Body) -> web.StreamResponse:
    size = body.object.size
    part = "Range" in request.headers and body.length < size
    headers = headers_of(body.object)
    if part:
        end = body.offset + body.length - 1
        headers["Content-Range"] = f"bytes {body.offset}-{end}/{size}"
    response = web.StreamResponse(status=206 if part else 200, headers=headers)
    response.content_length = body.length
    await response.prepare(request)
    if request.method != "HEAD":
        async for piece in body.pieces:
            await response.write(piece)
    await response.write_eof()
    return response


def _checksums(md5: str | None) -> dict[str, bytes]:
    if md5 is None:
        return {}
    try:
        return {"md5": base64.b64decode(md5, validate=True)}
    except binascii.Error as error:
        raise InvalidArgument("Content-MD5: not base64") from error


def _bucket(bucket: Bucket) -> dict[str, Any]:
    return {
        "name": bucket.name,
        "creation_date": _time(bucket.created),
        "location": bucket.location,
        "storage_class": bucket.storage_class,
        "jurisdiction": "default",
    }


def _listed(made: R2Object) -> dict[str, Any]:
    http: dict[str, Any] = {
        wire: value for name, wire in WRITTEN if (value := getattr(made.http, name)) is not None
    }
    if made.http.cache_expiry is not None:
        http["cacheExpiry"] = _time(made.http.cache_expiry)
    return {
        "key": made.key,
        "etag": made.etag,
        "size": made.size,
        "last_modified": _time(made.uploaded),
        "http_metadata": http,
        "custom_metadata": made.custom,
        "storage_class": made.storage_class,
        "ssec": False,
    }


def _time(milliseconds: int) -> str:
    when = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")
