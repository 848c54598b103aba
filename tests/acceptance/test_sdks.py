"""The published openai and cloudflare packages, unmodified, on real models."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import cloudflare
import numpy as np
import openai
import pytest
import pytest_asyncio
import skimage

from skerry.settings import Settings

from .bad_inputs import CHAT, EMBED, LABELS, SPEECH, wav
from .conftest import Served, changed, serving

pytestmark = [
    pytest.mark.models,
    pytest.mark.timeout(300),
    pytest.mark.asyncio(loop_scope="module"),
]
CAT = Path(skimage.__file__).parent / "data" / "chelsea.png"
ITALY: Any = [{"role": "user", "content": "Name the capital of Italy."}]
ANSWER: Any = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "large": {"type": "boolean"}},
    "required": ["city", "large"],
    "additionalProperties": False,
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def node(on_models: Settings) -> AsyncIterator[Served]:
    async with serving(changed(on_models, preload=[CHAT, EMBED])) as served:
        yield served


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(node: Served) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{node.url}/v1", api_key="none") as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def flare(node: Served) -> AsyncIterator[cloudflare.AsyncCloudflare]:
    async with cloudflare.AsyncCloudflare(
        base_url=f"{node.url}/client/v4", api_token="none"
    ) as made:
        yield made


async def test_chat(client: openai.AsyncOpenAI) -> None:
    got = await client.chat.completions.create(
        model=CHAT, messages=ITALY, temperature=0, max_tokens=24
    )
    assert "Rome" in (got.choices[0].message.content or "")
    assert got.usage is not None
    assert got.usage.prompt_tokens > 10


async def test_chat_stream(client: openai.AsyncOpenAI) -> None:
    text, chunks, usage = "", 0, None
    async for chunk in await client.chat.completions.create(
        model=CHAT, messages=ITALY, temperature=0, max_tokens=24, stream=True,
        stream_options={"include_usage": True},
    ):  # fmt: skip
        usage = chunk.usage or usage
        for choice in chunk.choices:
            chunks += 1
            text += choice.delta.content or ""
    assert "Rome" in text
    assert chunks > 4
    assert usage is not None
    assert usage.completion_tokens > 3


async def test_json_schema(client: openai.AsyncOpenAI) -> None:
    got = await client.chat.completions.create(
        model=CHAT,
        messages=ITALY,
        max_tokens=60,
        temperature=0,
        response_format={"type": "json_schema", "json_schema": {"name": "a", "schema": ANSWER}},
    )
    value = json.loads(got.choices[0].message.content or "")
    assert (type(value["city"]), type(value["large"]), len(value)) == (str, bool, 2)


async def test_a_tool_that_must_be_called(client: openai.AsyncOpenAI) -> None:
    tool: Any = {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "The weather in a city.",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
            },
        },
    }
    got = await client.chat.completions.create(
        model=CHAT,
        messages=[{"role": "user", "content": "What is the weather in Paris?"}],
        tools=[tool],
        tool_choice="required",
        max_tokens=80,
        temperature=0,
    )
    choice = got.choices[0]
    assert choice.finish_reason == "tool_calls"
    call: Any = (choice.message.tool_calls or [])[0]
    assert call.function.name == "get_weather"
    assert isinstance(json.loads(call.function.arguments)["city"], str)


async def test_responses(client: openai.AsyncOpenAI) -> None:
    got = await client.responses.create(
        model=CHAT, input="Name the capital of Italy.", temperature=0, max_output_tokens=24
    )
    assert "Rome" in got.output_text


async def test_embeddings_as_base64_and_as_floats(client: openai.AsyncOpenAI) -> None:
    """The package asks for base64 by itself."""
    coded = await client.embeddings.create(model=EMBED, input=["a cat", "a dog"])
    plain = await client.embeddings.create(
        model=EMBED, input=["a cat", "a dog"], encoding_format="float"
    )
    for one, other in zip(coded.data, plain.data, strict=True):
        assert len(one.embedding) == 384
        assert one.embedding == pytest.approx(other.embedding, abs=0.02)


async def test_errors_are_the_packages_own(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="No such model") as caught:
        await client.chat.completions.create(model="@cf/no/such", messages=ITALY)
    assert caught.value.code == "model_not_found"


async def test_cloudflare_text(flare: cloudflare.AsyncCloudflare) -> None:
    got: Any = await flare.ai.run(
        CHAT, account_id="local", messages=ITALY, temperature=0, max_tokens=24
    )
    assert "Rome" in got["response"]


async def test_cloudflare_embeddings(flare: cloudflare.AsyncCloudflare) -> None:
    got: Any = await flare.ai.run(EMBED, account_id="local", text=["a cat", "a dog"])
    assert got["shape"] == [2, 384]
    assert np.linalg.norm(got["data"][0]) == pytest.approx(1, abs=0.01)


async def test_cloudflare_image(flare: cloudflare.AsyncCloudflare) -> None:
    got: Any = await flare.ai.run(LABELS, account_id="local", image=list(CAT.read_bytes()))
    assert "cat" in str(got[0])  # of the package's own type for another task


async def test_cloudflare_audio(flare: cloudflare.AsyncCloudflare, node: Served) -> None:
    """A tone, which is no speech: what comes back is a transcript all the same."""
    tone = wav((np.sin(np.arange(16_000) / 20) * 9000).astype("<i2").tobytes())
    got: Any = await flare.ai.run(SPEECH, account_id="local", audio=list(tone))
    assert isinstance(got["text"], str)
    again = await node.run(SPEECH, audio=base64.b64encode(tone).decode())
    assert again["transcription_info"]["duration"] == pytest.approx(1.0)


async def test_cloudflare_errors(flare: cloudflare.AsyncCloudflare) -> None:
    with pytest.raises(cloudflare.BadRequestError, match="Model not found") as caught:
        await flare.ai.run("@cf/no/such", account_id="local", prompt="x")
    assert [error.code for error in caught.value.errors] == [5007]
