"""summarization: a long text to a short one, by a chat model.

Schema after Cloudflare's of @cf/facebook/bart-large-cnn.
"""

from __future__ import annotations

from typing import Any, ClassVar

from skerry.tasks.base import Call, CallProcessor, Generated, ModelFiles, Outcome, Task
from skerry.tasks.instruct import clip, instruct
from skerry.types import Inputs, Usage

INSTRUCTION = (
    "Summarize the text that the user sends in a few sentences. Keep to what the text says;"
    " answer with the summary only."
)


class Summarization(Task):
    """A text, made short.

    options: `instruction`, what the chat model is told. A text that does not fit the model's
    context is read from its start as far as it fits.
    """

    name: ClassVar[str] = "summarization"
    title: ClassVar[str] = "Summarization"

    @property
    def input_schema(self) -> dict[str, Any]:
        return {
            "type": "object",
            "properties": {
                "input_text": {
                    "type": "string",
                    "minLength": 1,
                    "description": "The text to summarize.",
                },
                "max_length": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": 4096,
                    "default": 1024,
                    "description": "The most tokens of the summary.",
                },
            },
            "required": ["input_text"],
            "additionalProperties": False,
        }

    @property
    def output_schema(self) -> dict[str, Any]:
        return {
            "type": "object",
            "properties": {"summary": {"type": "string", "description": "The summary."}},
            "required": ["summary"],
        }

    def open(self, files: ModelFiles) -> SummaryProcessor:
        return SummaryProcessor(files.context, files.options.get("instruction", INSTRUCTION))


class SummaryProcessor(CallProcessor):
    """Instruction and text, clipped to the context."""

    def __init__(self, context: int | None, instruction: str) -> None:
        self._context = context
        self._instruction = instruction

    def prepare(self, inputs: Inputs) -> Call:
        most = int(inputs.get("max_length", 1024))
        if self._context is not None:
            most = min(most, self._context // 2)
        text = clip(inputs["input_text"], self._context, most, self._instruction)
        return instruct(self._instruction, text, most)

    def finish(self, inputs: Inputs, outcome: Outcome) -> tuple[Any, Usage]:
        assert isinstance(outcome, Generated)
        usage = Usage(outcome.prompt_tokens, outcome.completion_tokens)
        return {"summary": outcome.text.strip()}, usage
