"""automatic-speech-recognition: a sound to its text, with the time of every word.

Schemas after Cloudflare's of @cf/openai/whisper and @cf/openai/whisper-large-v3-turbo.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from skerry.errors import InvalidInput
from skerry.tasks.base import (
    Call,
    CallProcessor,
    ModelFiles,
    Outcome,
    Segment,
    Task,
    Transcribe,
    Transcribed,
)
from skerry.tasks.binary import binary_schema, decode_field
from skerry.tasks.sounds import MAX_SECONDS, check_format, check_sound, read_sound
from skerry.types import Inputs, Usage


class AutomaticSpeechRecognition(Task):
    """Speech to text.

    options: `max_seconds` (3600), `languages` ("en" for a model that knows English only).
    """

    name: ClassVar[str] = "automatic-speech-recognition"
    title: ClassVar[str] = "Automatic Speech Recognition"
    binary_field: ClassVar[str | None] = "audio"
    max_bytes: ClassVar[int] = 32 << 20

    @property
    def input_schema(self) -> dict[str, Any]:
        return {
            "type": "object",
            "properties": {
                "audio": binary_schema("The sound: WAV, MP3, FLAC, Ogg, M4A, AAC, WebM or AIFF."),
                "task": {
                    "type": "string",
                    "enum": ["transcribe", "translate"],
                    "default": "transcribe",
                    "description": "translate: answer in English, whatever is spoken.",
                },
                "language": {
                    "type": "string",
                    "minLength": 2,
                    "maxLength": 16,
                    "description": 'What is spoken ("en", "de" …). Default: found out.',
                },
                "vad_filter": {
                    "type": "boolean",
                    "default": False,
                    "description": "Leave out what is not speech first.",
                },
                "initial_prompt": {
                    "type": "string",
                    "maxLength": 4096,
                    "description": "Text that sets the model's words and spelling.",
                },
                "prefix": {
                    "type": "string",
                    "maxLength": 1024,
                    "description": "The first words of the answer.",
                },
                "beam_size": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": 10,
                    "default": 5,
                    "description": "Ways of hearing it that are kept open at once.",
                },
            },
            "required": ["audio"],
            "additionalProperties": False,
        }

    @property
    def output_schema(self) -> dict[str, Any]:
        seconds = {"type": "number", "description": "Seconds from the start."}
        words = {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"word": {"type": "string"}, "start": seconds, "end": seconds},
                "required": ["word", "start", "end"],
            },
        }
        number = {"type": "number"}
        return {
            "type": "object",
            "properties": {
                "text": {"type": "string", "description": "All that is said."},
                "word_count": {"type": "integer"},
                "words": words,
                "vtt": {"type": "string", "description": "The text as WebVTT subtitles."},
                "transcription_info": {
                    "type": "object",
                    "properties": {
                        "language": {"type": "string"},
                        "language_probability": number,
                        "duration": seconds,
                    },
                },
                "segments": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {
                            "start": seconds,
                            "end": seconds,
                            "text": {"type": "string"},
                            "temperature": number,
                            "avg_logprob": number,
                            "compression_ratio": number,
                            "no_speech_prob": number,
                            "words": words,
                        },
                    },
                },
            },
            "required": ["text"],
        }

    def decode(self, inputs: Inputs) -> Inputs:
        return decode_field(inputs, "audio", self.sniff)

    def sniff(self, head: bytes) -> None:
        check_format(head)

    def check(self, inputs: Inputs, options: Mapping[str, Any]) -> None:
        check_sound(inputs["audio"], float(options.get("max_seconds", MAX_SECONDS)))
        if options.get("languages") != "en":
            return
        if inputs.get("language", "en") != "en" or inputs.get("task") == "translate":
            field = "task" if inputs.get("task") == "translate" else "language"
            raise InvalidInput(
                f"Bad input: Error: {field}: this model knows English only. Leave the field out, or"
                " choose a multilingual model"
            )

    def open(self, files: ModelFiles) -> SpeechProcessor:
        return SpeechProcessor(float(files.options.get("max_seconds", MAX_SECONDS)))


class SpeechProcessor(CallProcessor):
    """Decodes the sound; writes text, words and subtitles of what the engine heard."""

    def __init__(self, longest: float) -> None:
        self._longest = longest

    def prepare(self, inputs: Inputs) -> Call:
        return Transcribe(
            samples=read_sound(inputs["audio"], self._longest),
            language=inputs.get("language"),
            translate=inputs.get("task") == "translate",
            initial_prompt=inputs.get("initial_prompt"),
            prefix=inputs.get("prefix"),
            vad_filter=inputs.get("vad_filter", False),
            beam_size=int(inputs.get("beam_size", 5)),
        )

    def finish(self, inputs: Inputs, outcome: Outcome) -> tuple[Any, Usage]:
        assert isinstance(outcome, Transcribed)
        segments = outcome.segments
        text = "".join(segment.text for segment in segments).strip()
        value = {
            "text": text,
            "word_count": len(text.split()),
            "words": [word for segment in segments for word in _words(segment)],
            "vtt": vtt(segments),
            "transcription_info": {
                "language": outcome.language,
                "language_probability": outcome.language_probability,
                "duration": outcome.duration,
            },
            "segments": [
                {
                    "start": segment.start,
                    "end": segment.end,
                    "text": segment.text.strip(),
                    "temperature": segment.temperature,
                    "avg_logprob": segment.avg_logprob,
                    "compression_ratio": segment.compression_ratio,
                    "no_speech_prob": segment.no_speech_prob,
                    "words": _words(segment),
                }
                for segment in segments
            ],
        }
        return value, Usage()


def _words(segment: Segment) -> list[dict[str, Any]]:
    return [
        {"word": word.word.strip(), "start": word.start, "end": word.end} for word in segment.words
    ]


def vtt(segments: list[Segment]) -> str:
    """WebVTT (W3C): one cue per segment."""
    cues = [
        f"{_clock(segment.start)} --> {_clock(segment.end)}\n{_cue(segment.text)}"
        for segment in segments
    ]
    return "\n\n".join(["WEBVTT", *cues]) + "\n"


def _cue(text: str) -> str:
    """Cue text may hold no markup, and no blank line ends it early."""
    plain = " ".join(text.split())
    return plain.replace("&", "&amp;").replace("<", "&lt;").replace("-->", "--&gt;")


def _clock(seconds: float) -> str:
    whole = round(max(0.0, seconds) * 1000)
    hours, rest = divmod(whole, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    return f"{hours:02}:{minutes:02}:{rest // 1000:02}.{rest % 1000:03}"
