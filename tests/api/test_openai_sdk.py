"""The published openai package, unmodified, against a real server."""

from __future__ import annotations

import asyncio
import base64
import struct
from collections.abc import AsyncIterator, Callable
from typing import Any

import openai
import pytest

from skerry.errors import AiError, InternalError, NoSuchModel, OutOfCapacity, error_table

from .conftest import Rig
from .stub import CHAT, EMBED, errors_of

TOOL: Any = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}},
}


@pytest.fixture(params=["/v1", "/client/v4/accounts/acc/ai/v1"])
async def client(rig: Rig, request: pytest.FixtureRequest) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(
        base_url=rig.url + request.param, api_key="none", max_retries=0
    ) as made:
        yield made


async def test_chat(rig: Rig, client: openai.AsyncOpenAI) -> None:
    got = await client.chat.completions.create(
        model=CHAT,
        messages=[{"role": "user", "content": [{"type": "text", "text": "one two"}]}],
        max_completion_tokens=9,
        temperature=0.5,
        stop="x",
        seed=7,
        user="me",
        metadata={"a": "b"},
        store=False,
        parallel_tool_calls=False,
        logprobs=False,
        response_format={"type": "text"},
        n=2,
    )
    assert [choice.message.content for choice in got.choices] == ["You said: one two"] * 2
    assert [choice.index for choice in got.choices] == [0, 1]
    assert got.choices[0].finish_reason == "stop"
    assert got.usage is not None
    assert (got.usage.prompt_tokens, got.usage.completion_tokens) == (2, 8)
    asked = [each.inputs for each in rig.ai.asked]
    assert [each["seed"] for each in asked] == [7, 8]
    assert asked[0]["max_tokens"] == 9
    assert asked[0]["stop"] == ["x"]
    assert "user" not in asked[0]


async def test_model_without_its_at(client: openai.AsyncOpenAI) -> None:
    got = await client.embeddings.create(model=EMBED[1:], input="hi")
    assert got.model == EMBED


async def test_chat_json(rig: Rig, client: openai.AsyncOpenAI) -> None:
    got = await client.chat.completions.create(
        model=CHAT,
        messages=[{"role": "user", "content": "hi"}],
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "it", "schema": {"type": "object"}, "strict": True},
        },
    )
    assert got.choices[0].message.content == '{"answer":"hi"}'
    assert rig.ai.asked[0].inputs["response_format"]["json_schema"] == {"type": "object"}


async def test_chat_tools_and_their_answer(rig: Rig, client: openai.AsyncOpenAI) -> None:
    got = await client.chat.completions.create(
        model=CHAT, messages=[{"role": "user", "content": "hi"}], tools=[TOOL], tool_choice="auto"
    )
    choice = got.choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    call: Any = (choice.message.tool_calls or [])[0]
    assert (call.function.name, call.function.arguments) == ("weather", '{"city":"Oslo"}')
    again = await client.chat.completions.create(
        model=CHAT,
        messages=[
            {"role": "user", "content": "hi"},
            choice.message.to_dict(),  # type: ignore[list-item]
            {"role": "tool", "tool_call_id": call.id, "content": "sunny"},
        ],
    )
    assert again.choices[0].message.content == "You said: sunny"


async def test_chat_stream(client: openai.AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(
        model=CHAT,
        messages=[{"role": "user", "content": "one two"}],
        stream=True,
        stream_options={"include_usage": True},
        n=2,
    )
    texts, reasons, usage, roles = {0: "", 1: ""}, {}, None, []
    async for chunk in stream:
        for choice in chunk.choices:
            roles += [choice.delta.role] if choice.delta.role else []
            texts[choice.index] += choice.delta.content or ""
            if choice.finish_reason:
                reasons[choice.index] = choice.finish_reason
        usage = chunk.usage or usage
    assert roles == ["assistant", "assistant"]
    assert texts == {0: "You said: one two", 1: "You said: one two"}
    assert reasons == {0: "stop", 1: "stop"}
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens) == (2, 8)


