"""env.AI and `new Ai(env.AI)` in a real worker, on dummy models and on a real one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from skerry.types import ModelFiles
from skerry.workers import bindings as kinds

from .rig import WorkerRig

Run = Callable[..., Awaitable[WorkerRig]]

SOURCE = r"""
import { Ai } from "@cloudflare/ai";
type Env = Record<string, any>;
const chat = "@skerry/dummy-chat";
const routes: Record<string, (env: Env, request: Request) => Promise<unknown>> = {
  async binding(env) {
    const answer = await env.AI.run(chat, { prompt: "one two" });
    return { response: answer.response, id: env.AI.lastRequestId, usage: answer.usage };
  },
  async package(env) {
    const ai = new Ai(env.AI);
    const answer = await ai.run(chat, { messages: [{ role: "user", content: "hello you" }] });
    return { response: answer.response, id: (ai as any).lastRequestId };
  },
  async gateway(env) {
    return await env.AI.run(chat, { prompt: "via gateway" }, { gateway: { id: "mine" } });
  },
  async stream(env) {
    const stream = await env.AI.run(chat, { prompt: "a b c", stream: true });
    return new Response(stream, { headers: { "content-type": "text/event-stream" } });
  },
  async raw(env) {
    const answer = await env.AI.run(chat, { prompt: "raw" }, { returnRawResponse: true });
    return { kind: answer.headers.get("content-type"), body: await answer.json() };
  },
  async embed(env) {
    const answer = await env.AI.run("@skerry/dummy-embed", { text: ["a", "b"] });
    return { shape: answer.shape, row: answer.data[0].length };
  },
  async unknown(env) {
    try {
      await env.AI.run("@cf/no/such", { prompt: "x" });
    } catch (error) {
      const { name, message } = error as Error;
      return { name, message };
    }
  },
  async invalid(env) {
    try {
      await env.AI.run(chat, { prompt: 1 });
    } catch (error) {
      return { message: (error as Error).message, is: error instanceof Error };
    }
  },
  async none(env) {
    try {
      await env.AI.run(chat, {});
    } catch (error) {
      return (error as Error).message;
    }
  },
  async models(env) {
    const all = await env.AI.models({ search: "dummy" });
    return all.map((each: any) => each.name);
  },
  async slow(env) {
    return (await env.AI.run("@skerry/dummy-slow", { prompt: "x ".repeat(40) })).response.length;
  },
  async sentiment(env) {
    return await env.AI.run("@cf/huggingface/distilbert-sst-2-int8", { text: "A lovely flat." });
  },
};
export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const out = await routes[new URL(request.url).pathname.slice(1)](env, request);
    return out instanceof Response ? out : Response.json(out ?? null);
  },
};
"""

AI = {"bindings": (kinds.AiBinding(name="AI"),)}


async def test_the_binding_answers_as_cloudflare_s_does(run: Run) -> None:
    rig = await run(SOURCE, **AI)

    answer = await rig.json("/binding")
    assert "one two" in answer["response"]
    assert answer["usage"]["completion_tokens"] > 0
    assert len(answer["id"]) == 36
    package = await rig.json("/package")
    assert "hello you" in package["response"]
    assert len(package["id"]) == 36
    assert "via gateway" in (await rig.json("/gateway"))["response"]
    assert (await rig.json("/embed"))["shape"][0] == 2

    raw = await rig.json("/raw")
    assert raw["kind"] == "application/json"
    assert "raw" in raw["body"]["response"]

    async with rig.http.get("/stream") as stream:
        assert stream.content_type == "text/event-stream"
        events = (await stream.text()).strip().split("\n\n")
    assert all(event.startswith("data: ") for event in events)
    assert events[-1] == "data: [DONE]"
    assert len(events) > 3

    unknown = await rig.json("/unknown")
    assert unknown["name"] == "AiError"
    assert unknown["message"].startswith("5007: No such model @cf/no/such")
    assert "Model not found" in unknown["message"]
    invalid = await rig.json("/invalid")
    assert invalid["is"]
    assert invalid["message"].startswith("5006: ")
    assert (await rig.json("/none")).startswith("5006: ")
    assert "@skerry/dummy-chat" in await rig.json("/models")


async def test_a_slow_model_is_not_a_hung_worker(run: Run) -> None:
    rig = await run(SOURCE, worker_timeout=0.1, **AI)
    assert await rig.json("/slow") > 40


async def test_the_npm_package_is_used_where_it_is_installed(run: Run, tmp_path: Path) -> None:
    modules = tmp_path / "w0" / "project" / "node_modules"
    for name, code in {
        "@cloudflare/ai": "import 'base64-js'; import 'mustache';"
        " export class Ai { run() { return { response: 'the package, hello you' } } }",
        "base64-js": "export default 1",
        "mustache": "export default 1",
    }.items():
        folder = modules / name
        folder.mkdir(parents=True)
        (folder / "package.json").write_text('{"type": "module", "main": "index.js"}')
        (folder / "index.js").write_text(code)
    rig = await run(SOURCE, **AI)
    assert (await rig.json("/package"))["response"] == "the package, hello you"


async def test_names_that_nobody_declares_come_from_the_injected_module(
    run: Run, tmp_path: Path
) -> None:
    support = tmp_path / "support.ts"
    support.write_text(
        'export { Ai } from "@cloudflare/ai";\n'
        "export const getProfile = async (id: string) => ({ id, likes: 'gardens' });\n"
    )
    rig = await run(
        "export default { async fetch(request, env) {"
        " const ai = new Ai(env.AI); const profile = await getProfile('u1');"
        " return Response.json(await ai.run('@skerry/dummy-chat', { prompt: profile.likes })); } }",
        inject=[support],
        **AI,
    )
    assert "gardens" in (await rig.json("/"))["response"]


async def test_raw_bytes_and_streams_are_binary_input(run: Run) -> None:
    rig = await run(
        """
        const empty = new Uint8Array(8).buffer;
        const tries: Record<string, (env: any, body: ReadableStream) => Promise<unknown>> = {
          array: (env) => env.AI.run(IMAGE, { image: new Uint8Array([1, 2, 3]) }),
          buffer: (env) => env.AI.run(IMAGE, { image: empty }),
          stream: (env, body) => env.AI.run(IMAGE, { image: { body, contentType: "image/png" } }),
        };
        const IMAGE = "@skerry/efficientnet-lite0";
        export default { async fetch(request: Request, env: any) {
          const name = new URL(request.url).pathname.slice(1);
          try { return Response.json(await tries[name](env, request.body!)); }
          catch (error) { return new Response((error as Error).message, { status: 500 }); }
        } };
        """,
        **AI,
    )
    # Neither is a picture: the message shows that the bytes arrived.
    status, text = await rig.get("/array")
    assert (status, text[:6]) == (500, "5004: ")
    assert "empty" not in text
    status, text = await rig.get("/buffer")
    assert (status, text[:6]) == (500, "5004: ")
    assert "ArrayBuffer" in text
    async with rig.http.post("/stream", data=b"\x89PNG no picture") as answer:
        assert (await answer.text())[:6] == "5004: "


@pytest.mark.models
async def test_a_real_model_answers_for_a_published_name(
    run: Run, pulled: Callable[[str], ModelFiles], store: Any
) -> None:
    pulled("@skerry/minilm-sst2")
    rig = await run(SOURCE, models=store.root, standins=True, **AI)
    positive = {each["label"]: each["score"] for each in await rig.json("/sentiment")}["POSITIVE"]
    assert positive > 0.9
