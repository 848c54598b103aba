"""The dummy engine: deterministic answers with no weights, for tests and for measuring overhead.

Serves every call and every tensor task. Options (the catalog's `engine_options.dummy`):

    outputs      {"last_hidden_state": ["batch", "length", 384]}: names and shapes of the outputs;
                 "batch" and "length" come from the first feed. Default: one for the task.
    delay        seconds per token of a call, or per batch
    delay_load   seconds to load
    hog          bytes to hold while loaded
    capacity     calls at once (default: the choice's streams)

Magic words in a call's text, or as bytes in a row of ids (how faults are tested):
    !segfault  !exit  !fail  !hang   the process dies by signal, exits, raises, never answers
"""

from __future__ import annotations

import hashlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any, ClassVar

import msgspec
import numpy as np

from skerry.engines.base import CallEngine, Choice, Sink, TensorEngine
from skerry.errors import ContextTooLong, EngineError
from skerry.tasks.base import (
    Array,
    Call,
    Embed,
    Embedded,
    Feeds,
    Generate,
    Generated,
    ModelFiles,
    Outcome,
    Segment,
    Speak,
    Spoken,
    Transcribe,
    Transcribed,
    Translate,
    Translated,
    Word,
)

_OUTPUTS: dict[str, dict[str, list[Any]]] = {
    "text-embeddings": {"last_hidden_state": ["batch", "length", 384]},
    "text-classification": {"logits": ["batch", 2]},
    "image-classification": {"logits": ["batch", 1000]},
}


class Dummy(TensorEngine, CallEngine):
    """See the module's text."""

    name = "dummy"
    precisions: ClassVar[tuple[str, ...]] = ("fp32",)

    @classmethod
    def missing(cls) -> str | None:
        return None

    @classmethod
    def load(cls, files: ModelFiles, choice: Choice) -> Dummy:
        time.sleep(float(choice.options.get("delay_load", 0)))
        return cls(files, choice)

    def __init__(self, files: ModelFiles, choice: Choice) -> None:
        options = choice.options
        self._files = files
        self._delay = float(options.get("delay", 0))
        self._outputs: dict[str, list[Any]] = options.get("outputs") or _OUTPUTS.get(
            files.task, {"output": ["batch", 8]}
        )
        self._ballast = b"\1" * int(options.get("hog", 0))
        self.capacity = int(options.get("capacity", choice.streams))

    def infer(self, feeds: Feeds, stream: int) -> Feeds:
        first = next(iter(feeds.values()))
        for row in first:
            _fault(_text_of(row))
        time.sleep(self._delay)
        length = int(first.shape[1]) if first.ndim > 1 else 1
        named = {"batch": int(first.shape[0]), "length": length}
        return {
            name: _fill(feeds, [int(named.get(axis, axis)) for axis in axes])
            for name, axes in self._outputs.items()
        }

    def run(self, call: Call, sink: Sink) -> Outcome:
        if isinstance(call, Generate):
            return self._generate(call, sink)
        if isinstance(call, Transcribe):
            return self._transcribe(call, sink)
        if isinstance(call, Speak):
            _fault(call.text)
            seconds = 0.05 * len(call.text) / call.speed
            wave = np.sin(np.arange(int(24000 * seconds), dtype=np.float32) * 0.05)
            return Spoken(samples=(0.3 * wave).astype(np.float32), rate=24000)
        if isinstance(call, Translate):
            _fault(call.text)
            words = call.text.split()
            text = f"[{call.source}>{call.target}] " + " ".join(reversed(words))
            return Translated(text=text, prompt_tokens=len(words), completion_tokens=len(words))
        if isinstance(call, Embed):
            for text in call.texts:
                _fault(text)
            vectors = np.stack([_vector(text.encode(), 384) for text in call.texts])
            return Embedded(vectors=vectors, prompt_tokens=sum(len(t.split()) for t in call.texts))
        raise EngineError(f"The dummy engine does not serve {type(call).__name__}.")

    def _generate(self, call: Generate, sink: Sink) -> Generated:
        messages = call.messages if call.messages is not None else [{"content": call.prompt or ""}]
        texts = [content_text(message.get("content")) for message in messages]
        prompt_tokens = sum(len(text.split()) for text in texts)
        context = self._files.context
        if context is not None and prompt_tokens > context:
            raise ContextTooLong(
                f"The prompt has {prompt_tokens} tokens; {self._files.name} takes {context}."
                " Shorten it."
            )
        _fault(texts[-1])
        forced = call.tools and call.tool_choice not in (None, "auto", "none")
        if forced:
            function = call.tools[0].get("function", call.tools[0])
            arguments = example(function.get("parameters") or {})
            return Generated(
                text="",
                finish_reason="tool_calls",
                prompt_tokens=prompt_tokens,
                completion_tokens=1,
                tool_calls=[{"name": function["name"], "arguments": arguments}],
            )
        if call.json_schema is not None:
            reply = msgspec.json.encode(example(call.json_schema)).decode()
        else:
            reply = texts[-1]
        return self._emit(call, reply, prompt_tokens, sink)

    def _emit(self, call: Generate, reply: str, prompt_tokens: int, sink: Sink) -> Generated:
        text, count, reason = "", 0, "stop"
        for token in _tokens(reply):
            if count == call.max_tokens:
                reason = "length"
                break
            if sink.cancelled:
                break
            time.sleep(self._delay)
            text, stopped = _cut(text + token, call.stop)
            count += 1
            if stopped:
                break
            sink.emit(token)
        return Generated(
            text=text,
            finish_reason=reason,
            prompt_tokens=prompt_tokens,
            completion_tokens=count,
        )

    def _transcribe(self, call: Transcribe, sink: Sink) -> Transcribed:
        duration = len(call.samples) / 16000
        segments = []
        for second in range(int(np.ceil(duration))):
            if sink.cancelled:
                break
            time.sleep(self._delay)
            end = min(duration, second + 1.0)
            word = Word(word=f" second{second}", start=float(second), end=end)
            text = word.word
            segments.append(Segment(text=text, start=float(second), end=end, words=[word]))
            sink.emit(text)
        return Transcribed(
            segments=segments,
            language=call.language or "en",
            language_probability=1.0,
            duration=duration,
        )


