"""text-generation: a prompt or a conversation, to text, JSON or tool calls.

Schema after Cloudflare's of @cf/meta/llama-3.3-70b-instruct-fp8-fast and @cf/meta/llama-2-7b-chat.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec

from skerry.errors import InvalidInput
from skerry.tasks.base import Call, CallProcessor, Generate, Generated, ModelFiles, Outcome, Task
from skerry.tasks.chat import check_messages, plain_messages
from skerry.tasks.context import check_fits
from skerry.tasks.generation_schema import generation_input, generation_output
from skerry.tasks.tools import check_tools, function_tools
from skerry.tasks.wanted_json import check_json, wanted_json
from skerry.types import Inputs, Usage

SEEDS = 2**31 - 1
"""Engines take 32-bit seeds, and the largest of them mean "random"."""


class TextGeneration(Task):
    """Text from a prompt or a conversation."""

    name: ClassVar[str] = "text-generation"
    title: ClassVar[str] = "Text Generation"
    streams: ClassVar[bool] = True

    @property
    def input_schema(self) -> dict[str, Any]:
        return generation_input()

    @property
    def output_schema(self) -> dict[str, Any]:
        return generation_output()

    def check(self, inputs: Inputs, options: Mapping[str, Any]) -> None:
        if "messages" in inputs:
            if inputs.get("raw"):
                raise InvalidInput(
                    "Bad input: Error: raw goes with prompt, not with messages."
                    " Send the whole text as prompt"
                )
            check_messages(inputs["messages"])
        check_json(inputs)
        check_tools(inputs)

    def open(self, files: ModelFiles) -> GenerationProcessor:
        return GenerationProcessor(files.context)


class GenerationProcessor(CallProcessor):
    """Makes a Generate of the input, and Cloudflare's answer of what came of it."""

    def __init__(self, context: int | None) -> None:
        self._context = context

    def prepare(self, inputs: Inputs) -> Call:
        raw = bool(inputs.get("raw"))
        if "messages" in inputs:
            messages = plain_messages(inputs["messages"])
        else:
            messages = [{"role": "user", "content": inputs["prompt"]}]
        check_fits(sum(len(message["content"]) for message in messages), self._context)
        stop = inputs.get("stop") or []
        # JSON Schema takes 5.0 for an integer; an engine does not.
        whole: dict[str, Any] = {
            name: int(inputs[name]) for name in ("max_tokens", "top_k", "seed") if name in inputs
        }
        if "seed" in whole:
            whole["seed"] %= SEEDS
        given = {
            name: inputs[name]
            for name in (
                "temperature",
                "top_p",
                "min_p",
                "repetition_penalty",
                "frequency_penalty",
                "presence_penalty",
                "tool_choice",
                "lora",
            )
            if inputs.get(name) is not None
        }
        return Generate(
            messages=None if raw else messages,
            prompt=inputs["prompt"] if raw else None,
            stop=[stop] if isinstance(stop, str) else list(stop),
            json_schema=wanted_json(inputs),
            tools=function_tools(inputs),
            **given,
            **whole,
        )

    def finish(self, inputs: Inputs, outcome: Outcome) -> tuple[Any, Usage]:
        assert isinstance(outcome, Generated)
        usage = Usage(outcome.prompt_tokens, outcome.completion_tokens)
        value: dict[str, Any] = {
            "response": _response(inputs, outcome.text),
            "tool_calls": outcome.tool_calls,
            "usage": usage.json(),
            "finish_reason": outcome.finish_reason,
        }
        return value, usage


def _response(inputs: Inputs, text: str) -> Any:
    """The text; the object it spells where a JSON Schema was asked for, as Cloudflare does.

    What is no whole JSON stays text, for the caller to judge.
    """
    if "guided_json" not in inputs and (inputs.get("response_format") or {}).get("type") != (
        "json_schema"
    ):
        return text
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
