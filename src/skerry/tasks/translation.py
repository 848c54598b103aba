"""translation: a text in another language, by a translation model or a chat model.

Schema after Cloudflare's of @cf/meta/m2m100-1.2b.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from skerry.errors import InvalidInput
from skerry.tasks.base import (
    Call,
    CallProcessor,
    Generated,
    ModelFiles,
    Outcome,
    Task,
    Translate,
    Translated,
)
from skerry.tasks.context import check_fits
from skerry.tasks.instruct import clip, instruct
from skerry.types import Inputs, Usage

INSTRUCTION = (
    "You are a translator. Translate every message from {source} to {target}."
    " Answer with the {target} translation only."
)


class Translation(Task):
    """A text in another language.

    options: `chat` (true: a chat model, told by `instruction`, with {source} and {target} in it),
    `languages` (the codes that the model knows; none: any).
    """

    name: ClassVar[str] = "translation"
    title: ClassVar[str] = "Translation"

    @property
    def input_schema(self) -> dict[str, Any]:
        code = {"type": "string", "minLength": 2, "maxLength": 32}
        return {
            "type": "object",
            "properties": {
                "text": {"type": "string", "minLength": 1, "description": "The text to translate."},
                "source_lang": {
                    **code,
                    "default": "en",
                    "description": 'The code or English name of its language ("en", "english").',
                },
                "target_lang": {**code, "description": 'The language to put it in ("fr").'},
            },
            "required": ["text", "target_lang"],
            "additionalProperties": False,
        }

    @property
    def output_schema(self) -> dict[str, Any]:
        return {
            "type": "object",
            "properties": {
                "translated_text": {"type": "string", "description": "The text, translated."}
            },
            "required": ["translated_text"],
        }

    def check(self, inputs: Inputs, options: Mapping[str, Any]) -> None:
        known = options.get("languages")
        for field in ("source_lang", "target_lang"):
            asked = inputs.get(field)
            if known and asked is not None and language_code(asked) not in known:
                raise InvalidInput(
                    f"Bad input: Error: enum {asked} not in {','.join(known)} at '/{field}'."
                    " Send one of them"
                )

    def open(self, files: ModelFiles) -> TranslationProcessor:
        instruction = files.options.get("instruction", INSTRUCTION)
        return TranslationProcessor(
            files.context, instruction if files.options.get("chat") else None
        )


class TranslationProcessor(CallProcessor):
    """A Translate, or for a chat model the instruction and the text."""

    def __init__(self, context: int | None, instruction: str | None) -> None:
        self._context = context
        self._instruction = instruction

    def prepare(self, inputs: Inputs) -> Call:
        text = inputs["text"]
        source = language_code(inputs.get("source_lang", "en"))
        target = language_code(inputs["target_lang"])
        if self._instruction is None:
            check_fits(len(text), self._context)
            return Translate(text=text, source=source, target=target)
        told = self._instruction
        for place, code in (("{source}", source), ("{target}", target)):
            # By name: told "de", a small model answers in French.
            told = told.replace(place, _ENGLISH.get(code, code))
        most = 1024 if self._context is None else self._context // 2
        return instruct(told, clip(text, self._context, most, told), most)

    def finish(self, inputs: Inputs, outcome: Outcome) -> tuple[Any, Usage]:
        assert isinstance(outcome, Translated | Generated)
        usage = Usage(outcome.prompt_tokens, outcome.completion_tokens)
        return {"translated_text": outcome.text.strip()}, usage


def language_code(asked: str) -> str:
    """An ISO 639-1 code of a code with a region or of a language's English name."""
    name = asked.strip().lower()
    return _NAMES.get(name, name.replace("_", "-").split("-")[0])


_NAMES = {
    "arabic": "ar",
    "chinese": "zh",
    "dutch": "nl",
    "english": "en",
    "french": "fr",
    "german": "de",
    "hindi": "hi",
    "italian": "it",
    "japanese": "ja",
    "korean": "ko",
    "polish": "pl",
    "portuguese": "pt",
    "russian": "ru",
    "spanish": "es",
    "turkish": "tr",
    "ukrainian": "uk",
}
_ENGLISH = {code: name.capitalize() for name, code in _NAMES.items()}