async def test_chat_stream_of_tool_calls(client: openai.AsyncOpenAI) -> None:
    async with client.chat.completions.stream(
        model=CHAT, messages=[{"role": "user", "content": "hi"}], tools=[TOOL]
    ) as stream:
        final = await stream.get_final_completion()
    calls = final.choices[0].message.tool_calls or []
    assert [call.function.arguments for call in calls] == ['{"city":"Oslo"}']
    assert final.choices[0].finish_reason == "tool_calls"


async def test_completions(rig: Rig, client: openai.AsyncOpenAI) -> None:
    got = await client.completions.create(model=CHAT, prompt=["one", "two three"], n=2)
    assert [choice.text for choice in got.choices] == [
        "You said: one",
        "You said: one",
        "You said: two three",
        "You said: two three",
    ]
    assert got.usage is not None
    assert (got.usage.prompt_tokens, got.usage.completion_tokens) == (3, 16)
    assert all(each.inputs["raw"] for each in rig.ai.asked)
    stream = await client.completions.create(model=CHAT, prompt="one", stream=True)
    assert "".join([c.choices[0].text async for c in stream if c.choices]) == "You said: one"


async def test_embeddings(client: openai.AsyncOpenAI) -> None:
    for form in ("float", "base64", None):
        kwargs: Any = {} if form is None else {"encoding_format": form}
        got = await client.embeddings.create(model=EMBED, input=["a b", "c"], **kwargs)
        assert [each.index for each in got.data] == [0, 1]
        assert got.usage.prompt_tokens == 3
        vector: Any = got.data[0].embedding
        if form == "base64":
            vector = list(struct.unpack("<4f", base64.b64decode(vector)))
        assert vector == pytest.approx([3.0, 0.1, -2.5, 1e-7])
    same = await client.embeddings.create(model=EMBED, input="a", dimensions=4)
    assert len(same.data[0].embedding) == 4


async def test_responses(rig: Rig, client: openai.AsyncOpenAI) -> None:
    got = await client.responses.create(
        model=CHAT,
        instructions="be brief",
        input=[{"role": "user", "content": [{"type": "input_text", "text": "one two"}]}],
        max_output_tokens=5,
    )
    assert got.output_text == "You said: one two"
    assert got.status == "completed"
    assert got.usage is not None
    assert got.usage.total_tokens == 6
    assert rig.ai.asked[0].inputs["messages"] == [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "one two"},
    ]
    assert rig.ai.asked[0].inputs["max_tokens"] == 5


async def test_responses_stream(client: openai.AsyncOpenAI) -> None:
    stream = await client.responses.create(model=CHAT, input="hi", stream=True)
    events = [event async for event in stream]
    kinds = [event.type for event in events]
    assert list(dict.fromkeys(kinds)) == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    last = events[-1]
    assert last.type == "response.completed"
    assert last.response.output_text == "You said: hi"


async def test_responses_stream_of_tool_calls(client: openai.AsyncOpenAI) -> None:
    tool: Any = TOOL["function"] | {"type": "function"}
    async with client.responses.stream(model=CHAT, input="hi", tools=[tool]) as stream:
        final = await stream.get_final_response()
    assert [item.type for item in final.output] == ["function_call"]
    call: Any = final.output[0]
    assert call.arguments == '{"city":"Oslo"}'
    back: Any = [call.to_dict(), {"type": "function_call_output", "call_id": "1", "output": "sun"}]
    again = await client.responses.create(model=CHAT, input=back)
    assert again.output_text == "You said: sun"


async def test_responses_stream_that_fails(rig: Rig, client: openai.AsyncOpenAI) -> None:
    rig.ai.fail_after = InternalError("broken")
    stream = await client.responses.create(model=CHAT, input="hi there", stream=True)
    last = [event async for event in stream][-1]
    assert last.type == "response.failed"
    assert last.response.error is not None
    assert last.response.error.message == "broken"


async def test_models(client: openai.AsyncOpenAI) -> None:
    names = [model.id async for model in client.models.list()]
    assert CHAT in names
    assert (await client.models.retrieve(EMBED)).id == EMBED
    with pytest.raises(openai.NotFoundError):
        await client.models.retrieve("@cf/nobody/nothing")


