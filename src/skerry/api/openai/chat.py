"""POST chat/completions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
from aiohttp import web

from skerry.api.endpoint import CHAT, Texts, given, refuse_field
from skerry.api.generated import Reply, generated, together, total
from skerry.api.openai.base import OpenAIEndpoint, StreamOptions, count, now, several
from skerry.api.openai.generation import Sampling, response_format, stops
from skerry.api.sse import DONE, data
from skerry.types import Answer, Usage


class ChatBody(Sampling, kw_only=True):
    """The body of chat/completions. Other fields that clients send are let pass unread."""

    model: str
    messages: list[dict[str, Any]]
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    stop: str | list[str] | None = None
    n: int | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    response_format: dict[str, Any] | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    logit_bias: dict[str, float] | None = None
    modalities: list[str] | None = None
    functions: list[Any] | None = None

    def task_inputs(self) -> dict[str, Any]:
        """The input of text-generation. Raises InvalidInput."""
        refuse_field("logprobs", self.logprobs, "no model here tells log probabilities")
        refuse_field("top_logprobs", self.top_logprobs, "no model here tells log probabilities")
        refuse_field("logit_bias", self.logit_bias or None, "not served")
        refuse_field("functions", self.functions, "an old form; send `tools`")
        if self.modalities is not None:
            odd = [kind for kind in self.modalities if kind != "text"]
            refuse_field("modalities", odd, "answers are text")
        limit = self.max_completion_tokens
        return self.inputs() | given(
            messages=self.messages,
            max_tokens=self.max_tokens if limit is None else limit,
            stop=stops(self.stop),
            response_format=response_format(self.response_format),
            tools=self.tools or None,
            tool_choice=self.tool_choice if self.tools else None,
            stream=True if self.stream else None,
        )


class Chat(OpenAIEndpoint):
    """Chat completions."""

    _decoder = msgspec.json.Decoder(ChatBody)

    async def create(self, request: web.Request) -> web.StreamResponse:
        """One answer or `n`, whole or as chunks."""
        body, size = await self.body(request, self._decoder)
        entry = self.entry(body.model, CHAT, size)
        inputs = body.task_inputs()
        ask = self.face.inference(request, entry.name, inputs, stream=bool(body.stream))
        include = body.stream_options is not None and bool(body.stream_options.include_usage)
        return await self.answer(
            request,
            several(ask, count("n", body.n)),
            lambda answers: _whole(answers, ask.id),
            lambda streams, model: _chunks(streams, ask.id, model, include),
        )


def _whole(answers: list[Answer], req_id: str) -> dict[str, Any]:
    """A chat.completion."""
    replies = [generated(answer, f"{req_id}{at}") for at, answer in enumerate(answers)]
    choices = [
        {
            "index": at,
            "message": _message(said),
            "logprobs": None,
            "finish_reason": said.finish_reason,
        }
        for at, said in enumerate(replies)
    ]
    return {
        "id": f"chatcmpl-{req_id}",
        "object": "chat.completion",
        "created": now(),
        "model": answers[0].model,
        "choices": choices,
        "usage": total([answer.usage for answer in answers], same_prompt=True).json(),
    }


def _message(said: Reply) -> dict[str, Any]:
    content = None if said.calls and not said.text else said.text
    out: dict[str, Any] = {"role": "assistant", "content": content, "refusal": None}
    if said.calls:
        out["tool_calls"] = said.calls
    return out


async def _chunks(
    streams: Texts, req_id: str, model: str, include_usage: bool
) -> AsyncIterator[bytes]:
    """chat.completion.chunk events: the role, the text, the tool calls, the reason, the usage."""
    head: dict[str, Any] = {
        "id": f"chatcmpl-{req_id}",
        "object": "chat.completion.chunk",
        "created": now(),
        "model": model,
    }

    def chunk(index: int, delta: dict[str, Any], reason: str | None = None) -> bytes:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": reason}
        extra = {"usage": None} if include_usage else {}
        return data(head | {"choices": [choice]} | extra)

    for at in range(len(streams)):
        yield chunk(at, {"role": "assistant", "content": ""})
    usages: dict[int, Usage] = {}
    async for index, item in together(streams):
        if isinstance(item, str):
            yield chunk(index, {"content": item})
            continue
        usages[index] = item.usage
        if item.reply.text:
            yield chunk(index, {"content": item.reply.text})
        for place, call in enumerate(item.reply.calls):
            yield chunk(index, {"tool_calls": [{"index": place, **call}]})
        yield chunk(index, {}, item.reply.finish_reason)
    if include_usage:
        usage = total([usages[at] for at in sorted(usages)], same_prompt=True)
        yield data(head | {"choices": [], "usage": usage.json()})
    yield DONE
