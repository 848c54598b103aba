"""The Cache API over its wire, and what it keeps on the disk."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest
from multidict import CIMultiDict

from skerry.api.bindings.cache import CacheFace
from skerry.storage.cache.base import Cache, Head, Uncacheable
from skerry.storage.cache.embedded import CacheStore
from skerry.storage.open import Stores

from .faces import Now, bound

Session = aiohttp.ClientSession
FRESH = Head(200, "OK", [("Cache-Control", "max-age=60")])


@pytest.fixture
def now() -> Now:
    return Now()


@pytest.fixture
async def stores(tmp_path: Path, now: Now) -> AsyncIterator[Stores]:
    made = Stores(tmp_path, clock=now)
    yield made
    await made.close()


@pytest.fixture
async def sessions(stores: Stores, tmp_path: Path) -> AsyncIterator[Callable[[str], Session]]:
    faces = {name: CacheFace(stores.caches("acc", name)) for name in ("one", "two")}
    async with bound(faces, tmp_path) as session:
        yield session


@pytest.fixture
async def wire(sessions: Callable[[str], Session]) -> Session:
    return sessions("one")


def asked(host: str = "x.test", **headers: str) -> dict[str, str]:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return {"Host": host, "x-skerry-proto": "https"} | named


async def put(wire: Session, path: str, message: bytes, **headers: str) -> int:
    sent = asked(**headers)
    async with wire.put(path, data=io.BytesIO(message), headers=sent) as answer:
        return answer.status


async def match(wire: Session, path: str, **headers: str) -> tuple[int, bytes]:
    sent = asked(Cache_Control="only-if-cached", **headers)
    async with wire.get(path, headers=sent) as answer:
        status = answer.headers["CF-Cache-Status"]
        assert status == ("MISS" if answer.status == 504 else "HIT")
        return answer.status, await answer.read()


async def purge(wire: Session, path: str, **headers: str) -> int:
    async with wire.request("PURGE", path, headers=asked(**headers)) as answer:
        return answer.status


def message(body: bytes = b"body", *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", *(headers or ("Cache-Control: max-age=60",))]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def test_put_match_purge(wire: Session, now: Now) -> None:
    assert await match(wire, "/a?b=%C3%A9") == (504, b"")
    made = message(
        b"body",
        "Cache-Control: max-age=60",
        "X-Y: é",
        "Content-Length: 4",
        'ETag: "e"',
        status="200 Très bien",
    )
    assert await put(wire, "/a?b=%C3%A9", made) == 204
    now.seconds += 7
    async with wire.get("/a?b=%C3%A9", headers=asked()) as answer:
        assert (answer.status, answer.reason) == (200, "Très bien")
        assert await answer.read() == b"body"
        assert sorted((name.lower(), text) for name, text in answer.headers.items()) == [
            ("age", "7"),
            ("cache-control", "max-age=60"),
            ("cf-cache-status", "HIT"),
            ("content-length", "4"),
            ("etag", '"e"'),
            ("x-y", "é"),
        ]
    assert (await match(wire, "/a?b=%C3%A9", If_None_Match='"e"'))[0] == 304
    assert await match(wire, "/a?b=%C3%A9", Range="bytes=1-2") == (206, b"od")
    assert (await match(wire, "/a?b=%C3%A9", Range="bytes=9-"))[0] == 416
    assert (await match(wire, "/a"))[0] == 504
    assert (await match(wire, "/a?b=%C3%A9", x_skerry_proto="http"))[0] == 504
    now.seconds += 53
    assert (await match(wire, "/a?b=%C3%A9"))[0] == 504
    assert await purge(wire, "/a?b=%C3%A9") == 404
    await put(wire, "/a?b=%C3%A9", made)
    assert await purge(wire, "/a?b=%C3%A9") == 200
    assert await purge(wire, "/a?b=%C3%A9") == 404


async def test_headers_that_were_put_stay(wire: Session) -> None:
    kept = ("Date: Tue, 15 Nov 1994 12:45:26 GMT", "Server: mine", "Content-Type: a/b")
    await put(wire, "/", message(b"body", "Cache-Control: max-age=60", *kept))
    async with wire.get("/", headers=asked()) as answer:
        for line in kept:
            name, _, text = line.partition(": ")
            assert answer.headers.getall(name) == [text]


async def test_caches_are_apart(sessions: Callable[[str], Session]) -> None:
    one, two = sessions("one"), sessions("two")
    await put(one, "/", message(b"default"))
    await put(one, "/", message(b"named"), CF_Cache_Namespace="n%C3%A4me")
    assert await match(one, "/") == (200, b"default")
    assert await match(one, "/", CF_Cache_Namespace="n%C3%A4me") == (200, b"named")
    assert await match(one, "/", CF_Cache_Namespace="other") == (504, b"")
    assert await match(two, "/") == (504, b"")
    assert await match(one, "/", Host="y.test") == (504, b"")
    assert await purge(one, "/", CF_Cache_Namespace="n%C3%A4me") == 200
    assert await match(one, "/") == (200, b"default")


async def test_vary(wire: Session) -> None:
    def in_language(text: bytes) -> bytes:
        return message(text, "Cache-Control: max-age=60", "Vary: Accept-Language")

    await put(wire, "/", message(b"any"))
    await put(wire, "/", in_language(b"de"), Accept_Language="de")
    await put(wire, "/", in_language(b"fr"), Accept_Language="fr")
    assert await match(wire, "/", Accept_Language="de") == (200, b"de")
    assert await match(wire, "/", Accept_Language="fr") == (200, b"fr")
    assert await match(wire, "/", Accept_Language="es") == (504, b"")
    await put(wire, "/", in_language(b"de 2"), Accept_Language="de")
    assert await match(wire, "/", Accept_Language="de") == (200, b"de 2")
    assert await purge(wire, "/") == 200
    assert await match(wire, "/", Accept_Language="fr") == (504, b"")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no message",
        message(b"body", "Cache-Control: no-store"),
        message(b"body", "Cache-Control: max-age=60", "Set-Cookie: a=b"),
        message(b"body", "Cache-Control: max-age=60", "Content-Length: 5"),
        message(b"body", "Cache-Control: max-age=60", "Content-Length: x"),
        message(b"", "Cache-Control: max-age=60", f"Content-Length: {513 << 20}"),
    ],
)
async def test_what_is_not_kept_is_told(wire: Session, data: bytes, tmp_path: Path) -> None:
    assert await put(wire, "/", data) == 413
    assert await match(wire, "/") == (504, b"")
    assert not files(tmp_path / "accounts" / "acc" / "cache")


async def test_big_bodies_are_streamed(wire: Session) -> None:
    body = bytes(range(256)) * 8192
    assert await put(wire, "/", message(body)) == 204
    assert await match(wire, "/") == (200, body)
    assert (await match(wire, "/", Range="bytes=-300000"))[1] == body[-300_000:]


async def test_other_methods(wire: Session) -> None:
    async with wire.post("/", data=b"", headers=asked()) as answer:
        assert answer.status == 405


def files(root: Path) -> list[Path]:
    return [each for each in root.glob("blobs/*/*/*") if each.is_file()]


async def found(cache: Cache, url: str) -> bytes | None:
    async with cache.match(url, CIMultiDict()) as hit:
        return None if hit is None else b"".join([piece async for piece in hit.pieces])


async def test_it_survives_a_restart(tmp_path: Path, now: Now) -> None:
    store = CacheStore(tmp_path, clock=now)
    await store.caches("w").open().put("http://x/", CIMultiDict(), FRESH, b"body")
    await store.close()
    again = CacheStore(tmp_path, clock=now)
    assert await found(again.caches("w").open(), "http://x/") == b"body"
    await again.close()


async def test_the_least_recently_used_goes(tmp_path: Path, now: Now) -> None:
    store = CacheStore(tmp_path, size=10_000, clock=now)
    cache = store.caches().open()
    for at in range(4):
        now.seconds += 1
        await cache.put(f"http://x/{at}", CIMultiDict(), FRESH, b"b" * 2_400)
    now.seconds += 1
    assert await found(cache, "http://x/0") == b"b" * 2_400
    now.seconds += 1
    await cache.put("http://x/4", CIMultiDict(), FRESH, b"b" * 2_400)
    kept = [at for at in range(5) if await found(cache, f"http://x/{at}") is not None]
    assert kept in ([0, 3, 4], [0, 2, 3, 4])
    assert len(files(tmp_path)) == len(kept)
    with pytest.raises(Uncacheable, match="larger than 10000"):
        await cache.put("http://x/5", CIMultiDict(), FRESH, b"b" * 10_001)
    now.seconds += 100
    await cache.put("http://x/6", CIMultiDict(), FRESH, b"b")
    assert len(files(tmp_path)) == 1  # what was stale went too
    await store.close()


async def test_many_at_once_keep_the_bound(tmp_path: Path, now: Now) -> None:
    store = CacheStore(tmp_path, size=20_000, clock=now)
    other = CacheStore(tmp_path, size=20_000, clock=now)

    async def work(cache: Cache, name: int) -> None:
        for at in range(8):
            url = f"http://x/{(name + at) % 6}"
            await cache.put(url, CIMultiDict(), FRESH, bytes([65 + name]) * 3_000)
            body = await found(cache, url)
            assert body is None or (len(body) == 3_000 and len(set(body)) == 1)

    jobs = [work((store if at % 2 else other).caches().open(), at) for at in range(6)]
    await asyncio.gather(*jobs)
    assert sum(each.stat().st_size for each in files(tmp_path)) <= 20_000
    await store.close()
    await other.close()


async def test_a_url_has_a_bound(tmp_path: Path, now: Now) -> None:
    store = CacheStore(tmp_path, clock=now)
    cache = store.caches().open()
    with pytest.raises(Uncacheable, match="URL"):
        await cache.put("http://x/" + "a" * 20_000, CIMultiDict(), FRESH, b"")
    await store.close()