def content_text(content: Any) -> str:
    """The text of a message's content: a string, or a list of {"type": "text"} parts."""
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return "" if content is None else str(content)


def example(schema: dict[str, Any]) -> Any:
    """A small instance of the plain parts of a JSON Schema (no $ref, no patterns)."""
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    for key in ("oneOf", "anyOf", "allOf"):
        if schema.get(key):
            return example(schema[key][0])
    kind = schema.get("type", "object")
    if isinstance(kind, list):
        kind = kind[0]
    if kind == "object":
        properties = schema.get("properties", {})
        return {name: example(properties.get(name, {})) for name in schema.get("required", [])}
    if kind == "array":
        return [example(schema.get("items", {}))] * int(schema.get("minItems", 0))
    if kind == "string":
        return "x" * int(schema.get("minLength", 1))
    if kind in {"integer", "number"}:
        return schema.get("minimum", 0)
    return False if kind == "boolean" else None


def _tokens(text: str) -> Iterator[str]:
    start = 0
    for at in range(1, len(text) + 1):
        if at == len(text) or (text[at] == " " and text[at - 1] != " "):
            yield text[start:at]
            start = at


def _cut(text: str, stops: list[str]) -> tuple[str, bool]:
    found = [at for stop in stops if stop and (at := text.find(stop)) >= 0]
    return (text[: min(found)], True) if found else (text, False)


def _text_of(row: Array) -> str:
    """The text in a row of ids, where the ids are bytes; else ""."""
    if row.ndim != 1 or row.dtype.kind not in "iu":
        return ""
    return bytes(int(i) for i in row if 0 < i < 256).decode("latin-1")


def _fault(text: str) -> None:
    if "!" not in text:
        return
    if "!segfault" in text:
        os.kill(os.getpid(), signal.SIGSEGV)
    if "!exit" in text:
        os._exit(3)
    if "!fail" in text:
        raise EngineError("The dummy engine was asked to fail.")
    if "!hang" in text:
        threading.Event().wait()


def _vector(data: bytes, size: int) -> Array:
    """float32 [size], -1 … 1, a function of `data` alone."""
    seed = int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")
    return np.random.default_rng(seed).uniform(-1, 1, size).astype(np.float32)


def _fill(feeds: Feeds, shape: list[int]) -> Array:
    """An output of that shape: row by row a function of the row's own feeds, without padding."""
    first = next(iter(feeds.values()))
    mask = feeds.get("attention_mask")
    rows = []
    for index in range(shape[0]):
        row = first[index] if mask is None else first[index][mask[index].astype(bool)]
        values = _vector(np.ascontiguousarray(row).tobytes(), shape[-1])
        rows.append(np.broadcast_to(values, shape[1:]))
    return np.stack(rows) if rows else np.zeros(shape, np.float32)
