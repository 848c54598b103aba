"""OpenVINO GenAI: text generation by continuous batching, from GGUF files or OpenVINO folders.

One thread steps the pipeline for all calls; each call's own thread turns its tokens into text, so
that the batch never waits for a reader. Options (`engine_options.genai`):

    model       a GGUF file, or "." for an OpenVINO folder; default model.gguf
    slots       calls at once; default the choice's streams
    pool        tokens that the key/value cache holds for all calls; default: the context, or 1024
                for each slot if that is more
    batch       most tokens of one step (512)
    properties  OpenVINO properties, e.g. {"KV_CACHE_PRECISION": "f16"}

It loads Q4_0, Q4_1, Q8_0 and F16 tensors, not every kind (a stock Q4_K_M file may hold Q5_0
tensors, which it refuses). It serves no LoRA, no call with a seed (equal seeds gave different
texts) and nothing bound by a grammar: with a GGUF file's tokenizer its grammar let other bytes
through where characters beyond ASCII were due (2026.4; measured, docs/engines.md).
"""

from __future__ import annotations

import importlib.util
import os
import queue
import threading
from itertools import count
from typing import Any, ClassVar

from skerry.engines.base import CallEngine, Choice, Sink
from skerry.engines.openvino import import_openvino
from skerry.engines.text import Pieces
from skerry.engines.toolcalls import Tools, plain_messages
from skerry.errors import ContextTooLong, EngineError, InvalidInput, OutOfCapacity
from skerry.tasks.base import Call, Generate, Generated, ModelFiles

DEFAULT_CONTEXT = 4096
BLOCK = 32
"""Tokens of one block of the key/value cache on CPU."""
LOOK = 0.05
"""Seconds between looks at whether the caller has gone."""
# llama.cpp's defaults, so that a model answers alike on either engine.
TEMPERATURE, TOP_K, TOP_P, MIN_P = 0.8, 40, 0.95, 0.05


