"""What a task is, and what it asks of an engine.

A `Task` lives in the node: it owns the JSON Schemas and turns a caller's input into plain values.
A `Processor` lives in the runner: a task bound to one model's files. It prepares what an engine
executes and makes the answer from what the engine returns. Neither knows any engine.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import msgspec
import numpy.typing as npt

from skerry.types import Inputs, Usage
from skerry.types import ModelFiles as ModelFiles

Array = npt.NDArray[Any]
Feeds = dict[str, Array]
"""A tensor engine's inputs or outputs by name; the first axis is the batch."""


class Row(msgspec.Struct):
    """One row of a batch: one text, one image."""

    data: Any
    length: int = 1
    """Tokens, or 1; rows are sorted by it and a batch is bounded by rows x longest."""


class Generate(msgspec.Struct, kw_only=True):
    """Ask for text. Exactly one of `messages` and `prompt` is set."""

    messages: list[dict[str, Any]] | None = None
    """OpenAI chat messages; the engine applies the model's own chat template."""
    prompt: str | None = None
    """Goes to the model as it is (raw mode)."""
    max_tokens: int = 256
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    seed: int | None = None
    stop: list[str] = []
    repetition_penalty: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    json_schema: dict[str, Any] | None = None
    """The answer must match it, by grammar; {} for any JSON object."""
    tools: list[dict[str, Any]] = []
    """OpenAI function tools; with them the engine may answer with tool_calls."""
    tool_choice: Any = None
    lora: str | None = None


class Generated(msgspec.Struct, kw_only=True):
    """What came of a Generate."""

    text: str
    finish_reason: str
    """"stop", "length" or "tool_calls"."""
    prompt_tokens: int
    completion_tokens: int
    tool_calls: list[dict[str, Any]] = []
    """[{"name": …, "arguments": {…}}]"""


class Transcribe(msgspec.Struct, kw_only=True):
    """Ask for the text of a sound."""

    samples: Array
    """float32 mono, 16 kHz, -1 … 1, shape [n]."""
    language: str | None = None
    translate: bool = False
    initial_prompt: str | None = None
    prefix: str | None = None
    vad_filter: bool = False
    beam_size: int = 5


class Word(msgspec.Struct):
    word: str
    start: float
    end: float


class Segment(msgspec.Struct, kw_only=True):
    """A stretch of speech; times in seconds."""

    text: str
    start: float
    end: float
    words: list[Word] = []
    temperature: float = 0.0
    avg_logprob: float = 0.0
    compression_ratio: float = 0.0
    no_speech_prob: float = 0.0


class Transcribed(msgspec.Struct, kw_only=True):
    segments: list[Segment]
    language: str
    language_probability: float
    duration: float
    """Seconds of sound."""


class Speak(msgspec.Struct, kw_only=True):
    """Ask for speech."""

    text: str
    language: str = "en"
    voice: str | None = None
    speed: float = 1.0


class Spoken(msgspec.Struct, kw_only=True):
    samples: Array
    """float32 mono, -1 … 1, shape [n]."""
    rate: int
    """Samples a second."""


class Translate(msgspec.Struct, kw_only=True):
    """Ask for the text in another language (sequence to sequence)."""

    text: str
    source: str
    target: str
    max_tokens: int = 512


class Translated(msgspec.Struct, kw_only=True):
    text: str
    prompt_tokens: int
    completion_tokens: int


class Embed(msgspec.Struct, kw_only=True):
    """Ask for embeddings from an engine that does its own tokenising (an upstream server)."""

    texts: list[str]


class Embedded(msgspec.Struct, kw_only=True):
    vectors: Array
    """float32 [texts, dimensions], in the order of the texts."""
    prompt_tokens: int


Call = Generate | Transcribe | Speak | Translate | Embed
Outcome = Generated | Transcribed | Spoken | Translated | Embedded


