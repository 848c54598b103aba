// The tone of a review. The same text is not judged twice within a day.

interface Env {
  AI: Ai;
  CACHE: KVNamespace;
}

const MODEL = "@cf/huggingface/distilbert-sst-2-int8";
const LONGEST = 2000;
const DAY = 86_400;

export default {
  async fetch(request, env, ctx): Promise<Response> {
    const text = (await request.text()).trim();
    if (request.method !== "POST" || !text || text.length > LONGEST) {
      const error = `POST a text of 1 to ${LONGEST} characters.`;
      return Response.json({ error }, { status: 400 });
    }
    const key = await keyOf(text);
    const known = await env.CACHE.get(key);
    if (known !== null) {
      return answer(known, "HIT");
    }
    const [first, second] = await env.AI.run(MODEL, { text });
    const best = (first.score ?? 0) > (second.score ?? 0) ? first : second;
    const verdict = JSON.stringify({ tone: best.label?.toLowerCase(), score: best.score });
    // The caller need not wait for this.
    ctx.waitUntil(env.CACHE.put(key, verdict, { expirationTtl: DAY }));
    return answer(verdict, "MISS");
  },
} satisfies ExportedHandler<Env>;

/** Another model would judge otherwise, so it is part of the key. */
async function keyOf(text: string): Promise<string> {
  const bytes = new TextEncoder().encode(`${MODEL}\n${text}`);
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return "tone:" + Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function answer(body: string, cache: "HIT" | "MISS"): Response {
  return new Response(body, {
    headers: { "content-type": "application/json", "x-cache": cache },
  });
}
