// A conversation, answered word by word. The page itself is served from public/.

interface Env {
  AI: Ai;
}

type Message = { role: "user" | "assistant"; content: string };

const MODEL = "@cf/meta/llama-3.1-8b-instruct";
const GREETING = "You are a friendly estate agent. Answer in two or three sentences.";
/** Older messages are forgotten, so that a long conversation still fits the model. */
const REMEMBERED = 12;
const LONGEST = 2000;

export default {
  async fetch(request, env): Promise<Response> {
    if (new URL(request.url).pathname !== "/api/chat") {
      return new Response("Not found", { status: 404 });
    }
    if (request.method !== "POST") {
      return new Response("POST a conversation", { status: 405, headers: { allow: "POST" } });
    }
    const messages = conversation(await request.json().catch(() => null));
    if (messages === null) {
      return new Response(`Send {"messages": [{"role": "user", "content": "…"}, …]}`, {
        status: 400,
      });
    }
    const stream = (await env.AI.run(MODEL, {
      messages: [{ role: "system", content: GREETING }, ...messages.slice(-REMEMBERED)],
      stream: true,
      max_tokens: 200,
    })) as unknown as ReadableStream;
    return new Response(stream, {
      headers: { "content-type": "text/event-stream", "cache-control": "no-store" },
    });
  },
} satisfies ExportedHandler<Env>;

/** The messages of a body that ends with one of the user's; null for any other. */
function conversation(body: unknown): Message[] | null {
  const messages = (body as { messages?: unknown } | null)?.messages;
  if (!Array.isArray(messages) || messages.at(-1)?.role !== "user") {
    return null;
  }
  const fine = messages.every(
    (each) =>
      (each?.role === "user" || each?.role === "assistant") &&
      typeof each.content === "string" &&
      each.content.length > 0 &&
      each.content.length <= LONGEST,
  );
  return fine ? messages.map(({ role, content }) => ({ role, content })) : null;
}