class Task(ABC):
    """A task: schemas and decoding. Stateless; one instance serves every model of the task."""

    name: ClassVar[str]
    """"text-generation"; the entry's `task`."""
    title: ClassVar[str]
    """Cloudflare's name in models/search: "Text Generation"."""
    binary_field: ClassVar[str | None] = None
    """The field that a raw body fills: "image", "audio"."""
    streams: ClassVar[bool] = False
    max_bytes: ClassVar[int] = 4 << 20
    """Longest request body, in bytes; more is RequestTooLarge."""

    @property
    @abstractmethod
    def input_schema(self) -> dict[str, Any]:
        """JSON Schema (draft 2020-12) of the input, as Cloudflare documents it."""

    @property
    @abstractmethod
    def output_schema(self) -> dict[str, Any]:
        """JSON Schema of the answer."""

    def input_for(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """The input schema of a model with these options, where one task has several forms."""
        return self.input_schema

    def output_for(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """The answer's schema of a model with these options."""
        return self.output_schema

    def decode(self, inputs: Inputs) -> Inputs:
        """Bring binary fields (list of ints, {"0": …}, base64, data URL, bytes) to `bytes`.

        Runs in the node before validation; cheap. Raises InvalidData. The default changes nothing.
        """
        return inputs

    def sniff(self, head: bytes) -> None:
        """Raises InvalidData where a binary field that begins with `head` is no file of this
        task; so large ones are refused before they are decoded. The default takes all."""

    def outline(self, inputs: Inputs) -> Inputs:
        """The inputs as the schema should see them (bytes stood for by a short string)."""
        field = self.binary_field
        if field is None or not isinstance(inputs.get(field), bytes):
            return inputs
        return {**inputs, field: ""}

    def check(self, inputs: Inputs, options: Mapping[str, Any]) -> None:
        """Cheap checks that a schema cannot say (image header, list lengths). Raises AiError."""

    @abstractmethod
    def open(self, files: ModelFiles) -> Processor:
        """Bind the task to a model's files. Called in the runner; may read and import freely."""

    def open_calls(self, files: ModelFiles) -> Processor:
        """The same for an engine that takes no tensors (an upstream server does its own
        tokenising): a CallProcessor, where the task has such a form."""
        return self.open(files)


class Processor(ABC):
    """A task bound to a model, in the runner. Called from several threads at once."""


class RowProcessor(Processor):
    """For tensor engines: requests become rows, rows become batches."""

    max_rows: int = 16
    """Most rows of one batch."""
    max_length: int = 8192
    """Most rows x longest row of one batch (the token budget)."""
    spare: int = 8
    """Most tokens of padding in one batch. A batch costs an engine about as much as so many tokens
    before it computes anything (MiniLM, OpenVINO int8: 0.5 ms a batch, 0.07 ms a token), so that
    rows which would need more padding are quicker in a batch of their own."""

    def padded(self, length: int) -> int:
        """The length to which `collate` brings a row that is the longest of its batch."""
        return length

    @abstractmethod
    def prepare(self, inputs: Inputs) -> list[Row]:
        """Decode, tokenise, resize. Raises AiError on what cannot be used."""

    def prepare_many(self, many: Sequence[Inputs]) -> list[list[Row] | Exception]:
        """The same for several requests at once, where one call is cheaper than several."""
        out: list[list[Row] | Exception] = []
        for inputs in many:
            try:
                out.append(self.prepare(inputs))
            except Exception as error:  # handed to the one request that caused it
                out.append(error)
        return out

    @abstractmethod
    def collate(self, rows: Sequence[Row]) -> Feeds:
        """Stack rows, padding each to the longest. May add rows to reach a rounder count."""

    @abstractmethod
    def split(self, outputs: Feeds, count: int) -> list[Any]:
        """One result for each of the first `count` rows, in their order."""

    @abstractmethod
    def finish(
        self, inputs: Inputs, rows: Sequence[Row], results: Sequence[Any]
    ) -> tuple[Any, Usage]:
        """The answer of one request from its rows' results."""


class CallProcessor(Processor):
    """For engines that generate: one call per request, pieces on the way."""

    @abstractmethod
    def prepare(self, inputs: Inputs) -> Call:
        """What the engine is asked. Raises AiError."""

    def piece(self, inputs: Inputs, text: str) -> dict[str, Any]:
        """A streamed piece in Cloudflare's form."""
        return {"response": text}

    @abstractmethod
    def finish(self, inputs: Inputs, outcome: Outcome) -> tuple[Any, Usage]:
        """The answer."""
