"""R2 on real files: objects, lists against a model, multipart, what goes wrong."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skerry.errors import StorageError
from skerry.storage.failures import StorageBroken
from skerry.storage.r2 import listing
from skerry.storage.r2.base import PART_BYTES, R2Bucket
from skerry.storage.r2.embedded import EmbeddedR2
from skerry.storage.r2.errors import (
    BadDigest,
    BucketNotEmpty,
    EntityTooLarge,
    IncompleteBody,
    InvalidArgument,
    InvalidMaxKeys,
    InvalidObjectName,
    NoSuchBucket,
    NoSuchKey,
    NoSuchUpload,
    PreconditionFailed,
)
from skerry.storage.r2.types import (
    GetOptions,
    HttpMetadata,
    ListOptions,
    PutOptions,
    R2Conditional,
    R2Etag,
    R2Part,
    R2Range,
)

from .faces import Now


@pytest.fixture
def now() -> Now:
    return Now()


@pytest.fixture
async def r2(tmp_path: Path, now: Now) -> AsyncIterator[EmbeddedR2]:
    made = EmbeddedR2(tmp_path / "r2", now)
    yield made
    await made.close()


@pytest.fixture
def bucket(r2: EmbeddedR2) -> R2Bucket:
    return r2.bucket("bucket", create=True)


async def read(bucket: R2Bucket, key: str, options: GetOptions | None = None) -> bytes:
    async with bucket.get(key, options) as body:
        data = b"".join([piece async for piece in body.pieces])
        assert len(data) == body.length
        return data


def files(folder: Path) -> list[Path]:
    """Every file that holds bytes of objects, finished or not."""
    return [each for each in (folder / "r2" / "blobs").glob("*/*/*") if each.is_file()]


async def pieces(*parts: bytes, error: Exception | None = None) -> AsyncIterator[bytes]:
    for part in parts:
        yield part
    if error is not None:
        raise error


async def test_what_is_put_is_there(
    bucket: R2Bucket, r2: EmbeddedR2, tmp_path: Path, now: Now
) -> None:
    http = HttpMetadata(content_type="text/x", cache_expiry=5)
    body = pieces(b"a" * 700_000, b"", b"b" * 700_000, b"c")
    data = b"a" * 700_000 + b"b" * 700_000 + b"c"
    options = PutOptions(
        http=http, custom={"é": "日"}, checksums={"sha1": hashlib.sha1(data).digest()}
    )
    made = await bucket.put("a/é", body, options)
    assert made.etag == hashlib.md5(data).hexdigest()
    assert made.uploaded == int(now() * 1000)
    assert made.checksums == {"md5": made.etag, "sha1": hashlib.sha1(data).hexdigest()}
    assert await bucket.head("a/é") == made
    assert await read(bucket, "a/é") == data
    assert await read(bucket, "a/é", GetOptions(range=R2Range(suffix=2))) == b"bc"
    again = EmbeddedR2(tmp_path / "r2", now)
    assert await again.bucket("bucket").head("a/é") == made
    await again.close()


async def test_replaced_and_deleted_bytes_go(bucket: R2Bucket, tmp_path: Path) -> None:
    for text in (b"one", b"two"):
        await bucket.put("k", text)
    assert len(files(tmp_path)) == 1
    await bucket.put("l", b"three")
    await bucket.delete(["k", "l", "none"])
    assert files(tmp_path) == []
    with pytest.raises(NoSuchKey):
        await bucket.head("k")


async def test_a_get_reads_on_what_is_deleted(bucket: R2Bucket, tmp_path: Path) -> None:
    data = bytes(range(256)) * 4096
    await bucket.put("k", data)
    async with bucket.get("k") as body:
        first = await anext(body.pieces)
        await bucket.put("k", b"new")
        await bucket.delete(["k"])
        rest = [piece async for piece in body.pieces]
    assert first + b"".join(rest) == data
    assert files(tmp_path) == []


async def test_refused_puts_leave_all_as_it_was(bucket: R2Bucket, tmp_path: Path) -> None:
    await bucket.put("k", b"old")
    bad = PutOptions(checksums={"sha256": b"\0" * 32})
    with pytest.raises(BadDigest, match="SHA-256 checksum you specified did not match"):
        await bucket.put("k", b"new", bad)
    with pytest.raises(PreconditionFailed):
        only_if = R2Conditional(etag_matches=[R2Etag("other")])
        await bucket.put("k", b"new", PutOptions(only_if=only_if))
    with pytest.raises(IncompleteBody):
        await bucket.put("k", pieces(b"ne"), PutOptions(size=3))
    with pytest.raises(EntityTooLarge):
        await bucket.put("k", pieces(b"new", b"er"), PutOptions(size=3))
    with pytest.raises(RuntimeError, match="gone"):
        await bucket.put("k", pieces(b"x" * (3 << 20), error=RuntimeError("gone")))
    with pytest.raises(InvalidArgument, match="SHA-1 must be 20 bytes"):
        await bucket.put("k", b"new", PutOptions(checksums={"sha1": b"short"}))
    with pytest.raises(InvalidArgument, match="storageClass"):
        await bucket.put("k", b"new", PutOptions(storage_class="Odd"))
    assert await read(bucket, "k") == b"old"
    assert len(files(tmp_path)) == 1


async def test_a_cancelled_put_is_whole_or_not_there(bucket: R2Bucket, tmp_path: Path) -> None:
    outcomes = set()
    for wait in [0.0, 0.0005, 0.001, 0.002, 0.004, 0.008, 0.016]:
        await bucket.delete(["k"])
        task = asyncio.create_task(bucket.put("k", pieces(*[b"x" * 300_000] * 8)))
        await asyncio.sleep(wait)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        try:
            assert await read(bucket, "k") == b"x" * 2_400_000
            outcomes.add("whole")
        except NoSuchKey:
            assert files(tmp_path) == []
            outcomes.add("none")
    assert "none" in outcomes


@pytest.mark.parametrize("key", ["", "k" * 1025, "é" * 513, "\ud800"])
async def test_keys_that_are_none(bucket: R2Bucket, key: str) -> None:
    for call in (bucket.head(key), bucket.put(key, b""), bucket.delete([key])):
        with pytest.raises(InvalidObjectName):
            await call


async def test_a_delete_is_bounded(bucket: R2Bucket) -> None:
    await bucket.put("k0", b"")
    await bucket.delete([f"k{at}" for at in range(1000)])
    with pytest.raises(InvalidArgument, match="1000"):
        await bucket.delete([f"k{at}" for at in range(1001)])


async def test_buckets(r2: EmbeddedR2, bucket: R2Bucket) -> None:
    with pytest.raises(NoSuchBucket):
        await r2.bucket("bucket").put("k", b"")
    with pytest.raises(NoSuchBucket):
        await r2.bucket("bucket").list()
    assert (await bucket.list()).objects == []
    await bucket.put("k", b"")
    assert [each.name for each in await r2.buckets()] == ["bucket"]
    with pytest.raises(BucketNotEmpty):
        await r2.delete("bucket")
    await bucket.delete(["k"])
    await r2.delete("bucket")
    assert await r2.buckets() == []


keys = st.text(alphabet="ab/é\0\U0001f600", min_size=1, max_size=5)


@settings(max_examples=40, deadline=None)
@given(
    st.sets(keys, max_size=25),
    st.text(alphabet="ab/é", max_size=2),
    st.sampled_from(["", "/", "a", "é", "ab"]),
    st.none() | keys,
    st.integers(1, 7),
)
async def test_pages_are_what_a_model_says(
    names: set[str], prefix: str, delimiter: str, after: str | None, limit: int
) -> None:
    """The model: all keys in order, grouped, and cut into pages."""
    wanted: list[tuple[str, str]] = []
    for name in sorted(names, key=str.encode):
        if not name.startswith(prefix) or (after is not None and name.encode() <= after.encode()):
            continue
        at = name.find(delimiter, len(prefix)) if delimiter else -1
        told = ("prefix", name[: at + len(delimiter)]) if at >= 0 else ("key", name)
        if told not in wanted:
            wanted.append(told)
    with tempfile.TemporaryDirectory() as folder:
        r2 = EmbeddedR2(Path(folder) / "r2")
        bucket = r2.bucket("bucket", create=True)
        await asyncio.gather(*[bucket.put(name, b"") for name in names])
        got: list[tuple[str, str]] = []
        cursor: str | None = None
        while True:
            options = ListOptions(
                prefix=prefix, delimiter=delimiter, start_after=after, cursor=cursor, limit=limit
            )
            page = await bucket.list(options)
            told_now = [("key", each.key) for each in page.objects]
            told_now += [("prefix", each) for each in page.delimited_prefixes]
            assert len(told_now) <= limit
            assert page.cursor is None or len(told_now) == limit
            got += sorted(told_now, key=lambda each: each[1].encode())
            cursor = page.cursor
            if cursor is None:
                break
        await r2.close()
    assert got == wanted


async def test_a_page_ends_before_it_is_too_long(bucket: R2Bucket) -> None:
    custom = {"m": "v" * 2000}
    names = [f"{at:03}" + "k" * 1000 for at in range(150)]
    await asyncio.gather(*[bucket.put(name, b"", PutOptions(custom=custom)) for name in names])
    found: list[str] = []
    cursor = None
    while True:
        page = await bucket.list(ListOptions(cursor=cursor, custom=True, http=True))
        assert len(page.objects) < 100
        found += [each.key for each in page.objects]
        cursor = page.cursor
        if cursor is None:
            break
    assert found == names


async def test_lists_that_are_refused(bucket: R2Bucket) -> None:
    for limit in (0, -1, 1001):
        with pytest.raises(InvalidMaxKeys):
            await bucket.list(ListOptions(limit=limit))
    for cursor in ("!!", "a", "é"):
        with pytest.raises(InvalidArgument):
            await bucket.list(ListOptions(cursor=cursor))


@given(st.binary(max_size=4), st.binary(max_size=4))
def test_what_comes_after_a_prefix(prefix: bytes, other: bytes) -> None:
    beyond = listing.after_prefix(prefix)
    if other.startswith(prefix):
        assert beyond is None or other < beyond
    elif other > prefix:
        assert beyond is not None
        assert other >= beyond


async def test_multipart(bucket: R2Bucket, tmp_path: Path) -> None:
    options = PutOptions(custom={"a": "b"}, storage_class="InfrequentAccess")
    upload = await bucket.create_multipart("k", options)
    first, last = b"1" * PART_BYTES, b"tail"
    tail = await bucket.upload_part("k", upload, 9, b"other")
    tail = await bucket.upload_part("k", upload, 9, last)
    spare = await bucket.upload_part("k", upload, 5, b"spare")
    head = await bucket.upload_part("k", upload, 1, first)
    assert len(files(tmp_path)) == 3
    with pytest.raises(NoSuchKey):
        await bucket.head("k")
    made = await bucket.complete_multipart("k", upload, [tail, head])
    sums = hashlib.md5(hashlib.md5(first).digest() + hashlib.md5(last).digest()).hexdigest()
    assert (made.etag, made.size) == (f"{sums}-2", PART_BYTES + 4)
    assert (made.custom, made.storage_class) == ({"a": "b"}, "InfrequentAccess")
    assert len(files(tmp_path)) == 2
    assert await read(bucket, "k") == first + last
    ends = GetOptions(range=R2Range(offset=PART_BYTES - 1, length=3))
    assert await read(bucket, "k", ends) == b"1ta"
    await bucket.abort_multipart("k", upload)
    for again in (
        bucket.complete_multipart("k", upload, [head, spare]),
        bucket.upload_part("k", upload, 1, b""),
        bucket.abort_multipart("other", upload),
    ):
        with pytest.raises(NoSuchUpload):
            await again
    async with bucket.get("k") as body:
        await anext(body.pieces)
        await bucket.put("k", b"new")
        assert sum([len(piece) async for piece in body.pieces]) > PART_BYTES // 2
    assert len(files(tmp_path)) == 1


async def test_an_upload_that_nobody_completes_goes(
    bucket: R2Bucket, tmp_path: Path, now: Now
) -> None:
    upload = await bucket.create_multipart("k")
    part = await bucket.upload_part("k", upload, 1, b"bytes")
    now.seconds += 8 * 86400
    later = EmbeddedR2(tmp_path / "r2", now)
    with pytest.raises(NoSuchUpload):
        await later.bucket("bucket").complete_multipart("k", upload, [part])
    assert files(tmp_path) == []
    await later.close()


@pytest.mark.parametrize("number", [0, -1, 10_001])
async def test_part_numbers(bucket: R2Bucket, number: int) -> None:
    upload = await bucket.create_multipart("k")
    with pytest.raises(InvalidArgument, match="Part number"):
        await bucket.upload_part("k", upload, number, b"")
    with pytest.raises(StorageError):
        await bucket.complete_multipart("k", upload, [R2Part(number, "e")])


async def test_of_many_that_create_one_does(bucket: R2Bucket) -> None:
    only_if = R2Conditional(etag_does_not_match=[R2Etag(kind="wildcard")])
    puts = [bucket.put("k", f"{at}".encode(), PutOptions(only_if=only_if)) for at in range(20)]
    outcomes = await asyncio.gather(*puts, return_exceptions=True)
    won = [at for at, each in enumerate(outcomes) if not isinstance(each, BaseException)]
    assert len(won) == 1
    assert all(
        isinstance(each, PreconditionFailed) for at, each in enumerate(outcomes) if at != won[0]
    )
    assert await read(bucket, "k") == f"{won[0]}".encode()


async def test_bytes_that_went_missing_are_told(bucket: R2Bucket, tmp_path: Path) -> None:
    await bucket.put("k", b"bytes")
    files(tmp_path)[0].unlink()
    with pytest.raises(StorageBroken, match="the bytes of 'k' are not in"):
        await read(bucket, "k")
    await bucket.put("k", b"bytes")
    files(tmp_path)[0].write_bytes(b"by")
    with pytest.raises(EOFError):
        await read(bucket, "k")
