// One route for each binding that is measured, and one without any.
interface Env {
  AI: Ai;
  KV: KVNamespace;
  DB: D1Database;
}

const ROWS = 1000;

export default {
  async fetch(request, env): Promise<Response> {
    const { pathname } = new URL(request.url);
    switch (pathname) {
      case "/setup": {
        await env.KV.put("key", "value ".repeat(20));
        await env.DB.prepare("CREATE TABLE rows (id INTEGER PRIMARY KEY, body TEXT)").run();
        const insert = env.DB.prepare("INSERT INTO rows VALUES (?, ?)");
        await env.DB.batch(Array.from({ length: ROWS }, (_, id) => insert.bind(id, `row ${id}`)));
        break;
      }
      case "/kv":
        return new Response(await env.KV.get("key"));
      case "/put":
        await env.KV.put(crypto.randomUUID(), "value ".repeat(20));
        break;
      case "/d1": {
        const select = env.DB.prepare("SELECT body FROM rows WHERE id = ?");
        return new Response(await select.bind(Math.floor(Math.random() * ROWS)).first("body"));
      }
      case "/ai":
        return Response.json(await env.AI.run("@skerry/bench-dummy" as never, { prompt: "hello" }));
      case "/sentiment":
        return Response.json(await env.AI.run("@skerry/minilm-sst2" as never, { text: "good" }));
    }
    return new Response("Hello");
  },
} satisfies ExportedHandler<Env>;
