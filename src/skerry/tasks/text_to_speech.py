"""text-to-speech: a text to a voice.

Schema after Cloudflare's of @cf/myshell-ai/melotts, and `text`, `speaker` and `encoding` of
@cf/deepgram/aura-1. As Cloudflare documents, `audio` is MP3 in base64; where this machine's PyAV
cannot write MP3, or `encoding` is "wav", it is a 16-bit WAV. `content_type` says which.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, ClassVar

from skerry.errors import InvalidInput
from skerry.tasks.base import Call, CallProcessor, ModelFiles, Outcome, Speak, Spoken, Task
from skerry.tasks.mp3 import can_write_mp3, write_mp3
from skerry.tasks.wav import write_wav
from skerry.types import Inputs, Usage

MAX_CHARACTERS = 10_000


class TextToSpeech(Task):
    """Text to speech.

    options: `languages` (what it speaks, ["en"]), `voices` (their names, none).
    """

    name: ClassVar[str] = "text-to-speech"
    title: ClassVar[str] = "Text-to-Speech"

    @property
    def input_schema(self) -> dict[str, Any]:
        text = {"type": "string", "minLength": 1, "maxLength": MAX_CHARACTERS}
        return {
            "type": "object",
            "properties": {
                "prompt": {**text, "description": "What to say."},
                "text": {**text, "description": "The same as prompt."},
                "lang": {
                    "type": "string",
                    "default": "en",
                    "description": "The language of the text.",
                },
                "voice": {"type": "string", "description": "Whose voice, where there are several."},
                "speaker": {"type": "string", "description": "The same as voice."},
                "speed": {
                    "type": "number",
                    "minimum": 0.25,
                    "maximum": 4,
                    "default": 1,
                    "description": "2: twice as fast.",
                },
                "encoding": {
                    "type": "string",
                    "enum": ["mp3", "wav"],
                    "description": "Default: mp3 where the node can write it, else wav.",
                },
            },
            "oneOf": [{"required": ["prompt"]}, {"required": ["text"]}],
            "additionalProperties": False,
        }

    @property
    def output_schema(self) -> dict[str, Any]:
        return {
            "type": "object",
            "properties": {
                "audio": {"type": "string", "description": "The sound, in base64."},
                "content_type": {"type": "string", "enum": ["audio/mpeg", "audio/wav"]},
            },
            "required": ["audio", "content_type"],
        }

    def check(self, inputs: Inputs, options: Mapping[str, Any]) -> None:
        languages = options.get("languages", ["en"])
        lang = inputs.get("lang")
        if lang is not None and lang.lower().split("-")[0].split("_")[0] not in languages:
            raise InvalidInput(
                f"Bad input: Error: enum {lang[:20]} not in {','.join(languages)} at '/lang'."
                " Send one of them"
            )
        voices = options.get("voices", [])
        voice = inputs.get("voice") or inputs.get("speaker")
        if voice is not None and voice not in voices:
            known = ",".join(voices) or "none: this model has one voice; leave the field out"
            raise InvalidInput(f"Bad input: Error: voice {voice[:40]!r} not in {known}")
        said = inputs.get("prompt") or inputs.get("text") or ""
        if not any(char.isalnum() for char in said):
            raise InvalidInput("Bad input: Error: the text has nothing to say. Send words")

    def open(self, files: ModelFiles) -> SpeakProcessor:
        return SpeakProcessor(can_write_mp3())


class SpeakProcessor(CallProcessor):
    """Asks for speech and packs it."""

    def __init__(self, mp3: bool) -> None:
        self._mp3 = mp3

    def prepare(self, inputs: Inputs) -> Call:
        if inputs.get("encoding") == "mp3" and not self._mp3:
            raise InvalidInput(
                "Bad input: Error: encoding: this node cannot write mp3. Send encoding: wav"
            )
        return Speak(
            text=inputs.get("prompt") or inputs["text"],
            language=inputs.get("lang", "en").lower().split("-")[0].split("_")[0],
            voice=inputs.get("voice") or inputs.get("speaker"),
            speed=float(inputs.get("speed", 1.0)),
        )

    def finish(self, inputs: Inputs, outcome: Outcome) -> tuple[Any, Usage]:
        assert isinstance(outcome, Spoken)
        if self._mp3 and inputs.get("encoding", "mp3") == "mp3":
            sound, kind = write_mp3(outcome.samples, outcome.rate), "audio/mpeg"
        else:
            sound, kind = write_wav(outcome.samples, outcome.rate), "audio/wav"
        return {"audio": base64.b64encode(sound).decode(), "content_type": kind}, Usage()
