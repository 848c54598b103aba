// The node's way into a worker's process: is it alive, here is a cron event, here is a batch.
const reply = (outcome) => Response.json(outcome);

export default {
  async fetch(request, env) {
    const { pathname } = new URL(request.url);
    if (pathname === "/ping") return new Response("pong");
    const body = await request.json();
    if (pathname === "/hold") {
      await env.HOLD.fetch(`http://user/?ms=${body.ms}`);
      return reply(null);
    }
    if (pathname === "/scheduled") {
      return reply(
        await env.USER.scheduled({ scheduledTime: new Date(body.time), cron: body.cron }),
      );
    }
    if (pathname === "/queue") {
      const messages = body.messages.map((each) => ({
        id: each.id,
        timestamp: new Date(each.timestamp),
        attempts: each.attempts,
        ...content(each),
      }));
      return reply(await env.USER.queue(body.queue, messages));
    }
    return new Response("no such control", { status: 404 });
  },
};

function content({ body, format }) {
  const bytes = Uint8Array.from(atob(body), (char) => char.charCodeAt(0));
  if (format === "v8") return { serializedBody: bytes };
  if (format === "bytes") return { body: bytes };
  const text = new TextDecoder().decode(bytes);
  return { body: format === "json" ? JSON.parse(text) : text };
}
