"""JSON that cannot be met, from a real node on dummy models, in each dialect."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from skerry.node import Node
from tests.dummies import settings

MODEL = "@skerry/dummy-chat"
UNIQUE = {"type": "array", "items": {"type": "integer"}, "minItems": 2, "uniqueItems": True}
"""The dummy's example of it is [0, 0]."""
LONG = {"type": "object", "properties": {"a": {"const": "b c d e"}}, "required": ["a"]}
RUN = "/client/v4/accounts/local/ai/run/" + MODEL
CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"


@pytest.fixture
async def base(tmp_path: Path) -> AsyncIterator[str]:
    async with Node(settings(tmp_path)) as node:
        yield await node.serve()


def body(path: str, schema: dict[str, Any], tokens: int, *, stream: bool = False) -> Any:
    out: dict[str, Any] = {
        "messages": [{"role": "user", "content": "x"}], "max_tokens": tokens, "stream": stream,
    }  # fmt: skip
    if path == MESSAGES:
        out["output_config"] = {"format": {"type": "json_schema", "schema": schema}}
    elif path == CHAT:
        wrapped = {"name": "x", "schema": schema}
        out["response_format"] = {"type": "json_schema", "json_schema": wrapped}
    else:
        out["response_format"] = {"type": "json_schema", "json_schema": schema}
    return out if path == RUN else out | {"model": MODEL}


async def post(base: str, path: str, data: Any) -> tuple[int, Any]:
    async with aiohttp.ClientSession() as http, http.post(base + path, json=data) as got:
        text = await got.text()
        return got.status, text if data["stream"] else json.loads(text)


@pytest.mark.parametrize("path", [RUN, CHAT, MESSAGES])
async def test_a_schema_that_is_not_met(base: str, path: str) -> None:
    status, answer = await post(base, path, body(path, UNIQUE, 90))
    assert (status, "JSON Mode couldn't be met" in str(answer), "5024" in str(answer)) == (
        400, True, True,
    )  # fmt: skip
    status, text = await post(base, path, body(path, UNIQUE, 90, stream=True))
    if status == 200:  # a piece came before the answer was whole
        assert text.rstrip().splitlines()[-2] == "event: error"
    assert "JSON Mode couldn't be met" in text


async def test_json_that_max_tokens_cut(base: str) -> None:
    """An error for Cloudflare's clients, text with its reason for the others'."""
    status, answer = await post(base, RUN, body(RUN, LONG, 2))
    assert (status, answer["errors"][0]["code"]) == (400, 5024)
    assert "Send a larger max_tokens" in answer["errors"][0]["message"]
    status, answer = await post(base, CHAT, body(CHAT, LONG, 2))
    [choice] = answer["choices"]
    assert (status, choice["finish_reason"]) == (200, "length")
    assert choice["message"]["content"] == '{"a":"b c'
    status, answer = await post(base, MESSAGES, body(MESSAGES, LONG, 2))
    assert (status, answer["stop_reason"]) == (200, "max_tokens")
    assert answer["content"] == [{"type": "text", "text": '{"a":"b c'}]
    for path in (CHAT, MESSAGES):
        status, text = await post(base, path, body(path, LONG, 2, stream=True))
        assert (status, "event: error" in text) == (200, False)


async def test_json_that_is_met(base: str) -> None:
    for path in (RUN, CHAT, MESSAGES):
        status, answer = await post(base, path, body(path, LONG, 90))
        assert (status, "b c d e" in str(answer)) == (200, True)
