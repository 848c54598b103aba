"""POST responses, and its stream of events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
from aiohttp import web

from skerry.api.answers import dump, fault
from skerry.api.endpoint import CHAT, given, refuse_field
from skerry.api.errors import word
from skerry.api.generated import End, Reply, generated
from skerry.api.openai import items
from skerry.api.openai.base import OpenAIEndpoint, now
from skerry.errors import AiError, InvalidInput
from skerry.types import Answer, Usage


class ResponseBody(msgspec.Struct, kw_only=True):
    """The body of responses. Other fields that clients send are let pass unread."""

    model: str
    input: str | list[dict[str, Any]]
    instructions: str | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    text: dict[str, Any] | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    stream: bool | None = None
    background: bool | None = None
    previous_response_id: str | None = None
    conversation: str | dict[str, Any] | None = None
    prompt: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None

    def task_inputs(self) -> dict[str, Any]:
        """The input of text-generation. Raises InvalidInput."""
        for name in ("previous_response_id", "conversation"):
            refuse_field(
                name, getattr(self, name), "responses are not kept; send the earlier turns in input"
            )
        refuse_field("background", self.background, "not served; a response is awaited or streamed")
        refuse_field("prompt", self.prompt, "prompt templates are not kept here")
        tools = items.tools(self.tools)
        return given(
            messages=items.messages(self.instructions, self.input),
            max_tokens=self.max_output_tokens,
            temperature=self.temperature,
            top_p=self.top_p,
            response_format=items.text_format(self.text),
            tools=tools,
            tool_choice=items.tool_choice(self.tool_choice) if tools else None,
            stream=True if self.stream else None,
        )


class Responses(OpenAIEndpoint):
    """Responses, not kept."""

    _decoder = msgspec.json.Decoder(ResponseBody)

    async def create(self, request: web.Request) -> web.StreamResponse:
        """One response, whole or as events."""
        body, size = await self.body(request, self._decoder)
        entry = self.entry(body.model, CHAT, size)
        inputs = body.task_inputs()
        ask = self.face.inference(request, entry.name, inputs, stream=bool(body.stream))

        def whole(answers: list[Answer]) -> dict[str, Any]:
            said = generated(answers[0], ask.id)
            draft = Draft(ask.id, answers[0].model, body)
            return draft.finished(said, said.text, answers[0].usage)

        return await self.answer(
            request,
            [ask],
            whole,
            lambda streams, model: _events(streams[0], Draft(ask.id, model, body)),
        )

    async def retrieve(self, request: web.Request) -> web.StreamResponse:
        """Responses are not kept: 400, with what to do."""
        raise InvalidInput("responses are not kept on this node; keep the answer of the POST")


class Draft:
    """A response in the making."""

    def __init__(self, req_id: str, model: str, body: ResponseBody) -> None:
        self.id = req_id.replace("-", "")
        self._base: dict[str, Any] = {
            "id": f"resp_{self.id}",
            "object": "response",
            "created_at": now(),
            "model": model,
            "instructions": body.instructions,
            "max_output_tokens": body.max_output_tokens,
            "metadata": body.metadata or {},
            "parallel_tool_calls": body.parallel_tool_calls is not False,
            "previous_response_id": None,
            "store": False,
            "temperature": body.temperature,
            "top_p": body.top_p,
            "text": body.text or {"format": {"type": "text"}},
            "tools": body.tools or [],
            "tool_choice": body.tool_choice or "auto",
            "truncation": "disabled",
        }

    def begun(self) -> dict[str, Any]:
        """Before anything is said."""
        return self._base | {
            "status": "in_progress",
            "output": [],
            "usage": None,
            "error": None,
            "incomplete_details": None,
        }

    def failed(self, error: AiError) -> dict[str, Any]:
        """After a failure."""
        what = {"code": word(type(error)), "message": error.message}
        return self.begun() | {"status": "failed", "error": what}

    def message(self, text: str | None, status: str) -> dict[str, Any]:
        """The message item; text None: none yet."""
        return {
            "id": f"msg_{self.id}",
            "type": "message",
            "role": "assistant",
            "status": status,
            "content": [] if text is None else [part(text)],
        }

    def call(self, at: int, call: dict[str, Any]) -> dict[str, Any]:
        """A function_call item."""
        function = call["function"]
        return {
            "id": f"fc_{self.id}{at}",
            "type": "function_call",
            "call_id": call["id"],
            "name": function["name"],
            "arguments": function["arguments"],
            "status": "completed",
        }

    def finished(self, said: Reply, text: str, usage: Usage) -> dict[str, Any]:
        """The whole response. `text`: all that was said."""
        cut = said.finish_reason == "length"
        status = "incomplete" if cut else "completed"
        output = [self.message(text, status)] if text or not said.calls else []
        output += [self.call(at, call) for at, call in enumerate(said.calls)]
        return self._base | {
            "status": status,
            "output": output,
            "error": None,
            "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
            "usage": {
                "input_tokens": usage.prompt_tokens,
                "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
                "output_tokens": usage.completion_tokens,
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": usage.total_tokens,
            },
        }


def part(text: str) -> dict[str, Any]:
    """A part of a message's content."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


class Events:
    """Writes events with their sequence numbers."""

    def __init__(self) -> None:
        self._number = 0

    def write(self, kind: str, **fields: Any) -> bytes:
        event = {"type": kind, "sequence_number": self._number, **fields}
        self._number += 1
        return b"event: " + kind.encode() + b"\ndata: " + dump(event) + b"\n\n"


async def _events(texts: AsyncIterator[str | End], draft: Draft) -> AsyncIterator[bytes]:
    """response.created … response.completed, .incomplete or .failed."""
    write = Events().write
    yield write("response.created", response=draft.begun())
    yield write("response.in_progress", response=draft.begun())
    said: list[str] = []
    place = {"item_id": f"msg_{draft.id}", "output_index": 0, "content_index": 0}
    end = End(Reply("", [], "stop"), Usage())
    opened = False
    try:
        async for item in texts:
            text = item if isinstance(item, str) else item.reply.text
            if isinstance(item, End):
                end = item
            if not opened and (text or (isinstance(item, End) and not item.reply.calls)):
                opened = True
                message = draft.message(None, "in_progress")
                yield write("response.output_item.added", output_index=0, item=message)
                yield write("response.content_part.added", **place, part=part(""))
            if text:
                said.append(text)
                yield write("response.output_text.delta", **place, delta=text, logprobs=[])
    except AiError as error:
        yield write("response.failed", response=draft.failed(error))
        return
    except Exception as error:  # the boundary: a stream never ends silently
        yield write("response.failed", response=draft.failed(fault(error, "a response")))
        return
    whole = draft.finished(end.reply, "".join(said), end.usage)
    for index, item in enumerate(whole["output"]):
        if item["type"] == "message":
            yield write("response.output_text.done", **place, text="".join(said), logprobs=[])
            yield write("response.content_part.done", **place, part=part("".join(said)))
        else:
            for event in _call_events(write, index, item):
                yield event
        yield write("response.output_item.done", output_index=index, item=item)
    yield write(f"response.{whole['status']}", response=whole)


def _call_events(write: Any, index: int, item: dict[str, Any]) -> list[bytes]:
    place = {"item_id": item["id"], "output_index": index}
    begun = item | {"status": "in_progress", "arguments": ""}
    return [
        write("response.output_item.added", output_index=index, item=begun),
        write("response.function_call_arguments.delta", **place, delta=item["arguments"]),
        write(
            "response.function_call_arguments.done",
            **place,
            name=item["name"],
            arguments=item["arguments"],
        ),
    ]
