// A listing and its photos in, what three models see in it out. All models work at the same time.

interface Env {
  AI: Ai;
}

const SENTIMENT = "@cf/huggingface/distilbert-sst-2-int8";
const CHAT = "@cf/meta/llama-3.1-8b-instruct";
const VISION = "@cf/microsoft/resnet-50";

const MOST_PHOTOS = 8;

/** The chat model may answer with nothing but this. */
const FEATURES = {
  type: "object",
  properties: {
    bedrooms: { type: "integer", minimum: 0, maximum: 20 },
    amenities: { type: "array", items: { type: "string", maxLength: 40 }, maxItems: 6 },
  },
  required: ["bedrooms", "amenities"],
} as const;

interface Features {
  bedrooms: number;
  amenities: string[];
}

export default {
  async fetch(request, env): Promise<Response> {
    if (request.method !== "POST") {
      return problem(405, "POST a form with the field `description` and any number of `photo`s.");
    }
    const form = await request.formData().catch(() => null);
    const description = form?.get("description");
    if (!form || typeof description !== "string" || !description.trim()) {
      return problem(400, "The form needs a field `description`.");
    }
    const given: unknown[] = form.getAll("photo");
    const photos = given.filter((each): each is File => each instanceof File);
    if (photos.length > MOST_PHOTOS) {
      return problem(413, `At most ${MOST_PHOTOS} photos.`);
    }

    try {
      const [tone, features, pictures] = await Promise.all([
        toneOf(env.AI, description),
        featuresOf(env.AI, description),
        Promise.all(photos.map((photo) => pictureOf(env.AI, photo))),
      ]);
      return Response.json({ tone, features, pictures });
    } catch (error) {
      console.error("analysis failed", (error as Error).message);
      return problem(502, (error as Error).message);
    }
  },
} satisfies ExportedHandler<Env>;

/** How much a reader will like the text: 0 to 1. */
async function toneOf(ai: Ai, text: string): Promise<number> {
  const labels = await ai.run(SENTIMENT, { text });
  const positive = labels.find((each) => each.label === "POSITIVE");
  return round(positive?.score ?? 0);
}

async function featuresOf(ai: Ai, text: string): Promise<Features> {
  const answer = (await ai.run(CHAT, {
    messages: [
      { role: "system", content: "You read listings of holiday homes. Answer in JSON." },
      { role: "user", content: `How many bedrooms, and which amenities?\n\n${text}` },
    ],
    response_format: { type: "json_schema", json_schema: FEATURES },
    max_tokens: 200,
    temperature: 0,
  })) as { response: Features | string };
  return typeof answer.response === "string" ? JSON.parse(answer.response) : answer.response;
}

async function pictureOf(ai: Ai, photo: File): Promise<{ name: string; shows: string[] }> {
  const image = [...new Uint8Array(await photo.arrayBuffer())];
  const labels = await ai.run(VISION, { image });
  const shows = labels.filter((each) => (each.score ?? 0) > 0.05).map((each) => each.label ?? "");
  return { name: photo.name, shows };
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}

function problem(status: number, message: string): Response {
  return Response.json({ error: message }, { status });
}