class GenAi(CallEngine):
    """See the module's text."""

    name = "genai"
    distributions: ClassVar[tuple[str, ...]] = ("openvino-genai",)
    precisions: ClassVar[tuple[str, ...]] = ("gguf",)
    default_streams: ClassVar[int] = 8

    @classmethod
    def missing(cls) -> str | None:
        if importlib.util.find_spec("openvino_genai") is None:
            return "pip install 'skerry[genai]'"
        return None

    @classmethod
    def load(cls, files: ModelFiles, choice: Choice) -> GenAi:
        import_openvino()
        import openvino_genai

        options = choice.options
        named = str(options.get("model") or files.options.get("model") or "model.gguf")
        path = files.path(named)
        if not path.exists():
            raise EngineError(f"{files.name}: {named} is not in {files.directory}")
        slots = int(options.get("slots", choice.streams))
        context = files.context or DEFAULT_CONTEXT
        pool = int(options.get("pool", max(context, 1024 * slots)))
        scheduler = openvino_genai.SchedulerConfig()
        scheduler.num_kv_blocks = -(-pool // BLOCK)
        scheduler.max_num_seqs = slots
        scheduler.max_num_batched_tokens = int(options.get("batch", 512))
        scheduler.enable_prefix_caching = True
        properties = {
            "INFERENCE_NUM_THREADS": choice.threads or len(os.sched_getaffinity(0)),
            "ENABLE_CPU_PINNING": False,
            **options.get("properties", {}),
        }
        try:
            pipeline = openvino_genai.ContinuousBatchingPipeline(
                str(path), scheduler, "CPU", properties
            )
        except (RuntimeError, ValueError) as error:
            text = f"{files.name}: OpenVINO GenAI cannot load {named}: {error}"
            raise EngineError(text) from error
        return cls(files.name, openvino_genai, pipeline, slots, context)

    def __init__(self, model: str, library: Any, pipeline: Any, slots: int, context: int) -> None:
        self._model = model
        self._library = library
        self._pipeline = pipeline
        self._tokenizer = pipeline.get_tokenizer()
        self._context = context
        self._ids = count()
        self._calls: dict[int, _Waiting] = {}
        self._work = threading.Condition()
        self._closed = False
        self.capacity = slots
        self._thread = threading.Thread(target=self._loop, name="genai", daemon=True)
        self._thread.start()

    def serves(self, call: Call) -> bool:
        if not isinstance(call, Generate) or call.lora is not None:
            return False
        if call.seed is not None and call.temperature != 0:
            return False
        return call.json_schema is None and Tools.of(call) is None

    def run(self, call: Call, sink: Sink) -> Generated:
        """Raises ContextTooLong with the numbers."""
        if not isinstance(call, Generate) or not self.serves(call):
            raise EngineError(f"OpenVINO GenAI does not serve this {type(call).__name__}.")
        ids = self._encode(call)
        prompt_tokens = int(ids.shape[1])
        room = self._context - prompt_tokens
        if room < 1:
            raise ContextTooLong(
                f"The prompt has {prompt_tokens} tokens or more; {self._model} takes"
                f" {self._context}, prompt and answer together. Shorten the prompt."
            )
        config = self._config(call, min(call.max_tokens, room))
        # Where nobody looks at the pieces, no thread is woken for each token.
        waiting = self._add(ids, config, whole=not sink.streaming and not call.stop)
        decode = self._tokenizer.decode
        pieces = Pieces(lambda tokens: str(decode(tokens)), call.stop)
        reason = self._follow(waiting, pieces, sink)
        return Generated(
            text=pieces.text,
            finish_reason=reason,
            prompt_tokens=prompt_tokens,
            completion_tokens=pieces.tokens,
        )

    def close(self) -> None:
        with self._work:
            self._closed = True
            self._work.notify()
        self._thread.join()
        self._pipeline = None

    def _encode(self, call: Generate) -> Any:
        prompt = call.prompt or ""
        if call.messages is not None:
            messages = plain_messages(call.messages)
            try:
                prompt = self._tokenizer.apply_chat_template(messages, True)
            except RuntimeError as error:
                raise InvalidInput(f"{self._model}: these messages do not fit: {error}") from error
        raw = call.messages is None
        return self._tokenizer.encode(prompt, add_special_tokens=raw).input_ids

    def _config(self, call: Generate, max_tokens: int) -> Any:
        sampled = call.temperature is None or call.temperature > 0
        values: dict[str, Any] = {
            "max_new_tokens": max_tokens,
            "apply_chat_template": False,
            "stop_token_ids": self._pipeline.get_config().stop_token_ids,
            "do_sample": sampled,
        }
        if sampled:
            values |= {
                "temperature": _given(call.temperature, TEMPERATURE),
                "top_p": _given(call.top_p, TOP_P),
                "min_p": _given(call.min_p, MIN_P),
            }
            if top_k := _given(call.top_k, TOP_K):
                values["top_k"] = top_k
            # The pipeline draws from one generator, reseeded by every request: a fixed seed here
            # would make equal prompts answer alike.
            values["rng_seed"] = int.from_bytes(os.urandom(4), "little")
        for field in ("repetition_penalty", "frequency_penalty", "presence_penalty"):
            if getattr(call, field) is not None:
                values[field] = getattr(call, field)
        return self._library.GenerationConfig(**values)

    def _add(self, ids: Any, config: Any, *, whole: bool) -> _Waiting:
        with self._work:
            if self._closed:
                raise EngineError(f"{self._model} is being unloaded.")
            number = next(self._ids)
            try:
                handle = self._pipeline.add_request(number, ids, config)
            except (RuntimeError, ValueError) as error:
                raise InvalidInput(
                    f"{self._model}: OpenVINO GenAI cannot do this: {error}"
                ) from error
            waiting = self._calls[number] = _Waiting(handle, whole=whole)
            self._work.notify()
        return waiting

    def _follow(self, waiting: _Waiting, pieces: Pieces, sink: Sink) -> str:
        """Read tokens until the call ends, by itself or by ours. Returns the finish reason."""
        while True:
            if sink.cancelled:
                waiting.handle.cancel()
                return "stop"
            try:
                got = waiting.tokens.get(timeout=LOOK)
            except queue.Empty:
                continue
            if isinstance(got, Exception):
                raise got
            tokens, ended = got
            text = pieces.add(tokens, last=ended is not None)
            if text:
                sink.emit(text)
            if pieces.stopped and ended is None:
                waiting.handle.stop()
                return "stop"
            if ended is not None:
                return "stop" if pieces.stopped else ended

    def _loop(self) -> None:
        while True:
            with self._work:
                self._work.wait_for(lambda: self._calls or self._closed)
                if self._closed:
                    break
            try:
                self._pipeline.step()
            except Exception as error:  # whatever it is, those who wait must hear of it
                self._fail(EngineError(f"{self._model}: OpenVINO GenAI failed: {error}"))
                continue
            self._deliver()
        self._fail(EngineError(f"{self._model} was unloaded."))

    def _deliver(self) -> None:
        status = self._library.GenerationStatus
        reasons = self._library.GenerationFinishReason
        for number, waiting in list(self._calls.items()):
            handle = waiting.handle
            state = handle.get_status()
            tokens: list[int] = []
            ended: str | None = None
            while handle.can_read():
                for output in handle.read().values():
                    tokens += output.generated_ids
                    if output.finish_reason != reasons.NONE:
                        ended = "length" if output.finish_reason == reasons.LENGTH else "stop"
            if state != status.RUNNING:
                ended = ended or "stop"
            waiting.kept += tokens
            if ended or (waiting.kept and not waiting.whole):
                waiting.tokens.put((waiting.kept, ended))
                waiting.kept = []
            if state == status.IGNORED and not tokens:
                waiting.tokens.put(
                    OutOfCapacity(f"{self._model}: no room in the cache for this prompt now.")
                )
            if ended:
                with self._work:
                    del self._calls[number]

    def _fail(self, error: EngineError) -> None:
        with self._work:
            for waiting in self._calls.values():
                waiting.handle.cancel()
                waiting.tokens.put(error)
            self._calls.clear()


class _Waiting:
    """A call under way, between the stepping thread and its own."""

    def __init__(self, handle: Any, *, whole: bool) -> None:
        self.handle = handle
        self.whole = whole
        """The tokens are wanted together, at the end."""
        self.kept: list[int] = []
        self.tokens: queue.SimpleQueue[tuple[list[int], str | None] | Exception] = (
            queue.SimpleQueue()
        )


def _given(value: Any, default: Any) -> Any:
    return default if value is None else value
