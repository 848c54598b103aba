// Questions about properties: the facts come from D1, the words from a model, and what was asked
// before from KV.

interface Env {
  AI: Ai;
  DB: D1Database;
  ANSWERS: KVNamespace;
}

interface Property {
  id: string;
  title: string;
  city: string;
  bedrooms: number;
  rent: number;
  description: string;
}

interface Asked {
  question: string;
  answer: string;
}

const MODEL = "@cf/meta/llama-3.1-8b-instruct";
const LONGEST = 300;
const DAY = 86_400;

export default {
  async fetch(request, env): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    const [, root, id, leaf] = pathname.split("/");
    if (root !== "properties") {
      return problem(404, "Try /properties, or /properties/ID/questions.");
    }
    if (!id) {
      return list(env, searchParams.get("city"));
    }
    const property = await env.DB.prepare("SELECT * FROM properties WHERE id = ?")
      .bind(id)
      .first<Property>();
    if (property === null) {
      return problem(404, `There is no property ${id}.`);
    }
    if (leaf !== "questions") {
      return Response.json(property);
    }
    if (request.method !== "POST") {
      return Response.json(await questions(env, id));
    }
    const body = await request.json<{ question?: unknown }>().catch(() => null);
    const question = body?.question;
    if (typeof question !== "string" || !question.trim() || question.length > LONGEST) {
      return problem(400, `Send {"question": "…"} of 1 to ${LONGEST} characters.`);
    }
    return ask(env, property, question.trim());
  },
} satisfies ExportedHandler<Env>;

async function list(env: Env, city: string | null): Promise<Response> {
  const { results } = await env.DB.prepare(
    "SELECT id, title, city, rent FROM properties WHERE ?1 IS NULL OR city = ?1 ORDER BY rent",
  )
    .bind(city)
    .all();
  return Response.json(results);
}

async function ask(env: Env, property: Property, question: string): Promise<Response> {
  const key = `${property.id}:${question.toLowerCase()}`;
  const known = await env.ANSWERS.get<Asked>(key, "json");
  if (known !== null) {
    return Response.json({ ...known, from: "memory" });
  }
  const { response } = (await env.AI.run(MODEL, {
    messages: [
      {
        role: "system",
        content: "Answer in one sentence, and only from the facts of the property.",
      },
      { role: "user", content: `Property: ${JSON.stringify(property)}\n\n${question}` },
    ],
    max_tokens: 80,
    temperature: 0,
  })) as { response: string };
  const asked: Asked = { question, answer: response.trim() };
  await env.ANSWERS.put(key, JSON.stringify(asked), {
    expirationTtl: DAY,
    metadata: { question },
  });
  return Response.json({ ...asked, from: "model" });
}

/** What was asked about a property within the last day. */
async function questions(env: Env, id: string): Promise<string[]> {
  const { keys } = await env.ANSWERS.list<{ question: string }>({ prefix: `${id}:` });
  return keys.map((key) => key.metadata?.question ?? key.name);
}

function problem(status: number, message: string): Response {
  return Response.json({ error: message }, { status });
}
