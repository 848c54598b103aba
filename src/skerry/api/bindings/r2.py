"""R2 as workerd speaks it: JSON metadata and the object's bytes in one body.

head, get and list are GET with the JSON in `CF-R2-Request`; put, delete and the multipart calls are
PUT whose body is `CF-R2-Metadata-Size` bytes of JSON, then the payload. An answer is JSON, then the
bytes, with `CF-R2-Metadata-Size`; an error is a status and `CF-R2-Error`. Measured against workerd
1.20261117.1.
"""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from aiohttp import web

from skerry.api.bindings.base import BindingFace
from skerry.api.bindings.r2_wire import (
    Abort,
    Complete,
    Create,
    Delete,
    Get,
    Head,
    List,
    Put,
    UploadPart,
    decode,
    told,
    told_page,
)
from skerry.errors import StorageError
from skerry.storage.r2.base import R2Body, R2Bucket
from skerry.storage.r2.errors import (
    IncompleteBody,
    InvalidArgument,
    PreconditionFailed,
    R2Error,
)
from skerry.storage.r2.types import R2Part

REQUEST = "CF-R2-Request"
SIZE = "CF-R2-Metadata-Size"
ERROR = "CF-R2-Error"

METADATA_BYTES = 8 << 20
"""Bytes of the JSON before a payload; a delete of 1000 keys of 1024 bytes has about 1 MB, and six
times that where every character is escaped."""
SMALL = 1 << 18
"""Objects up to here are sent with their metadata in one write."""

log = logging.getLogger("skerry.bindings")


class R2Face(BindingFace):
    """One bucket."""

    def __init__(self, bucket: R2Bucket) -> None:
        self._bucket = bucket

    async def handle(self, request: web.Request) -> web.StreamResponse:
        try:
            if request.method == "GET":
                return await self._get(request)
            if request.method == "PUT":
                return await self._put(request)
            raise InvalidArgument(f"R2 knows no {request.method}")
        except StorageError as error:
            return refused(error)

    async def _get(self, request: web.Request) -> web.StreamResponse:
        asked = decode(request.headers.get(REQUEST, "").encode("utf-8", "surrogateescape"))
        if isinstance(asked, Head):
            return _reply(told(await self._bucket.head(asked.object)))
        if isinstance(asked, List):
            options = asked.options()
            return _reply(told_page(await self._bucket.list(options), options))
        if isinstance(asked, Get):
            async with self._bucket.get(asked.object, asked.options()) as body:
                return await _send(request, body)
        raise InvalidArgument(f"{type(asked).__name__} is not asked with GET")

    async def _put(self, request: web.Request) -> web.StreamResponse:
        size = _metadata_size(request)
        try:
            asked = decode(await request.content.readexactly(size))
        except EOFError as error:
            raise IncompleteBody from error
        length = request.content_length
        payload = None if length is None else length - size
        bucket = self._bucket
        if isinstance(asked, Put):
            options = asked.options(payload)
            return _reply(told(await bucket.put(asked.object, _body(request), options)))
        if isinstance(asked, UploadPart):
            asked.check()
            part = await bucket.upload_part(
                asked.object, asked.uploadId, asked.partNumber, _body(request), payload
            )
            return _reply({"etag": part.etag})
        if isinstance(asked, Delete):
            await bucket.delete(asked.keys())
            return web.Response()
        if isinstance(asked, Create):
            return _reply(
                {"uploadId": await bucket.create_multipart(asked.object, asked.options(None))}
            )
        if isinstance(asked, Complete):
            parts = [R2Part(each.part, each.etag) for each in asked.parts]
            made = await bucket.complete_multipart(asked.object, asked.uploadId, parts)
            return _reply(told(made))
        if isinstance(asked, Abort):
            await bucket.abort_multipart(asked.object, asked.uploadId)
            return web.Response()
        raise InvalidArgument(f"{type(asked).__name__} is not asked with PUT")


def _metadata_size(request: web.Request) -> int:
    text = request.headers.get(SIZE, "")
    if not (text.isascii() and text.isdigit()) or int(text[:20]) > METADATA_BYTES:
        raise InvalidArgument(f"{SIZE}: not a number of bytes up to {METADATA_BYTES}")
    return int(text)


async def _body(request: web.Request) -> AsyncIterator[bytes]:
    """The payload as it comes. Raises IncompleteBody where the caller goes away."""
    try:
        async for piece in request.content.iter_any():
            yield piece
    except web.RequestPayloadError as error:
        raise IncompleteBody from error


def _reply(value: Any) -> web.Response:
    data = msgspec.json.encode(value)
    return web.Response(body=data, headers=_headers(len(data)))


def _headers(size: int) -> dict[str, str]:
    return {SIZE: str(size), "Content-Type": "application/json"}


async def _send(request: web.Request, body: R2Body) -> web.StreamResponse:
    """Metadata and bytes; what breaks after the first byte breaks the connection."""
    head = msgspec.json.encode(told(body.object, body))
    headers = _headers(len(head))
    if body.length <= SMALL:
        pieces = [head, *[piece async for piece in body.pieces]]
        return web.Response(body=b"".join(pieces), headers=headers)
    response = web.StreamResponse(headers=headers)
    response.content_length = len(head) + body.length
    await response.prepare(request)
    await response.write(head)
    async for piece in body.pieces:
        await response.write(piece)
    await response.write_eof()
    return response


def refused(error: StorageError) -> web.Response:
    """The answer for an error; a failed condition tells the object that is there."""
    if error.status >= 500:
        log.error("R2 fails", exc_info=error)
    code = error.code or R2Error.number
    # The standard library's JSON is ASCII, as a header must be.
    said = json.dumps({"version": 1, "v4code": code, "message": error.message})
    headers = {ERROR: said}
    if isinstance(error, PreconditionFailed) and error.object is not None:
        data = msgspec.json.encode(told(error.object))
        return web.Response(status=error.status, body=data, headers=headers | _headers(len(data)))
    return web.Response(status=error.status, headers=headers)