async def test_stream_that_fails_raises(rig: Rig, client: openai.AsyncOpenAI) -> None:
    rig.ai.fail_after = OutOfCapacity("broken", retry_after=3)
    for number in (1, 3):
        stream = await client.chat.completions.create(
            model=CHAT, messages=[{"role": "user", "content": "hi a"}], stream=True, n=number
        )
        with pytest.raises(openai.APIError, match="broken"):
            async for _ in stream:
                pass


def _chat(**extra: Any) -> Callable[[openai.AsyncOpenAI], Any]:
    body = {"model": CHAT, "messages": [{"role": "user", "content": "hi"}]} | extra
    return lambda client: client.chat.completions.create(**body)


def _embed(**extra: Any) -> Callable[[openai.AsyncOpenAI], Any]:
    body = {"model": EMBED, "input": "hi"} | extra
    return lambda client: client.embeddings.create(**body)


def _complete(**extra: Any) -> Callable[[openai.AsyncOpenAI], Any]:
    body = {"model": CHAT, "prompt": "hi"} | extra
    return lambda client: client.completions.create(**body)


def _respond(**extra: Any) -> Callable[[openai.AsyncOpenAI], Any]:
    body = {"model": CHAT, "input": "hi"} | extra
    return lambda client: client.responses.create(**body)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (_chat(logprobs=True), "logprobs"),
        (_chat(n=17), "n: 17"),
        (_chat(n=0), "n: 0"),
        (_chat(model=EMBED), "is for text-embeddings"),
        (_chat(messages="hi"), "messages"),
        (_chat(messages=[]), "messages"),
        (_chat(max_tokens="many"), "max_tokens"),
        (_chat(temperature=99), "temperature"),
        (_chat(response_format={"type": "xml"}), "response_format.type"),
        (_chat(modalities=["audio"]), "modalities"),
        (_embed(input=[1, 2]), "arrays of tokens"),
        (_embed(input=[[1, 2]]), "arrays of tokens"),
        (_embed(input=[]), "text"),
        (_embed(input=["a"] * 101), "text"),
        (_embed(dimensions=3), "dimensions"),
        (_embed(model=CHAT), "is for text-generation"),
        (_complete(echo=True), "echo"),
        (_complete(suffix="x"), "suffix"),
        (_complete(logprobs=0), "logprobs"),
        (_complete(prompt=[1, 2]), "arrays of tokens"),
        (_complete(prompt=[]), "prompt"),
        (_respond(previous_response_id="resp_1"), "previous_response_id"),
        (_respond(tools=[{"type": "web_search"}]), "web_search"),
        (_respond(input=[{"type": "item_reference", "id": "1"}]), "item_reference"),
        (_respond(background=True), "background"),
    ],
)
async def test_refused_clearly(
    client: openai.AsyncOpenAI, call: Callable[[openai.AsyncOpenAI], Any], says: str
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await call(client)
    assert says in caught.value.message
    assert caught.value.code == "invalid_input"
    assert caught.value.type == "invalid_request_error"


@pytest.mark.parametrize("kind", error_table(), ids=lambda kind: kind.__name__)
async def test_every_error(rig: Rig, client: openai.AsyncOpenAI, kind: type[AiError]) -> None:
    rig.ai.fail = errors_of(kind)
    with pytest.raises(openai.APIStatusError) as caught:
        await _chat()(client)
    error: Any = caught.value
    assert error.status_code == kind.status
    assert error.body["cloudflare_code"] == kind.code
    assert "what went wrong" in error.message
    assert error.response.headers.get("retry-after") == ("3" if kind.retryable else None)
    assert error.response.headers["cf-ai-req-id"]
    if kind.status == 429:
        assert isinstance(error, openai.RateLimitError)
    if kind is NoSuchModel:
        assert error.code == "model_not_found"


async def test_sync_client(rig: Rig) -> None:
    def use() -> str:
        with openai.OpenAI(base_url=f"{rig.url}/v1", api_key="x", max_retries=0) as client:
            stream = client.chat.completions.create(
                model=CHAT, messages=[{"role": "user", "content": "hi"}], stream=True
            )
            return "".join(c.choices[0].delta.content or "" for c in stream if c.choices)

    assert await asyncio.to_thread(use) == "You said: hi"
