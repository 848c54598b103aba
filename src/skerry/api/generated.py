"""What a model said, in the plain values that every dialect tells in its own words."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec

from skerry.api.sse import Pieces
from skerry.types import Answer, Usage


class Reply(msgspec.Struct):
    """What a finished answer says, in plain values."""

    text: str
    calls: list[dict[str, Any]]
    """OpenAI tool calls: {"id", "type", "function": {"name", "arguments"}}."""
    finish_reason: str


def text_of(response: Any) -> str:
    """The text of `response`: JSON modes answer with the object itself."""
    if isinstance(response, str):
        return response
    return "" if response is None else msgspec.json.encode(response).decode()


def tool_calls(value: dict[str, Any], req_id: str) -> list[dict[str, Any]]:
    """A value's tool calls in OpenAI's form."""
    out = []
    for at, call in enumerate(value.get("tool_calls") or []):
        arguments = call.get("arguments", {})
        if not isinstance(arguments, str):
            arguments = msgspec.json.encode(arguments).decode()
        out.append(
            {
                "id": f"call_{req_id.replace('-', '')[:20]}{at}",
                "type": "function",
                "function": {"name": call.get("name", ""), "arguments": arguments},
            }
        )
    return out


def reply_of(value: dict[str, Any], req_id: str) -> Reply:
    """The answer of text-generation as OpenAI's parts."""
    calls = tool_calls(value, req_id)
    reason = value.get("finish_reason") or ("tool_calls" if calls else "stop")
    return Reply(text_of(value.get("response")), calls, reason)


def generated(answer: Any, req_id: str) -> Reply:
    """The Reply of a whole Answer."""
    assert isinstance(answer, Answer), "a request without stream got a stream"
    return reply_of(answer.value, req_id)


def total(usages: Sequence[Usage], *, same_prompt: bool) -> Usage:
    """The usage of several answers together; with `same_prompt` the prompt counts once."""
    prompts = [usage.prompt_tokens for usage in usages]
    prompt = (prompts[0] if prompts else 0) if same_prompt else sum(prompts)
    return Usage(prompt, sum(usage.completion_tokens for usage in usages))


class End(msgspec.Struct):
    """The end of one streamed answer."""

    reply: Reply
    """Its text is what no piece has carried yet."""
    usage: Usage


async def deltas(pieces: Pieces, req_id: str) -> AsyncIterator[str | End]:
    """The texts of a stream, then its End. Raises AiError where the run fails."""
    last: dict[str, Any] = {}
    told = False
    async for piece in pieces:
        if "usage" in piece or "finish_reason" in piece:
            last = piece
            continue
        text = text_of(piece.get("response"))
        if text:
            told = True
            yield text
    reply = reply_of(last, req_id)
    if told:
        reply.text = ""
    counts = last.get("usage") or {}
    yield End(reply, Usage(counts.get("prompt_tokens", 0), counts.get("completion_tokens", 0)))


async def together(
    streams: Sequence[AsyncIterator[str | End]],
) -> AsyncIterator[tuple[int, str | End]]:
    """Several answers at once, each item with the index of its answer, in order of arrival.

    The first failure ends all. Raises AiError.
    """
    if len(streams) == 1:
        async for item in streams[0]:
            yield 0, item
        return
    queue: asyncio.Queue[tuple[int, str | End | Exception]] = asyncio.Queue(64)

    async def follow(index: int, stream: AsyncIterator[str | End]) -> None:
        try:
            async for item in stream:
                await queue.put((index, item))
        except Exception as error:  # raised again below, where the answer is written
            await queue.put((index, error))

    tasks = [asyncio.create_task(follow(at, stream)) for at, stream in enumerate(streams)]
    try:
        left = len(tasks)
        while left:
            index, found = await queue.get()
            if isinstance(found, Exception):
                raise found
            left -= isinstance(found, End)
            yield index, found
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
