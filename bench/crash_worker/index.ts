// Every store of a worker as HTTP routes. An answer of 200 means that the write is acknowledged.
interface Env {
  KV: KVNamespace;
  DB: D1Database;
  BUCKET: R2Bucket;
  QUEUE: Queue<string>;
}

const TABLES = [
  "CREATE TABLE IF NOT EXISTS single (id TEXT PRIMARY KEY, body TEXT NOT NULL)",
  "CREATE TABLE IF NOT EXISTS orders (id TEXT PRIMARY KEY, count INTEGER NOT NULL)",
  "CREATE TABLE IF NOT EXISTS lines (id TEXT NOT NULL, line INTEGER NOT NULL, PRIMARY KEY (id, line))",
  "CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, n INTEGER NOT NULL)",
  "CREATE TABLE IF NOT EXISTS deliveries (body TEXT PRIMARY KEY, n INTEGER NOT NULL)",
];

async function answer(request: Request, env: Env): Promise<unknown> {
  const { pathname } = new URL(request.url);
  const [, store, name] = pathname.split("/");
  switch (store) {
    case "setup":
      await env.DB.batch(TABLES.map((sql) => env.DB.prepare(sql)));
      return null;
    case "kv":
      if (request.method === "DELETE") await env.KV.delete(name);
      else await env.KV.put(name, await request.text());
      return null;
    case "single": {
      const insert = env.DB.prepare("INSERT INTO single VALUES (?, ?)");
      await insert.bind(name, await request.text()).run();
      return null;
    }
    case "batch": {
      const count = Number(await request.text());
      const line = env.DB.prepare("INSERT INTO lines VALUES (?, ?)");
      await env.DB.batch([
        env.DB.prepare("INSERT INTO orders VALUES (?, ?)").bind(name, count),
        ...Array.from({ length: count }, (_, at) => line.bind(name, at)),
      ]);
      return null;
    }
    case "count": {
      const add = "INSERT INTO counters VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET n = n + 1";
      await env.DB.prepare(add).bind(name).run();
      return null;
    }
    case "r2":
      if (request.method === "DELETE") await env.BUCKET.delete(name);
      else await env.BUCKET.put(name, request.body);
      return null;
    case "send":
      await env.QUEUE.send(name, { contentType: "text" });
      return null;
    case "read": {
      const asked = await request.json<{ kv?: string[]; sql?: string; of?: string[] }>();
      if (asked.kv) return Object.fromEntries(await env.KV.get(asked.kv));
      const { results } = await env.DB.prepare(asked.sql!).bind(JSON.stringify(asked.of)).run();
      return results;
    }
  }
  throw new Error(`no such route: ${pathname}`);
}

export default {
  async fetch(request, env): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (request.method === "GET" && pathname.startsWith("/r2/")) {
      const found = await env.BUCKET.get(pathname.slice(4));
      return found ? new Response(found.body) : new Response(null, { status: 404 });
    }
    if (pathname === "/ready") {
      // A process that outlives its node by a moment is not ready.
      await env.KV.get("ready");
      return new Response("ready");
    }
    return Response.json(await answer(request, env));
  },

  // Delivered is what stands here before the message is acknowledged.
  async queue(batch, env): Promise<void> {
    const add = "INSERT INTO deliveries VALUES (?, 1) ON CONFLICT (body) DO UPDATE SET n = n + 1";
    const insert = env.DB.prepare(add);
    await env.DB.batch(batch.messages.map(({ body }) => insert.bind(body)));
  },
} satisfies ExportedHandler<Env, string>;
