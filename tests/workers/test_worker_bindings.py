"""Every binding, used by a real TypeScript worker on workerd."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

from skerry.workers import bindings as kinds
from skerry.workers.project import QueueConsumer, Secrets

from .rig import WorkerRig, until

Run = Callable[..., Awaitable[WorkerRig]]

ROUTES = r"""
type Env = Record<string, any>;
const routes: Record<string, (env: Env, request: Request, ctx: any) => Promise<unknown>> = {
BODY
};
export default {
  async fetch(request: Request, env: Env, ctx: any): Promise<Response> {
    const route = routes[new URL(request.url).pathname.slice(1)];
    if (!route) return new Response("no such route", { status: 404 });
    const out = await route(env, request, ctx);
    return out instanceof Response ? out : Response.json(out ?? null);
  },
  async scheduled(event: any, env: Env) {
    await env.KV.put("cron", JSON.stringify([event.cron, event.scheduledTime]));
  },
  async queue(batch: any, env: Env) {
    const bodies = batch.messages.map((message: any) => {
      const body = message.body;
      if (body instanceof Map) return [...body];
      if (body instanceof ArrayBuffer || ArrayBuffer.isView(body)) {
        return [...new Uint8Array(body as ArrayBuffer)];
      }
      return body;
    });
    if (batch.messages.some((message: any) => message.body === "again" && message.attempts < 2)) {
      batch.messages.forEach((message: any) => message.retry());
      return;
    }
    const attempts = batch.messages.map((message: any) => message.attempts);
    const old = JSON.parse((await env.KV.get("queue")) ?? "[]");
    await env.KV.put("queue", JSON.stringify([...old, [batch.queue, bodies, attempts]]));
  },
};
"""

BODY = r"""
  async kv(env) {
    await env.KV.put("k/ä b", "v", { metadata: { m: 1 } });
    const got = await env.KV.getWithMetadata("k/ä b");
    const list = await env.KV.list({ prefix: "k/" });
    let error;
    try {
      await env.KV.put("x", "y", { expirationTtl: 5 });
    } catch (e) {
      error = (e as Error).message;
    }
    await env.KV.delete("k/ä b");
    return { got, names: list.keys, gone: await env.KV.get("k/ä b"), error };
  },
  async read(env, request) {
    return await env.KV.get(new URL(request.url).searchParams.get("key"));
  },
  async d1(env) {
    await env.DB.exec("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, b BLOB)");
    const [, all] = await env.DB.batch([
      env.DB.prepare("INSERT INTO t (name, b) VALUES (?, ?)").bind("a", new Uint8Array([1, 2])),
      env.DB.prepare("SELECT * FROM t"),
    ]);
    let error;
    try {
      await env.DB.prepare("SELECT * FROM nope").all();
    } catch (e) {
      error = (e as Error).message;
    }
    const raw = await env.DB.prepare("SELECT id, name FROM t").raw({ columnNames: true });
    return { all: all.results, read: all.meta.rows_read, error, raw };
  },
  async r2(env) {
    await env.BUCKET.put("a/b.txt", "hello", { httpMetadata: { contentType: "text/plain" } });
    const part = await env.BUCKET.get("a/b.txt", { range: { offset: 1, length: 3 } });
    const listed = await env.BUCKET.list({ prefix: "a/" });
    return {
      text: await part.text(),
      kind: part.httpMetadata.contentType,
      keys: listed.objects.map((each: any) => each.key),
      none: await env.BUCKET.get("nope"),
    };
  },
  async send(env) {
    await env.Q.send({ hi: 1 });
    await env.Q.sendBatch([
      { body: "text", contentType: "text" },
      { body: new Map([["a", 1]]), contentType: "v8" },
      { body: new Uint8Array([1, 2]), contentType: "bytes" },
    ]);
  },
  async again(env) {
    await env.Q.send("again");
  },
  async limit(env) {
    const out = [];
    for (let at = 0; at < 3; at++) out.push((await env.LIMIT.limit({ key: "me" })).success);
    return out;
  },
  async points(env) {
    env.POINTS.writeDataPoint({ blobs: ["x"], doubles: [1.5], indexes: ["i"] });
    return "written";
  },
  async vector(env) {
    try {
      return await env.INDEX.describe();
    } catch (e) {
      return (e as Error).message;
    }
  },
  async cache(_env, request) {
    const url = new URL("/kept", request.url);
    const cache = (globalThis as any).caches.default;
    const before = await cache.match(url);
    const headers = { "cache-control": "max-age=60" };
    await cache.put(url, new Response("kept", { headers }));
    const after = await (await cache.match(url)).text();
    return { before: before ?? null, after, deleted: await cache.delete(url) };
  },
  async vars(env) {
    return { text: env.TEXT, object: env.OBJECT, secret: env.SECRET, keys: Object.keys(env) };
  },
  async self(env, request) {
    if (request.method === "POST") return `inner ${await request.text()}`;
    const inner = await env.ME.fetch("http://any/self", { method: "POST", body: "hello" });
    return await inner.json();
  },
