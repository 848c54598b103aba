"""R2 over REST, with the published cloudflare SDK and by hand."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import cloudflare
import pytest
from yarl import URL

from skerry.storage.open import Stores

from .faces import Now, rest

ACC: dict[str, Any] = {"account_id": "acc"}


@pytest.fixture
async def stores(tmp_path: Path) -> AsyncIterator[Stores]:
    made = Stores(tmp_path, clock=Now())
    yield made
    await made.close()


@pytest.fixture
async def url(stores: Stores) -> AsyncIterator[str]:
    async with rest(stores) as found:
        yield f"{found}/accounts/acc/r2/buckets"


@pytest.fixture
async def client(url: str) -> AsyncIterator[cloudflare.AsyncCloudflare]:
    base = url.removesuffix("/accounts/acc/r2/buckets")
    async with cloudflare.AsyncCloudflare(base_url=base, api_token="none", max_retries=0) as made:
        yield made


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(auto_decompress=False) as made:
        yield made


async def test_buckets(client: cloudflare.AsyncCloudflare) -> None:
    buckets = client.r2.buckets
    made = await buckets.create(name="first", storage_class="InfrequentAccess", **ACC)
    assert (made.name, made.storage_class) == ("first", "InfrequentAccess")
    assert made.creation_date == "2027-01-15T08:00:00.000Z"
    await buckets.create(name="second", **ACC)
    found = await buckets.list(**ACC)
    assert [each.name for each in found.buckets or []] == ["first", "second"]
    found = await buckets.list(name_contains="eco", **ACC)
    assert [each.name for each in found.buckets or []] == ["second"]
    assert (await buckets.get("first", **ACC)).storage_class == "InfrequentAccess"
    changed = await buckets.edit("first", storage_class="Standard", **ACC)
    assert changed.storage_class == "Standard"
    await buckets.delete("first", **ACC)
    with pytest.raises(cloudflare.NotFoundError, match="10006"):
        await buckets.get("first", **ACC)


@pytest.mark.parametrize(
    ("name", "code"),
    [("taken", 10073), ("UPPER", 10005), ("a", 10005), ("-a-b", 10005), ("a/b/c", 10005)],
)
async def test_buckets_that_are_refused(
    client: cloudflare.AsyncCloudflare, name: str, code: int
) -> None:
    await client.r2.buckets.create(name="taken", **ACC)
    with pytest.raises(cloudflare.APIStatusError, match=str(code)):
        await client.r2.buckets.create(name=name, **ACC)


async def test_objects(client: cloudflare.AsyncCloudflare) -> None:
    await client.r2.buckets.create(name="bucket", **ACC)
    objects = client.r2.buckets.objects
    where: dict[str, Any] = {"bucket_name": "bucket", **ACC}
    made = await objects.upload("a/b c+é?.txt", b"hello", **where)
    assert (made.key, made.size) == ("a/b c+é?.txt", "5")
    assert made.etag == hashlib.md5(b"hello").hexdigest()
    assert await (await objects.get("a/b c+é?.txt", **where)).read() == b"hello"
    listed = [each async for each in objects.list(**where)]
    assert [(each.key, each.size) for each in listed] == [("a/b c+é?.txt", 5)]
    assert listed[0].http_metadata
    assert listed[0].http_metadata.content_type == "application/octet-stream"
    with pytest.raises(cloudflare.ConflictError, match="10008"):
        await client.r2.buckets.delete("bucket", **ACC)
    assert (await objects.delete("a/b c+é?.txt", **where)).key == "a/b c+é?.txt"
    with pytest.raises(cloudflare.NotFoundError, match="10007"):
        await objects.get("a/b c+é?.txt", **where)
    with pytest.raises(cloudflare.NotFoundError, match="10006"):
        await objects.upload("k", b"x", bucket_name="nowhere", **ACC)


async def test_lists_are_paged(client: cloudflare.AsyncCloudflare, stores: Stores) -> None:
    bucket = stores.r2("acc", "bucket")
    for key in [f"k{at}" for at in range(7)]:
        await bucket.put(key, b"x")
    objects = client.r2.buckets.objects
    found = [each.key async for each in objects.list(bucket_name="bucket", per_page=2, **ACC)]
    assert found == [f"k{at}" for at in range(7)]


async def test_headers_go_with_an_object(
    http: aiohttp.ClientSession, url: str, stores: Stores
) -> None:
    await stores.r2_buckets("acc").create("bucket")
    at = f"{url}/bucket/objects/page.html"
    sent = {
        "Content-Type": "text/html",
        "Cache-Control": "max-age=5",
        "Content-Disposition": "inline",
        "Content-Language": "en",
        "Expires": "Tue, 01 Jan 2030 00:00:00 GMT",
    }
    md5 = base64.b64encode(hashlib.md5(b"<p>0123456789").digest()).decode()
    async with http.put(at, data=b"<p>0123456789", headers=sent | {"Content-MD5": md5}) as answer:
        assert answer.status == 200, await answer.text()
    async with http.get(at) as answer:
        assert await answer.read() == b"<p>0123456789"
        got = answer.headers
    assert {name: got[name] for name in sent} == sent
    assert "sandbox" in got["Content-Security-Policy"]
    async with http.head(at) as answer:
        assert answer.headers["Content-Length"] == "13"
        assert answer.headers["ETag"] == got["ETag"]
    async with http.get(at, headers={"Range": "bytes=-3"}) as answer:
        assert (answer.status, await answer.read()) == (206, b"789")
        assert answer.headers["Content-Range"] == "bytes 10-12/13"
    async with http.get(at, headers={"If-None-Match": got["ETag"]}) as answer:
        assert (answer.status, await answer.read()) == (304, b"")
    async with http.get(at, headers={"If-Match": '"other"'}) as answer:
        assert answer.status == 412
    async with http.get(at, headers={"If-Unmodified-Since": got["Last-Modified"]}) as answer:
        assert answer.status == 200
    async with http.put(at, data=b"x", headers={"If-None-Match": "*"}) as answer:
        assert answer.status == 412
    async with http.put(at, data=b"x", headers={"Content-MD5": md5}) as answer:
        assert (answer.status, (await answer.json())["errors"][0]["code"]) == (400, 10037)
    async with http.get(at) as answer:
        assert await answer.read() == b"<p>0123456789"


def blob_files(folder: Path) -> list[str]:
    """The names of the files that hold bytes of objects."""
    found = [each for each in folder.rglob("blobs/*/*/*") if each.is_file()]
    assert found
    return [each.name for each in found]


@pytest.mark.parametrize(
    "path", ["a/../b", "../../etc/passwd", "%2e%2e/x", ".", "a//b", "a\n", "%"]
)
async def test_a_key_is_no_path(
    http: aiohttp.ClientSession, url: str, stores: Stores, path: str, tmp_path: Path
) -> None:
    await stores.r2_buckets("acc").create("bucket")
    raw = path.replace("\n", "%0A")
    at = URL(f"{url}/bucket/objects/{raw}", encoded=True)
    async with http.put(at, data=b"bytes") as answer:
        assert answer.status == 200, await answer.text()
    page = await stores.r2("acc", "bucket").list()
    assert [each.key for each in page.objects] == [path.replace("%2e", ".")]
    async with http.get(at) as answer:
        assert await answer.read() == b"bytes"
    assert all(name.isdigit() for name in blob_files(tmp_path))


async def test_what_cannot_be_kept_as_sent_is_refused(
    http: aiohttp.ClientSession, url: str, stores: Stores
) -> None:
    await stores.r2_buckets("acc").create("bucket")
    at = f"{url}/bucket/objects/k"
    async with http.put(at, data=b"\x1f\x8b", headers={"Content-Encoding": "gzip"}) as answer:
        assert answer.status == 400
        assert "decoded" in await answer.text()
    async with http.put(URL(f"{url}/bucket/objects/%ff", encoded=True), data=b"x") as answer:
        assert answer.status == 400
    async with http.put(f"{url}/bucket/objects/{'k' * 1025}", data=b"x") as answer:
        assert (await answer.json())["errors"][0]["code"] == 10020
    assert (await stores.r2("acc", "bucket").list()).objects == []
