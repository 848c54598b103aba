"""R2's wire, spoken as workerd 1.20261117.1 was measured to speak it."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from skerry.api.bindings.r2 import R2Face
from skerry.storage.open import Stores
from skerry.storage.r2.base import PART_BYTES

from .faces import Now, bound

UPLOADED = "1800000000000"


@pytest.fixture
async def stores(tmp_path: Path) -> AsyncIterator[Stores]:
    made = Stores(tmp_path, clock=Now())
    yield made
    await made.close()


@pytest.fixture
async def wire(stores: Stores, tmp_path: Path) -> AsyncIterator[aiohttp.ClientSession]:
    async with bound({"R2": R2Face(stores.r2("acc", "bucket"))}, tmp_path) as session:
        yield session("R2")


Answer = tuple[int, Any, bytes]
"""Status; the metadata, or the error; the bytes."""


async def told(answer: aiohttp.ClientResponse) -> Answer:
    data = await answer.read()
    size = int(answer.headers.get("CF-R2-Metadata-Size", 0))
    said = json.loads(data[:size]) if size else None
    if answer.status >= 400:
        error = json.loads(answer.headers["CF-R2-Error"])
        assert error["version"] == 1
        assert answer.status != 412 or said is None or said["name"]
        return answer.status, error, data[size:]
    return answer.status, said, data[size:]


async def get(wire: aiohttp.ClientSession, method: str, **fields: Any) -> Answer:
    asked = json.dumps({"version": 1, "method": method, **fields}, ensure_ascii=False)
    async with wire.get("/", headers={"CF-R2-Request": asked}) as answer:
        return await told(answer)


async def put(wire: aiohttp.ClientSession, method: str, data: bytes = b"", **fields: Any) -> Answer:
    asked = json.dumps({"version": 1, "method": method, **fields}).encode()
    headers = {"CF-R2-Metadata-Size": str(len(asked))}
    async with wire.put("/", data=io.BytesIO(asked + data), headers=headers) as answer:
        return await told(answer)


async def test_an_object(wire: aiohttp.ClientSession) -> None:
    md5 = hashlib.md5(b"hello")
    status, made, rest = await put(
        wire,
        "put",
        b"hello",
        object="a/é",
        customFields=[{"k": "x", "v": "é"}],
        httpFields={"contentType": "text/x", "cacheExpiry": "5000"},
        md5=base64.b64encode(md5.digest()).decode(),
    )
    version = made.pop("version")
    assert (status, rest) == (200, b"")
    assert made == {
        "name": "a/é",
        "size": "5",
        "etag": md5.hexdigest(),
        "uploaded": UPLOADED,
        "checksums": {"0": md5.hexdigest()},
        "storageClass": "Standard",
        "httpFields": {"contentType": "text/x", "cacheExpiry": "5000"},
        "customFields": [{"k": "x", "v": "é"}],
    }
    made["version"] = version
    assert await get(wire, "head", object="a/é") == (200, made, b"")
    whole = made | {"range": {"offset": "0", "length": "5"}}
    assert await get(wire, "get", object="a/é") == (200, whole, b"hello")
    part = made | {"range": {"offset": "1", "length": "2"}}
    wanted = {"offset": "1", "length": "2"}
    assert await get(wire, "get", object="a/é", range=wanted) == (200, part, b"el")
    assert (await get(wire, "get", object="a/é", rangeHeader="bytes=1-2"))[2] == b"el"
    assert await put(wire, "delete", object="a/é") == (200, None, b"")
    for method in ("head", "get"):
        status, error, _ = await get(wire, method, object="a/é")
        assert (status, error["v4code"]) == (404, 10007)


async def test_big_objects_are_streamed(wire: aiohttp.ClientSession) -> None:
    data = bytes(range(256)) * 8192
    assert (await put(wire, "put", data, object="k"))[0] == 200
    status, made, rest = await get(wire, "get", object="k")
    assert (status, made["size"], rest) == (200, str(len(data)), data)


async def test_conditions(wire: aiohttp.ClientSession) -> None:
    _, made, _ = await put(wire, "put", b"one", object="k")
    mine = [{"type": "strong", "value": made["etag"]}]
    status, error, rest = await get(wire, "get", object="k", onlyIf={"etagDoesNotMatch": mine})
    assert (status, error["v4code"], rest) == (412, 10031, b"")
    late = {"uploadedBefore": UPLOADED, "secondsGranularity": True}
    assert (await get(wire, "get", object="k", onlyIf=late))[0] == 412
    anything = [{"type": "wildcard"}]
    none = {"etagDoesNotMatch": anything}
    assert (await put(wire, "put", b"two", object="k", onlyIf=none))[0] == 412
    assert (await put(wire, "put", b"two", object="new", onlyIf=none))[0] == 200
    assert (await put(wire, "put", b"two", object="k", onlyIf={"etagMatches": mine}))[0] == 200
    assert (await put(wire, "put", b"3", object="k", onlyIf={"etagMatches": mine}))[0] == 412
    assert (await get(wire, "get", object="k"))[2] == b"two"


async def test_a_failed_condition_tells_the_object(wire: aiohttp.ClientSession) -> None:
    await put(wire, "put", b"one", object="k")
    asked = {"version": 1, "method": "get", "object": "k", "onlyIf": {"uploadedBefore": "1"}}
    async with wire.get("/", headers={"CF-R2-Request": json.dumps(asked)}) as answer:
        data = await answer.read()
        assert answer.status == 412
        assert int(answer.headers["CF-R2-Metadata-Size"]) == len(data)
        assert json.loads(data)["name"] == "k"


async def test_lists(wire: aiohttp.ClientSession) -> None:
    for key in ("a", "b/1", "b/2", "c"):
        http = {"contentType": "x/y"}
        await put(wire, "put", b"", object=key, httpFields=http, customFields=[{"k": "k", "v": ""}])
    _, page, _ = await get(wire, "list", delimiter="/", limit=2, newRuntime=True, include=[0])
    assert [each["name"] for each in page["objects"]] == ["a"]
    assert page["objects"][0]["httpFields"] == {"contentType": "x/y"}
    assert "customFields" not in page["objects"][0]
    assert (page["delimitedPrefixes"], page["truncated"]) == (["b/"], True)
    _, page, _ = await get(wire, "list", delimiter="/", cursor=page["cursor"])
    assert [each["name"] for each in page["objects"]] == ["c"]
    assert page["objects"][0]["customFields"] == [{"k": "k", "v": ""}]
    assert (page["truncated"], "cursor" in page) == (False, False)


async def test_multipart(wire: aiohttp.ClientSession) -> None:
    _, made, _ = await put(wire, "createMultipartUpload", object="m", storageClass="Standard")
    upload = {"object": "m", "uploadId": made["uploadId"]}
    parts = []
    for number, data in ((1, b"1" * PART_BYTES), (2, b"tail")):
        _, part, _ = await put(wire, "uploadPart", data, partNumber=number, **upload)
        parts.append({"part": number, "etag": part["etag"]})
    status, error, _ = await put(
        wire, "completeMultipartUpload", parts=[{"part": 1, "etag": "x"}], **upload
    )
    assert (status, error["v4code"]) == (400, 10025)
    _, made, _ = await put(wire, "completeMultipartUpload", parts=parts, **upload)
    assert made["size"] == str(PART_BYTES + 4)
    assert made["etag"].endswith("-2")
    assert made["checksums"] == {}
    assert await put(wire, "abortMultipartUpload", **upload) == (200, None, b"")


async def test_deletes(wire: aiohttp.ClientSession) -> None:
    keys = ["é" * 510 + f"{at}" for at in range(1000)]
    await put(wire, "put", b"", object=keys[-1])
    assert (await put(wire, "delete", objects=keys))[0] == 200
    assert (await get(wire, "head", object=keys[-1]))[0] == 404
    status, error, _ = await put(wire, "delete", objects=[*keys, "k"])
    assert (status, error["v4code"]) == (400, 10029)


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ("", 10029),
        ("{", 10029),
        ("[]", 10029),
        ('{"version":1,"method":"nothing"}', 10029),
        ('{"version":1,"method":"put","object":"k"}', 10029),
        ('{"version":1,"method":"get","object":7}', 10029),
        ('{"version":1,"method":"get","object":""}', 10020),
        ('{"version":1,"method":"get","object":"k","range":{"offset":"-1"}}', 10029),
        ('{"version":1,"method":"get","object":"k","range":{"offset":"9"}}', 10039),
        (
            '{"version":1,"method":"get","object":"k","range":{"suffix":"99999999999999999999"}}',
            10029,
        ),
        ('{"version":1,"method":"get","object":"k","ssec":{"key":"00"}}', 10029),
        ('{"version":1,"method":"list","limit":0}', 10022),
        ('{"version":1,"method":"list","cursor":"é"}', 10029),
        ("[" * 5000, 10029),
    ],
)
async def test_what_cannot_be_asked(wire: aiohttp.ClientSession, asked: str, code: int) -> None:
    await put(wire, "put", b"bytes", object="k")
    async with wire.get("/", headers={"CF-R2-Request": asked}) as answer:
        assert json.loads(answer.headers["CF-R2-Error"])["v4code"] == code
    assert (await get(wire, "get", object="k"))[2] == b"bytes"


@pytest.mark.parametrize(
    ("size", "body"),
    [
        ("", b"{}"),
        ("x", b"{}"),
        ("-1", b"{}"),
        ("٣", b"{}"),
        ("99999999999999999999999", b"{}"),
        ("100", b"{}"),
        ("2", b"{}"),
        ("1", b"{}"),
        ("2", b"\xff\xff"),
    ],
)
async def test_broken_puts(wire: aiohttp.ClientSession, size: str, body: bytes) -> None:
    async with wire.put("/", data=body, headers={"CF-R2-Metadata-Size": size}) as answer:
        assert answer.status == 400
        assert json.loads(answer.headers["CF-R2-Error"])["v4code"] in (10013, 10029)


async def test_refused_puts(wire: aiohttp.ClientSession) -> None:
    for fields, code in (
        ({"sha256": "00" * 32}, 10037),
        ({"sha256": "0g" * 32}, 10029),
        ({"sha1": "00"}, 10029),
        ({"md5": "é"}, 10029),
        ({"customFields": [{"k": "k", "v": "v" * 3000}]}, 10012),
        ({"ssec": {"key": "00" * 32}}, 10029),
    ):
        status, error, _ = await put(wire, "put", b"bytes", object="k", **fields)
        assert (status, error["v4code"]) == (400, code), fields
    assert (await get(wire, "head", object="k"))[0] == 404
    async with wire.delete("/") as answer:
        assert answer.status == 400
