"""The published anthropic package, unmodified, against a real server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import anthropic
import pytest

from skerry.errors import AiError, InternalError, NoSuchModel, error_table

from .conftest import Rig
from .stub import CHAT, EMBED, errors_of

TOOL: Any = {
    "name": "weather",
    "description": "The weather somewhere.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}
HI: Any = {"role": "user", "content": "one two"}


@pytest.fixture(params=["", "/client/v4/accounts/acc/ai"])
async def client(
    rig: Rig, request: pytest.FixtureRequest
) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(
        base_url=rig.url + request.param, api_key="none", max_retries=0
    ) as made:
        yield made


async def test_a_message(rig: Rig, client: anthropic.AsyncAnthropic) -> None:
    got = await client.messages.create(
        model=CHAT,
        max_tokens=9,
        system=[{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
        messages=[HI],
        stop_sequences=["x"],
        metadata={"user_id": "me"},
        extra_body={"temperature": 0.5, "top_p": 0.9, "top_k": None},
    )
    [block] = got.content
    assert block.type == "text"
    assert block.text == "You said: one two"
    assert (got.role, got.type, got.model, got.stop_reason) == (
        "assistant", "message", CHAT, "end_turn",
    )  # fmt: skip
    assert (got.usage.input_tokens, got.usage.output_tokens) == (2, 4)
    [asked] = rig.ai.asked
    assert asked.account == ("acc" if "acc" in str(client.base_url) else "local")
    assert asked.inputs["messages"] == [{"role": "system", "content": "Be brief."}, HI]
    assert (asked.inputs["max_tokens"], asked.inputs["stop"]) == (9, ["x"])
    assert (asked.inputs["temperature"], asked.inputs["top_p"]) == (0.5, 0.9)
    assert not {"metadata", "top_k"} & asked.inputs.keys()


async def test_a_conversation_with_tools(rig: Rig, client: anthropic.AsyncAnthropic) -> None:
    """A call is answered by a tool_result; the chat behind has it as a message of its own."""
    first = await client.messages.create(
        model=CHAT, max_tokens=9, messages=[HI], tools=[TOOL],
        tool_choice={"type": "tool", "name": "weather", "disable_parallel_tool_use": True},
    )  # fmt: skip
    [call] = first.content
    assert first.stop_reason == "tool_use"
    assert call.type == "tool_use"
    assert (call.name, call.input, call.id.startswith("toolu_")) == (
        "weather", {"city": "Oslo"}, True,
    )  # fmt: skip
    asked = rig.ai.asked[0].inputs
    assert asked["tools"][0]["function"]["parameters"] == TOOL["input_schema"]
    assert asked["tool_choice"] == {"type": "function", "function": {"name": "weather"}}
    result: Any = {
        "role": "user",
        "content": [
            {"type": "text", "text": "Here."},
            {"type": "tool_result", "tool_use_id": call.id, "content": "8 degrees"},
            {
                "type": "tool_result",
                "tool_use_id": "other",
                "content": [{"type": "text", "text": "no such city"}],
                "is_error": True,
            },
        ],
    }
    thought: Any = {
        "role": "assistant",
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": "s"},
            {"type": "text", "text": "I look."},
            call,
        ],
    }
    await client.messages.create(
        model=CHAT, max_tokens=9, messages=[HI, thought, result], tools=[TOOL],
        tool_choice={"type": "any"},
    )  # fmt: skip
    asked = rig.ai.asked[1].inputs
    assert asked["tool_choice"] == "required"
    assert asked["messages"][1:] == [
        {
            "role": "assistant",
            "content": "I look.",
            "tool_calls": [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {"name": "weather", "arguments": '{"city":"Oslo"}'},
                }
            ],
        },
        {"role": "tool", "tool_call_id": call.id, "content": "8 degrees"},
        {"role": "tool", "tool_call_id": "other", "content": "Error: no such city"},
        {"role": "user", "content": "Here."},
    ]


async def test_a_stream(client: anthropic.AsyncAnthropic) -> None:
    kinds, texts = [], []
    async with client.messages.stream(model=CHAT, max_tokens=9, messages=[HI]) as stream:
        async for event in stream:
            kinds.append(event.type)
            if event.type == "text":
                texts.append(event.text)
        message = await stream.get_final_message()
    assert kinds[0] == "message_start"
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert len(texts) > 2
    [block] = message.content
    assert block.type == "text"
    assert block.text == "".join(texts) == "You said: one two"
    assert (message.stop_reason, message.usage.input_tokens) == ("end_turn", 2)
    assert message.usage.output_tokens == 4


async def test_a_stream_of_a_tool_call(client: anthropic.AsyncAnthropic) -> None:
    async with client.messages.stream(
        model=CHAT, max_tokens=9, messages=[HI], tools=[TOOL]
    ) as stream:
        message = await stream.get_final_message()
    [call] = message.content
    assert call.type == "tool_use"
    assert (call.name, call.input, message.stop_reason) == ("weather", {"city": "Oslo"}, "tool_use")


async def test_json_by_schema(rig: Rig, client: anthropic.AsyncAnthropic) -> None:
    schema: Any = {"type": "object", "properties": {"answer": {"type": "string"}}}
    got = await client.messages.create(
        model=CHAT, max_tokens=9, messages=[HI],
        output_config={"format": {"type": "json_schema", "schema": schema}},
    )  # fmt: skip
    [block] = got.content
    assert block.type == "text"
    assert block.text == '{"answer":"one two"}'
    assert rig.ai.asked[0].inputs["response_format"] == {
        "type": "json_schema",
        "json_schema": schema,
    }


@pytest.mark.parametrize("kind", error_table(), ids=lambda kind: kind.__name__)
async def test_every_error(rig: Rig, client: anthropic.AsyncAnthropic, kind: type[AiError]) -> None:
    rig.ai.fail = errors_of(kind)
    with pytest.raises(anthropic.APIStatusError) as caught:
        await client.messages.create(model=CHAT, max_tokens=9, messages=[HI])
    assert caught.value.status_code == kind.status
    body: Any = caught.value.body
    assert body["type"] == "error"
    assert body["error"]["cloudflare_code"] == kind.code
    assert body["error"]["message"] == "what went wrong"
    if kind.status == 429 and kind.retryable:
        assert isinstance(caught.value, anthropic.RateLimitError)
        assert caught.value.response.headers["retry-after"] == "3"


async def test_a_stream_that_fails(rig: Rig, client: anthropic.AsyncAnthropic) -> None:
    rig.ai.fail_after = InternalError("it broke")
    seen = []
    with pytest.raises(anthropic.APIStatusError, match="it broke"):
        async with client.messages.stream(model=CHAT, max_tokens=9, messages=[HI]) as stream:
            async for text in stream.text_stream:
                seen.append(text)
    assert seen == ["You", " said:"]


def _with(**fields: Any) -> Callable[[], dict[str, Any]]:
    return lambda: {"model": CHAT, "max_tokens": 9, "messages": [HI]} | fields


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (_with(model="@no/such"), NoSuchModel.status, "No such model"),
        (_with(model=EMBED), 400, "text-embeddings.*text-generation"),
        (_with(messages=[{"role": "dog", "content": "x"}]), 400, r"messages\[0\].role"),
        (_with(messages=[{"role": "user", "content": 5}]), 400, r"messages\[0\].content"),
        (_with(messages=[{"role": "user"}]), 400, r"messages\[0\].content"),
        (_with(messages=[{"role": "user", "content": [{"type": "image", "source": {}}]}]), 400,
         "takes text only"),
        (_with(messages=[{"role": "user", "content": [{"type": "text"}]}]), 400, "text only"),
        (_with(messages=[HI, {"role": "assistant", "content": "The"}]), 400, "end with a user"),
        (_with(messages=[{"role": "assistant", "content": [{"type": "tool_use"}]}, HI]), 400,
         "tool_use needs"),
        (_with(messages=[]), 400, "at least 1"),
        (_with(messages=[{"role": "user", "content": ["x"]}]), 400, "list of blocks"),
        (_with(tools=[{"type": "web_search_20250305", "name": "web_search"}]), 400, "of your own"),
        (_with(tools=[{"input_schema": {}}]), 400, "Give every tool a name"),
        (_with(tools=[TOOL], tool_choice={"type": "dog"}), 400, "tool_choice.type"),
        (_with(tools=[TOOL], tool_choice={"type": "tool", "name": "no"}), 400, "not among"),
        (_with(output_config={"format": {"type": "text"}}), 400, "json_schema"),
        (_with(output_config={"format": {"type": "json_schema"}}), 400, "as an object"),
        (_with(max_tokens=0), 400, "max_tokens"),
        (_with(temperature="hot"), 400, "temperature"),
    ],
)  # fmt: skip
async def test_bad_input(
    rig: Rig, body: Callable[[], dict[str, Any]], status: int, says: str
) -> None:
    import re

    async with rig.http.post(f"{rig.url}/v1/messages", json=body()) as got:
        answer = await got.json()
    assert got.status == status, answer
    assert answer["type"] == "error"
    assert answer["error"]["type"] == "invalid_request_error"
    assert re.search(says, answer["error"]["message"]), answer


async def test_the_path_s_own_errors(rig: Rig) -> None:
    async with rig.http.get(f"{rig.url}/v1/messages") as got:
        answer = await got.json()
    assert (got.status, answer["type"], "POST" in answer["error"]["message"]) == (
        405, "error", True,
    )  # fmt: skip
    async with rig.http.post(f"{rig.url}/v1/messages", data=b"{") as got:
        answer = await got.json()
    assert (got.status, "JSON" in answer["error"]["message"]) == (400, True)
