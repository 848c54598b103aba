// Properties that fit a person: what they wish for, moved by what they did. An interaction is part
// of the very next answer.

import { cosine, moved, type Vector } from "./vectors";

interface Env {
  AI: Ai;
  DB: D1Database;
  WISHES: KVNamespace;
}

interface Property {
  id: string;
  description: string;
}

const EMBEDDINGS = "@cf/baai/bge-base-en-v1.5";
const CHAT = "@cf/meta/llama-3.1-8b-instruct";

const ALIKE = 0.7;
const MOST = 3;
/** How far each kind of interaction moves a person's vector towards the property's. */
const WEIGHTS: Record<string, number> = { viewed: 0.2, saved: 1, dismissed: -0.5 };

export default {
  async fetch(request, env): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    const [, root, user, leaf] = pathname.split("/");
    if (root !== "users" || !user) {
      return problem(404, "Try /users/NAME/wishes, …/interactions or …/recommendations.");
    }
    switch (`${request.method} ${leaf}`) {
      case "PUT wishes":
        return putWishes(env, user, (await request.text()).trim());
      case "POST interactions":
        return addInteraction(env, user, await request.json().catch(() => null));
      case "GET recommendations":
        return recommend(env, user, searchParams.get("city") ?? "Aarhus");
      default:
        return problem(405, `${request.method} is not known for ${pathname}.`);
    }
  },
} satisfies ExportedHandler<Env>;

async function putWishes(env: Env, user: string, wishes: string): Promise<Response> {
  if (!wishes || wishes.length > 500) {
    return problem(400, "Say in 1 to 500 characters what you wish for.");
  }
  await env.WISHES.put(user, wishes);
  return new Response(null, { status: 204 });
}

async function addInteraction(env: Env, user: string, body: unknown): Promise<Response> {
  const { property, kind } = (body ?? {}) as { property?: unknown; kind?: unknown };
  if (typeof property !== "string" || typeof kind !== "string" || !(kind in WEIGHTS)) {
    return problem(400, `Send {"property": …, "kind": "${Object.keys(WEIGHTS).join('" or "')}"}.`);
  }
  const known = await env.DB.prepare("SELECT id FROM properties WHERE id = ?")
    .bind(property)
    .first();
  if (known === null) {
    return problem(404, `There is no property ${property}.`);
  }
  await env.DB.prepare("INSERT OR REPLACE INTO interactions VALUES (?, ?, ?, ?)")
    .bind(user, property, kind, Date.now())
    .run();
  return new Response(null, { status: 204 });
}

async function recommend(env: Env, user: string, city: string): Promise<Response> {
  const [wishes, [nearby, done]] = await Promise.all([
    env.WISHES.get(user),
    env.DB.batch<Record<string, string>>([
      env.DB.prepare("SELECT id, description FROM properties WHERE city = ?").bind(city),
      env.DB.prepare(
        "SELECT id, description, kind FROM interactions JOIN properties ON id = property WHERE user = ?",
      ).bind(user),
    ]),
  ]);
  if (wishes === null) {
    return problem(404, `${user} has not said what they wish for: PUT /users/${user}/wishes`);
  }
  const properties = nearby.results as unknown as Property[];
  const known = done.results as unknown as (Property & { kind: string })[];

  // One call embeds everything.
  const vectors = await embed(env.AI, [
    wishes,
    ...known.map((each) => each.description),
    ...properties.map((each) => each.description),
  ]);
  const person = known.reduce(
    (vector, each, at) => moved(vector, vectors[1 + at], WEIGHTS[each.kind]),
    vectors[0],
  );
  const dismissed = new Set(known.filter((each) => each.kind === "dismissed").map(({ id }) => id));
  const fitting = properties
    .map((property, at) => ({ property, score: cosine(person, vectors[1 + known.length + at]) }))
    .filter(({ property, score }) => score > ALIKE && !dismissed.has(property.id))
    .sort((a, b) => b.score - a.score)
    .slice(0, MOST);

  return Response.json({
    recommendations: await Promise.all(
      fitting.map(async ({ property, score }) => ({
        id: property.id,
        score: Math.round(score * 1000) / 1000,
        reason: await reason(env.AI, wishes, property),
      })),
    ),
  });
}

async function embed(ai: Ai, text: string[]): Promise<Vector[]> {
  const answer = (await ai.run(EMBEDDINGS, { text })) as { data: Vector[] };
  return answer.data;
}

async function reason(ai: Ai, wishes: string, property: Property): Promise<string> {
  const answer = (await ai.run(CHAT, {
    messages: [
      { role: "system", content: "You say in one short sentence why a home fits a person." },
      { role: "user", content: `They wish for: ${wishes}\nThe home: ${property.description}` },
    ],
    max_tokens: 40,
    temperature: 0,
  })) as { response: string };
  return answer.response.trim();
}

function problem(status: number, message: string): Response {
  return Response.json({ error: message }, { status });
}
