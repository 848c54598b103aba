"""The bindings of Python workers, against the node's own faces and stores."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from skerry.api.bindings.analytics import AnalyticsFace
from skerry.api.bindings.base import BindingFace
from skerry.api.bindings.cache import CacheFace
from skerry.api.bindings.d1 import D1Face
from skerry.api.bindings.kv import KvFace
from skerry.api.bindings.outbound import Allowed, OutboundFace
from skerry.api.bindings.queues import QueueFace
from skerry.api.bindings.r2 import R2Face
from skerry.api.bindings.ratelimit import RateLimitFace
from skerry.storage.open import Stores
from skerry.workers.bindings import (
    AnalyticsBinding,
    Binding,
    D1Binding,
    KvBinding,
    QueueBinding,
    R2Binding,
    RateLimitBinding,
    ServiceBinding,
    VectorizeBinding,
)
from tests.workers.python_rig import Fake, Rig, python_worker

HEAD = """
    import asyncio, json
    from workers import Response, WorkerEntrypoint, env, fetch

    async def report(work):
        try:
            return await work
        except Exception as error:
            return f"{type(error).__name__}: {error}"

    class Default(WorkerEntrypoint):
        async def fetch(self, request):
            return Response.json(await run(self.env))
"""


@asynccontextmanager
async def worker(
    tmp_path: Path, code: str, faces: dict[str, BindingFace], bindings: Sequence[Binding]
) -> AsyncIterator[Rig]:
    async with python_worker(tmp_path, HEAD + code, faces=faces, bindings=bindings) as rig:
        yield rig


@asynccontextmanager
async def stores(tmp_path: Path) -> AsyncIterator[Stores]:
    made = Stores(tmp_path / "data")
    try:
        yield made
    finally:
        await made.close()


async def test_kv(tmp_path: Path) -> None:
    code = """
    async def run(env):
        kv = env.KV
        await kv.put("a/é?", "one", expirationTtl=3600, metadata={"m": "ü"})
        await kv.put("b", b"\\x00\\xff", {"expirationTtl": 3600})
        await kv.put("c", json.dumps({"x": {"y": 1}}), expiration_ttl=3600)
        page = await kv.list(prefix="", limit=2)
        found = await kv.get_with_metadata("a/é?")
        out = [
            await kv.get("a/é?"), list(await kv.get("b", "arrayBuffer")),
            (await kv.get("c", type="json")).x.y, (await kv.get("c", {"type": "json"}))["x"],
            await kv.get("none"), found.value, found.metadata.m,
            [each.name for each in page.keys], page.list_complete, sorted(page),
            [each["name"] for each in (await kv.list({"cursor": page.cursor}))["keys"]],
            dict(await kv.get(["c", "none"], "json")),
        ]
        stream = await kv.get("a/é?", "stream")
        out.append(b"".join([chunk async for chunk in stream]).decode())
        await kv.delete("b")
        out.append(await kv.get("b"))
        out.append(await report(kv.put("k", "v", expirationTtl=5)))
        out.append(await report(kv.put("k", {"a": 1})))
        return out
    """
    async with stores(tmp_path) as made:
        faces: dict[str, BindingFace] = {"KV": KvFace(made.kv("acc", "ns"))}
        async with worker(tmp_path, code, faces, [KvBinding(name="KV", id="ns")]) as rig:
            out = await rig.json()
    assert out[:8] == [
        "one", [0, 255], 1, {"y": 1}, None, "one", "ü", ["a/é?", "b"],
    ]  # fmt: skip
    assert out[8] is False
    assert {"cursor", "keys", "list_complete"} <= set(out[9])
    assert out[10] == ["c"]
    assert out[11] == {"c": {"x": {"y": 1}}, "none": None}
    assert out[12:14] == ["one", None]
    assert out[14].startswith("KvError: KV PUT failed: 400 ")
    assert out[15].startswith("TypeError: KV put() accepts only strings")


async def test_d1(tmp_path: Path) -> None:
    code = """
    async def run(env):
        db = env.DB
        made = await db.exec("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, data BLOB);")
        put = db.prepare("INSERT INTO t (name, data) VALUES (?1, ?2)")
        first = await put.bind("Zoë", b"\\x00\\x01").run()
        many = await db.batch([put.bind(None, None), put.bind(True, 1.5),
                               db.prepare("SELECT count(*) AS n FROM t")])
        rows = await db.prepare("SELECT * FROM t ORDER BY id").all()
        out = [
            made.count, first.success, first.meta.changes, first["meta"]["last_row_id"],
            many[2].results[0].n, rows.results[0].name, rows.results[0]["data"],
            dict(rows.results[1]), rows.results[2].name, len(rows.results),
            await db.prepare("SELECT name FROM t WHERE id = ?").bind(1).first("name"),
            await db.prepare("SELECT name FROM t WHERE id = ?").bind(99).first(),
            await db.prepare("SELECT id, name FROM t LIMIT 1").raw(columnNames=True),
            (await db.prepare("INSERT INTO t (name) VALUES ('r') RETURNING id").first()).id,
            await report(db.prepare("SELECT * FROM nope").all()),
            await report(db.exec("DROP TABLE nope;")),
            await report(db.batch([put.bind("lost", None), db.prepare("SELECT * FROM nope")])),
            await db.prepare("SELECT count(*) AS n FROM t WHERE name = 'lost'").first("n"),
        ]
        session = db.withSession("first-primary")
        await session.prepare("INSERT INTO t (name) VALUES ('s')").run()
        out.append(bool(session.getBookmark()) and session.getBookmark() != "first-primary")
        try:
            put.bind({"a": 1}, None)
        except Exception as error:
            out.append(str(error))
        return out
    """
    async with stores(tmp_path) as made:
        faces: dict[str, BindingFace] = {"DB": D1Face(made.d1("acc", "db"))}
        async with worker(tmp_path, code, faces, [D1Binding(name="DB", id="db")]) as rig:
            out = await rig.json()
    assert out[:14] == [
        1, True, 1, 1, 3, "Zoë", [0, 1], {"id": 2, "name": None, "data": None}, "1", 3,
        "Zoë", None, [["id", "name"], [1, "Zoë"]], 4,
    ]  # fmt: skip
    assert out[14].startswith("D1Error: D1_ERROR: no such table: nope")
    assert out[15].startswith("D1Error: D1_EXEC_ERROR: ")
    assert out[16].startswith("D1Error: D1_ERROR: ")
    assert out[17] == 0
    assert out[18] is True
    assert out[19].startswith("D1_TYPE_ERROR: Type 'dict' not supported for value")


async def test_r2(tmp_path: Path) -> None:
    code = """
    from js import Headers

    async def pieces():
        for _ in range(100):
            yield b"x" * 10_000

    async def run(env):
        r2 = env.BUCKET
        one = await r2.put("a/1", b"hello", httpMetadata={"contentType": "text/x"},
                           custom_metadata={"k": "v"})
        got = await r2.get("a/1")
        headers = Headers.new()
        got.writeHttpMetadata(headers)
        part = await r2.get("a/1", {"range": {"offset": 1, "length": 3}})
        from workers import Request
        from _skerry.streams import ReadableStream
        await r2.put("big", ReadableStream(pieces()))
        big = await r2.get("big")
        size = 0
        async for chunk in big.body:
            size += len(chunk)
        listed = await r2.list(prefix="a/", include=["customMetadata"])
        failed = await r2.get("a/1", onlyIf={"etagMatches": "nope"})
        up = await r2.createMultipartUpload("m")
        p1 = await up.uploadPart(1, b"y" * (5 << 20))
        p2 = await r2.resumeMultipartUpload("m", up.uploadId).uploadPart(2, "end")
        whole = await up.complete([p1, p2])
        out = [
            one.key, one.size, one.httpEtag == f'"{one.etag}"', got.customMetadata.k,
            headers["content-type"], await got.text(), await part.text(), part.range.offset,
            size, [each.key for each in listed.objects], listed["truncated"],
            listed.objects[0].customMetadata.k, hasattr(failed, "body"), failed.key,
            await r2.put("a/1", "no", onlyIf={"etagDoesNotMatch": one.etag}),
            await r2.get("none"), await r2.head("none"), (await r2.head("m")).size,
            one.uploaded.toISOString()[:2], one.checksums.md5.hex(), whole.size,
            await report(r2.put("x", "y", md5="00" * 16)),
        ]
        await r2.delete(["a/1", "big", "m"])
        out.append((await r2.list()).objects.length)
        return out
    """
    async with stores(tmp_path) as made:
        faces: dict[str, BindingFace] = {"BUCKET": R2Face(made.r2("acc", "bucket"))}
        bindings = [R2Binding(name="BUCKET", bucket="bucket")]
        async with worker(tmp_path, code, faces, bindings) as rig:
            out = await rig.json()
    assert out[:21] == [
        "a/1", 5, True, "v", "text/x", "hello", "ell", 1, 1_000_000, ["a/1"], False, "v", False,
        "a/1", None, None, None, (5 << 20) + 3, "20", "5d41402abc4b2a76b9719d911017c592",
        (5 << 20) + 3,
    ]  # fmt: skip
    assert out[21].startswith("R2Error: put: ")
    assert "(100" in out[21]
    assert out[22] == 0


async def test_queues_send(tmp_path: Path) -> None:
    code = """
    async def run(env):
        sent = await env.Q.send({"a": [1]}, delaySeconds=0)
        await env.Q.send("text", contentType="text")
        await env.Q.send(b"\\x01")
        await env.Q.sendBatch([{"body": {"n": 1}}, {"body": "x", "contentType": "text"}])
        return [sent.metadata.metrics.backlogCount, (await env.Q.metrics()).backlogCount,
                await report(env.Q.send("x" * 200_000)),
                await report(env.Q.send(1, contentType="v8"))]
    """
    async with stores(tmp_path) as made:
        queue = made.queue("acc", "q")
        faces: dict[str, BindingFace] = {"Q": QueueFace(queue)}
        async with worker(tmp_path, code, faces, [QueueBinding(name="Q", queue="q")]) as rig:
            out = await rig.json()
        kept = [(each.content_type, each.body) for each in await queue.peek(10)]
    assert out[:2] == [1, 5]
    assert out[2].startswith("QueueError: Queue send failed: message length of 200002 bytes")
    assert out[3].startswith("TypeError")
    assert sorted(kept) == [
        ("bytes", b"\x01"), ("json", b'{"a":[1]}'), ("json", b'{"n":1}'),
        ("text", b"text"), ("text", b"x"),
    ]  # fmt: skip


async def test_cache(tmp_path: Path) -> None:
    code = """
    from js import caches

    async def run(env):
        url = "https://example.com/x?y=1"
        before = await caches.default.match(url)
        await caches.default.put(url, Response("kept", headers={"cache-control": "max-age=60",
                                                                "x-a": "b"}))
        hit = await caches.default.match(url)
        other = await (await caches.open("other")).match(url)
        gone = [await caches.default.delete(url), await caches.default.delete(url)]
        return [before, hit.status, hit.headers["x-a"], await hit.text(), other, gone]
    """
    async with stores(tmp_path) as made:
        faces: dict[str, BindingFace] = {":cache": CacheFace(made.caches("acc", "worker"))}
        async with worker(tmp_path, code, faces, []) as rig:
            assert await rig.json() == [None, 200, "b", "kept", None, [True, False]]


async def test_points_and_rate_limits(tmp_path: Path) -> None:
    code = """
    async def run(env):
        env.AE.writeDataPoint({"indexes": ["i"], "blobs": ["a", None, b"c"], "doubles": [1.5]})
        out = [(await env.RATE.limit({"key": "k"})).success for _ in range(3)]
        try:
            env.AE.writeDataPoint(blobs=["x"] * 21)
        except TypeError as error:
            out.append(str(error))
        out.append(await report(env.RATE.limit({})))
        return out
    """
    points = Fake(lambda _: web.Response(body=b"{}"))
    async with stores(tmp_path) as made:
        faces: dict[str, BindingFace] = {
            "AE": points,
            "RATE": RateLimitFace(made.rate_limits("acc"), "1", 2, 60.0),
        }
        bindings: list[Binding] = [
            AnalyticsBinding(name="AE", dataset="d"),
            RateLimitBinding(name="RATE", namespace_id="1", limit=2, period=60),
        ]
        async with worker(tmp_path, code, faces, bindings) as rig:
            out = await rig.json()
        assert out[:3] == [True, True, False]
        assert "at most 1 index" in out[3]
        assert "string `key`" in out[4]
        point = msgspec.json.decode(points.asked[0][3])
        assert bytes(point["index1"]) == b"i"
        assert "blob2" not in point
        assert (bytes(point["blob3"]), point["double1"], point["double20"]) == (b"c", 1.5, 0.0)
        faces["AE"] = AnalyticsFace(made.analytics("acc", "d"))
        (tmp_path / "two").mkdir()
        async with worker(tmp_path / "two", code, faces, bindings) as rig:
            await rig.json()
            assert [event for event in rig.logs if event.kind == "waitUntil"] == []


async def test_vectorize_speaks_the_wire(tmp_path: Path) -> None:
    code = """
    import array

    async def run(env):
        v = env.V
        await v.upsert([{"id": "a", "values": array.array("f", [1, 0]), "metadata": {"k": 1}}])
        out = await v.query([1, 0], topK=3, returnMetadata=True)
        return [out.matches[0].id, out["count"], await report(v.getByIds(["bad"]))]
    """

    def answer(request: web.Request) -> web.Response:
        if request.path == "/getByIds":
            return web.Response(status=400, body=b'{"code":40008,"error":"bad ids"}')
        return web.json_response({"matches": [{"id": "a", "score": 1.0}], "count": 1})

    face = Fake(answer)
    bindings = [VectorizeBinding(name="V", index_name="i")]
    async with worker(tmp_path, code, {"V": face}, bindings) as rig:
        assert await rig.json() == [
            "a", 1, "VectorizeError: VECTOR_GET_ERROR (code = 40008): bad ids",
        ]  # fmt: skip
    assert face.asked[0][3] == b'{"id":"a","values":[1.0,0.0],"metadata":{"k":1}}'
    assert msgspec.json.decode(face.asked[1][3]) == {
        "vector": [1, 0], "topK": 3, "returnMetadata": "all",
    }  # fmt: skip


async def test_other_workers_and_the_outside(tmp_path: Path) -> None:
    code = """
    async def run(env):
        told = await env.OTHER.fetch("https://other.test/p?q=1", method="POST", body="hi",
                                     headers={"x-a": "b"})
        moved = await fetch("http://moved.test/")
        kept = await fetch("http://moved.test/", redirect="manual")
        return [told.status, await told.json(), moved.url, await moved.text(), kept.status,
                await report(fetch("file:///etc/passwd")),
                await report(fetch("http://moved.test/loop"))]
    """

    async def other(request: web.Request) -> web.Response:
        told: dict[str, Any] = {
            "url": str(request.url), "proto": request.headers["x-skerry-proto"],
            "a": request.headers["x-a"], "body": await request.text(),
        }  # fmt: skip
        return web.json_response(told, status=201)

    def outside(request: web.Request) -> web.Response:
        if request.path == "/loop":
            return web.Response(status=302, headers={"location": "/loop"})
        if request.host == "moved.test":
            return web.Response(status=301, headers={"location": "http://new.test/x"})
        return web.Response(text=f"at {request.host}")

    faces: dict[str, BindingFace] = {"OTHER": Fake(other), ":outbound": Fake(outside)}
    bindings = [ServiceBinding(name="OTHER", service="other")]
    async with worker(tmp_path, code, faces, bindings) as rig:
        out = await rig.json()
    assert out[0] == 201
    assert out[1] == {
        "url": "http://other.test/p?q=1", "proto": "https", "a": "b", "body": "hi",
    }  # fmt: skip
    assert out[2:5] == ["http://new.test/x", "at new.test", 301]
    assert out[5].startswith("TypeError: Fetch API cannot load: file:///etc/passwd")
    assert out[6].startswith("TypeError: Too many redirects")


async def test_the_outside_is_closed_where_the_node_says_so(tmp_path: Path) -> None:
    code = """
    import socket

    async def run(env):
        response = await fetch("https://example.com/")
        try:
            socket.create_connection(("127.0.0.1", 1), 1).close()
        except OSError as error:
            return [response.status, await response.text(), type(error).__name__]
    """
    face = OutboundFace(Allowed(["*"], offline=True))
    async with worker(tmp_path, code, {":outbound": face}, []) as rig:
        status, text, _ = await rig.json()
    assert status == 403
    assert "the network is closed (offline)" in text
