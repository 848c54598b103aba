"""`env.BUCKET`: an R2 bucket."""

from __future__ import annotations

import json
from typing import Any

from _skerry.bindings.r2_objects import (
    CHECKSUMS,
    R2Object,
    R2ObjectBody,
    condition,
    digest,
    http_fields,
    range_of,
)
from _skerry.body import body_of
from _skerry.client import Client, Reply
from _skerry.headers import Headers
from _skerry.streams import ReadableStream
from _skerry.values import Array, Result, dumps, options

SIZE = "cf-r2-metadata-size"
MISSING = 10007
INCLUDES = {"httpMetadata": 0, "customMetadata": 1}


class R2Error(Exception):
    """What R2 raises: "put: … (10013)"; `code` is the number."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


class R2Bucket:
    """put, get, head, list, delete and multipart uploads."""

    def __init__(self, client: Client, name: str) -> None:
        self._client = client
        self._name = name

    async def head(self, key: str) -> R2Object | None:
        """What is known of an object; None where there is none."""
        reply = await self._read({"method": "head", "object": key})
        found = await self._found(reply, "head")
        return None if found is None else R2Object(found)

    async def get(self, key: str, get_options: Any = None, **kwargs: Any) -> Any:
        """An object with its body; without it where onlyIf does not hold; None: there is none."""
        given = options(get_options, kwargs)
        asked: dict[str, Any] = {"method": "get", "object": key, **condition(given.get("onlyIf"))}
        if "range" in given:
            asked |= range_of(given["range"])
        reply = await self._read(asked)
        if reply.status == 412:
            told = await reply.read()
            return R2Object(json.loads(told)) if told else None
        if reply.status >= 400:
            return await self._found(reply, "get")
        size = int(reply.header(SIZE) or "0")
        head, rest = b"", b""
        async for data in reply.body:
            head += data
            if len(head) >= size:
                head, rest = head[:size], head[size:]
                break
        return R2ObjectBody(json.loads(head), _after(rest, reply))

    async def put(
        self, key: str, value: Any = None, put_options: Any = None, **kwargs: Any
    ) -> R2Object | None:
        """Keep an object; None where onlyIf does not hold."""
        given = options(put_options, kwargs)
        body, kind = body_of(value)
        if kind and not isinstance(value, str) and not given.get("httpMetadata"):
            given["httpMetadata"] = {"contentType": kind}
        asked = {"method": "put", "object": key, **_described(given)}
        for name in CHECKSUMS:
            if name in given:
                asked[name] = digest(name, given[name])
        reply = await self._write(asked, body)
        if reply.status == 412:
            await reply.read()
            return None
        found = await self._found(reply, "put")
        return None if found is None else R2Object(found)

    async def delete(self, keys: Any) -> None:
        """Delete one key, or a list of up to 1000."""
        many = isinstance(keys, list | tuple)
        asked = {"method": "delete", **({"objects": list(keys)} if many else {"object": keys})}
        await self._done(await self._write(asked, None), "delete")

    async def list(self, list_options: Any = None, **kwargs: Any) -> Result:
        """A page: {objects, truncated, cursor?, delimitedPrefixes}."""
        given = options(list_options, kwargs)
        asked: dict[str, Any] = {"method": "list", "newRuntime": True}
        for name in ("limit", "prefix", "cursor", "delimiter", "startAfter"):
            if name in given:
                asked[name] = given[name]
        asked["include"] = [INCLUDES[str(each)] for each in given.get("include", [])]
        page = json.loads(await self._done(await self._read(asked), "list"))
        found = Result(
            objects=Array(R2Object(each) for each in page["objects"]),
            truncated=page["truncated"],
            delimitedPrefixes=Array(page.get("delimitedPrefixes", [])),
        )
        if page.get("cursor"):
            found["cursor"] = page["cursor"]
        return found

    async def createMultipartUpload(
        self, key: str, upload_options: Any = None, **kwargs: Any
    ) -> R2MultipartUpload:
        given = options(upload_options, kwargs)
        asked = {"method": "createMultipartUpload", "object": key, **_described(given)}
        data = await self._done(await self._write(asked, None), "createMultipartUpload")
        return R2MultipartUpload(self, key, json.loads(data)["uploadId"])

    def resumeMultipartUpload(self, key: str, upload_id: str) -> R2MultipartUpload:
        return R2MultipartUpload(self, key, upload_id)

    create_multipart_upload = createMultipartUpload
    resume_multipart_upload = resumeMultipartUpload

    async def _read(self, asked: dict[str, Any]) -> Reply:
        text = json.dumps({"version": 1, **asked})
        return await self._client.request(self._name, "GET", "/", [("cf-r2-request", text)])

    async def _write(self, asked: dict[str, Any], body: Any) -> Reply:
        head = dumps({"version": 1, **asked}).encode()
        sent: bytes | ReadableStream
        if isinstance(body, ReadableStream):
            sent = ReadableStream(_before(head, body))
        else:
            sent = head + (body or b"")
        return await self._client.request(self._name, "PUT", "/", [(SIZE, str(len(head)))], sent)

    async def _found(self, reply: Reply, action: str) -> dict[str, Any] | None:
        data = await reply.read()
        if reply.status >= 400:
            error = _error(reply, action)
            if error.code == MISSING and action in ("head", "get"):
                return None
            raise error
        size = int(reply.header(SIZE) or len(data))
        found: dict[str, Any] = json.loads(data[:size])
        return found

    async def _done(self, reply: Reply, action: str) -> bytes:
        data = await reply.read()
        if reply.status >= 400:
            raise _error(reply, action)
        return data


class R2MultipartUpload:
    """uploadPart, complete, abort."""

    def __init__(self, bucket: R2Bucket, key: str, upload_id: str) -> None:
        self._bucket = bucket
        self.key = key
        self.uploadId = upload_id

    @property
    def upload_id(self) -> str:
        return self.uploadId

    async def uploadPart(self, part_number: int, value: Any, *_: Any, **__: Any) -> Result:
        asked = self._asked("uploadPart", partNumber=part_number)
        reply = await self._bucket._write(asked, body_of(value)[0])
        found = json.loads(await self._bucket._done(reply, "uploadPart"))
        return Result(partNumber=part_number, etag=found["etag"])

    async def complete(self, parts: Any) -> R2Object:
        told = [{"part": each["partNumber"], "etag": each["etag"]} for each in parts]
        reply = await self._bucket._write(self._asked("completeMultipartUpload", parts=told), None)
        return R2Object(json.loads(await self._bucket._done(reply, "completeMultipartUpload")))

    async def abort(self) -> None:
        reply = await self._bucket._write(self._asked("abortMultipartUpload"), None)
        await self._bucket._done(reply, "abortMultipartUpload")

    upload_part = uploadPart

    def _asked(self, method: str, **more: Any) -> dict[str, Any]:
        return {"method": method, "object": self.key, "uploadId": self.uploadId, **more}


def _described(given: dict[str, Any]) -> dict[str, Any]:
    asked: dict[str, Any] = dict(condition(given.get("onlyIf")))
    http = given.get("httpMetadata")
    if http is not None:
        asked["httpFields"] = http_fields(Headers(http) if isinstance(http, Headers) else http)
    custom = given.get("customMetadata") or {}
    asked["customFields"] = [{"k": str(k), "v": str(v)} for k, v in dict.items(custom)]
    if "storageClass" in given:
        asked["storageClass"] = given["storageClass"]
    return asked


def _error(reply: Reply, action: str) -> R2Error:
    told = reply.header("cf-r2-error")
    found: dict[str, Any] = (
        json.loads(told) if told else {"v4code": 0, "message": f"status {reply.status}"}
    )
    code = int(found["v4code"])
    return R2Error(f"{action}: {found['message']} ({code})", code)


async def _before(head: bytes, body: ReadableStream) -> Any:
    yield head
    async for piece in body:
        yield piece


async def _after(first: bytes, reply: Reply) -> Any:
    if first:
        yield first
    async for data in reply.body:
        yield data