"""

ALL = {
    "bindings": (
        kinds.KvBinding(name="KV", id="kv"),
        kinds.D1Binding(name="DB", id="11111111-2222-3333-4444-555555555555"),
        kinds.R2Binding(name="BUCKET", bucket="bucket"),
        kinds.QueueBinding(name="Q", queue="jobs"),
        kinds.RateLimitBinding(name="LIMIT", namespace_id="1", limit=2, period=60),
        kinds.AnalyticsBinding(name="POINTS", dataset="points"),
        kinds.VectorizeBinding(name="INDEX", index_name="index"),
        kinds.ServiceBinding(name="ME", service="test"),
    ),
    "consumers": (QueueConsumer(queue="jobs", max_batch_size=10, max_batch_timeout=0.05),),
    "vars": {"TEXT": 'a"b\\\n€\x00\x7f\U0001f600', "OBJECT": {"a": [1, None]}, "SECRET": "shown"},
    "secrets": Secrets({"SECRET": "hidden"}),
    "test_scheduled": True,
}


async def test_every_binding(run: Run) -> None:
    rig = await run(ROUTES.replace("BODY", BODY), **ALL)

    kv = await rig.json("/kv")
    assert kv["got"]["value"] == "v"
    assert kv["got"]["metadata"] == {"m": 1}
    assert kv["names"] == [{"name": "k/ä b", "metadata": {"m": 1}}]
    assert kv["gone"] is None
    assert "KV PUT failed: 400" in kv["error"]
    assert "at least 60" in kv["error"]

    d1 = await rig.json("/d1")
    assert d1["all"] == [{"id": 1, "name": "a", "b": [1, 2]}]
    assert d1["read"] == 1
    assert d1["error"] == "D1_ERROR: no such table: nope: SQLITE_ERROR"
    assert d1["raw"] == [["id", "name"], [1, "a"]]

    r2 = await rig.json("/r2")
    assert r2 == {"text": "ell", "kind": "text/plain", "keys": ["a/b.txt"], "none": None}

    assert await rig.json("/limit") == [True, True, False]
    assert await rig.json("/points") == "written"
    assert "index.not_found" in await rig.json("/vector")
    assert await rig.json("/cache") == {"before": None, "after": "kept", "deleted": True}
    assert await rig.json("/self") == "inner hello"

    given = await rig.json("/vars")
    assert given["text"] == ALL["vars"]["TEXT"]  # type: ignore[index]
    assert given["object"] == {"a": [1, None]}
    assert given["secret"] == "hidden"
    assert not [key for key in given["keys"] if ":" in key]  # what the entry took is gone


async def test_messages_and_cron_events_reach_the_worker(run: Run) -> None:
    rig = await run(ROUTES.replace("BODY", BODY), **ALL)

    await rig.json("/send")
    seen: list[object] = []
    while len(seen) < 4:
        text = await rig.json("/read?key=queue")
        seen = [body for _, bodies, _ in json.loads(text or "[]") for body in bodies]
    assert seen == [{"hi": 1}, "text", [["a", 1]], [1, 2]]

    await rig.json("/again")
    last: list[object] = []
    while "again" not in last:
        batches = json.loads(await rig.json("/read?key=queue"))
        last = batches[-1][1]
    assert batches[-1][2] == [2]  # delivered twice: the first time it asked for it again

    status, text = await rig.get("/__scheduled?cron=*/5+*+*+*+*&time=1700000000000")
    assert (status, text) == (200, "Ran scheduled event")
    assert json.loads(await rig.json("/read?key=cron")) == ["*/5 * * * *", 1700000000000]

    version = rig.supervisor.version
    assert version is not None
    assert version.host is not None
    result = await version.host.scheduled("0 0 * * *", 1700000001.0)
    assert result.outcome == "ok"
    assert json.loads(await rig.json("/read?key=cron")) == ["0 0 * * *", 1700000001000]


async def test_a_handler_that_throws_fails_its_event(run: Run) -> None:
    rig = await run(
        "export default { async fetch() { return new Response('ok') },"
        " async scheduled() { throw new RangeError('cron broke') } }"
    )
    version = rig.supervisor.version
    assert version is not None
    assert version.host is not None
    result = await version.host.scheduled("* * * * *", 1700000000.0)
    assert result.outcome == "exception"
    await rig.hears("scheduled: RangeError: cron broke")
    status, text = await rig.get("/cdn-cgi/handler/scheduled")
    assert status == 500
    assert "RangeError: cron broke" in text
    await until(lambda: len(rig.said("exception")) == 2)
