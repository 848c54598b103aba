"""POST messages. Shapes: Anthropic, "Messages API" and "Streaming messages"."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, ClassVar

import msgspec
from aiohttp import web

from skerry.api.answers import dump
from skerry.api.anthropic import blocks
from skerry.api.endpoint import CHAT, Endpoint, given
from skerry.api.errors import Form, anthropic_form
from skerry.api.generated import End, Reply, generated
from skerry.api.guard import guarded
from skerry.types import Answer, Usage

BASES = ("/client/v4/accounts/{account}/ai/v1", "/v1")

_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}


class MessagesBody(msgspec.Struct, kw_only=True):
    """The body of messages. Other fields that clients send are let pass unread."""

    model: str
    max_tokens: int
    messages: list[dict[str, Any]]
    system: str | list[dict[str, Any]] | None = None
    stop_sequences: list[str] | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: dict[str, Any] | None = None
    output_config: dict[str, Any] | None = None
    stream: bool | None = None

    def task_inputs(self) -> dict[str, Any]:
        """The input of text-generation. Raises InvalidInput."""
        tools = blocks.tools(self.tools)
        return given(
            messages=blocks.messages(self.system, self.messages),
            max_tokens=self.max_tokens,
            stop=self.stop_sequences or None,
            temperature=self.temperature,
            top_p=self.top_p,
            top_k=self.top_k,
            response_format=blocks.response_format(self.output_config),
            tools=tools,
            tool_choice=blocks.tool_choice(self.tool_choice) if tools else None,
            stream=True if self.stream else None,
        )


class Messages(Endpoint):
    """Messages."""

    form: ClassVar[Form] = anthropic_form
    _decoder = msgspec.json.Decoder(MessagesBody)

    def routes(self) -> list[web.RouteDef]:
        """Under Cloudflare's prefix and under Anthropic's own."""
        create = guarded(self.create, anthropic_form)
        return [web.post(f"{base}/messages", create) for base in BASES]

    async def create(self, request: web.Request) -> web.StreamResponse:
        """One message, whole or as events."""
        body, size = await self.body(request, self._decoder)
        entry = self.entry(body.model, CHAT, size)
        ask = self.face.inference(request, entry.name, body.task_inputs(), stream=bool(body.stream))

        def whole(answers: list[Answer]) -> dict[str, Any]:
            said = generated(answers[0], ask.id)
            return _message(ask.id, answers[0].model) | {
                "content": _content(said),
                "stop_reason": _REASONS.get(said.finish_reason, "end_turn"),
                "usage": _usage(answers[0].usage),
            }

        return await self.answer(
            request,
            [ask],
            whole,
            lambda streams, model: _events(streams[0], _message(ask.id, model)),
        )


def _message(req_id: str, model: str) -> dict[str, Any]:
    """A message that says nothing yet."""
    return {
        "id": f"msg_{req_id.replace('-', '')}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": _usage(Usage()),
    }


def _usage(usage: Usage) -> dict[str, Any]:
    return {"input_tokens": usage.prompt_tokens, "output_tokens": usage.completion_tokens}


def _content(said: Reply) -> list[dict[str, Any]]:
    out = [_text_block(said.text)] if said.text or not said.calls else []
    return out + [_tool_use(call) for call in said.calls]


def _text_block(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _tool_use(call: dict[str, Any]) -> dict[str, Any]:
    function = call["function"]
    return {
        "type": "tool_use",
        "id": call["id"].replace("call_", "toolu_", 1),
        "name": function["name"],
        "input": msgspec.json.decode(function["arguments"]),
    }


def _event(kind: str, **fields: Any) -> bytes:
    return b"event: " + kind.encode() + b"\ndata: " + dump({"type": kind, **fields}) + b"\n\n"


async def _events(texts: AsyncIterator[str | End], message: dict[str, Any]) -> AsyncIterator[bytes]:
    """message_start, a block of text, the tool calls, message_delta, message_stop.

    The tokens of the prompt are known at the end only: message_delta tells them.
    """
    yield _event("message_start", message=message)
    opened = False
    end = End(Reply("", [], "stop"), Usage())
    async for item in texts:
        text = item if isinstance(item, str) else item.reply.text
        if isinstance(item, End):
            end = item
        if not opened and (text or (isinstance(item, End) and not item.reply.calls)):
            opened = True
            yield _event("content_block_start", index=0, content_block=_text_block(""))
        if text:
            yield _event("content_block_delta", index=0, delta={"type": "text_delta", "text": text})
    if opened:
        yield _event("content_block_stop", index=0)
    for index, call in enumerate(end.reply.calls, int(opened)):
        for event in _call_events(index, call):
            yield event
    reason = _REASONS.get(end.reply.finish_reason, "end_turn")
    yield _event(
        "message_delta",
        delta={"stop_reason": reason, "stop_sequence": None},
        usage=_usage(end.usage),
    )
    yield _event("message_stop")


def _call_events(index: int, call: dict[str, Any]) -> list[bytes]:
    arguments = call["function"]["arguments"]
    delta = {"type": "input_json_delta", "partial_json": arguments}
    return [
        _event("content_block_start", index=index, content_block=_tool_use(call) | {"input": {}}),
        _event("content_block_delta", index=index, delta=delta),
        _event("content_block_stop", index=index),
    ]
