"""llama.cpp, in process, through xllamacpp's server object: text generation from GGUF files.

The server batches continuously: each call takes one of `streams` slots. Options
(`engine_options.llamacpp`):

    model            the GGUF file; default model.gguf
    slots            calls at once; default the choice's streams
    pool             tokens of the key/value cache for all slots together (8192)
    batch, ubatch    tokens of a prompt batch (512, 512)
    flash_attention  true, false; default: llama.cpp decides
    cache_type       "f16" (default) or "q8_0": the type of the key/value cache

LoRA adapters are the GGUF files in the folder `ModelFiles.loras` when the model is loaded; a call
names one by the file's stem.
"""

from __future__ import annotations

import importlib.util
import os
import secrets
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from skerry.engines.base import CallEngine, Choice, Sink
from skerry.engines.toolcalls import Tools, json_grammar, plain_messages, text_of
from skerry.errors import (
    ContextTooLong,
    EngineError,
    InvalidInput,
    LoraMissing,
    LoraNotSupported,
    OutOfCapacity,
)
from skerry.tasks.base import Call, Generate, Generated, ModelFiles

DEFAULT_CONTEXT = 4096
POOL = 8192
"""Tokens of the key/value cache for all slots together, unless the context is longer."""


class LlamaCpp(CallEngine):
    """See the module's text."""

    name = "llamacpp"
    distributions: ClassVar[tuple[str, ...]] = ("xllamacpp",)
    precisions: ClassVar[tuple[str, ...]] = ("gguf",)
    default_streams: ClassVar[int] = 8

    @classmethod
    def missing(cls) -> str | None:
        if importlib.util.find_spec("xllamacpp") is None:
            return "pip install 'skerry[llamacpp]'"
        return None

    @classmethod
    def load(cls, files: ModelFiles, choice: Choice) -> LlamaCpp:
        import xllamacpp

        options = choice.options
        path = files.path(str(options.get("model") or files.options.get("model") or "model.gguf"))
        if not path.is_file():
            raise EngineError(f"{files.name}: {path.name} is not in {files.directory}")
        slots = int(options.get("slots", choice.streams))
        context = files.context or DEFAULT_CONTEXT
        params = xllamacpp.CommonParams()
        params.model.path = str(path)
        params.n_parallel = slots
        pool = int(options.get("pool", max(context, POOL)))
        if context * slots > pool:
            # The slots share the cache; Pool makes a call wait while its part is not free.
            params.n_ctx, params.kv_unified = pool, True
        else:
            params.n_ctx = context * slots
        params.n_batch = int(options.get("batch", 512))
        params.n_ubatch = int(options.get("ubatch", 512))
        threads = choice.threads or len(os.sched_getaffinity(0))
        params.cpuparams.n_threads = threads
        params.cpuparams_batch.n_threads = threads
        if "flash_attention" in options:
            kinds = xllamacpp.llama_flash_attn_type
            params.flash_attn_type = (
                kinds.LLAMA_FLASH_ATTN_TYPE_ENABLED
                if options["flash_attention"]
                else kinds.LLAMA_FLASH_ATTN_TYPE_DISABLED
            )
        if options.get("cache_type", "f16") != "f16":
            kind = getattr(xllamacpp.ggml_type, f"GGML_TYPE_{str(options['cache_type']).upper()}")
            params.cache_type_k = params.cache_type_v = kind
        params.warmup = False
        params.verbosity = -1
        # Answers come back as the model wrote them; tools and reasoning are not llama.cpp's part.
        params.force_pure_content_parser = True
        params.reasoning_format = xllamacpp.common_reasoning_format.COMMON_REASONING_FORMAT_NONE
        loras = sorted(files.loras.glob("*.gguf")) if files.loras else []
        params.lora_adapters = [_adapter(xllamacpp, lora) for lora in loras]
        params.lora_init_without_apply = True
        # xllamacpp opens a listener whether wanted or not: a socket file of this user's, removed as
        # soon as it is bound, with a key that nobody knows, in place of a TCP port.
        params.api_keys = [secrets.token_hex(16)]
        try:
            with tempfile.TemporaryDirectory(prefix="skerry-") as folder:
                params.hostnames = [str(Path(folder) / "unused.sock")]
                server = xllamacpp.Server(params)
        except (RuntimeError, ValueError) as error:
            which = f" with the adapters of {files.loras}" if loras else ""
            raise EngineError(
                f"{files.name}: llama.cpp cannot load {path.name}{which}: {error}"
            ) from error
        names = {lora.stem: index for index, lora in enumerate(loras)}
        return cls(files, server, slots, context, names, Pool(params.n_ctx))

    def __init__(
        self,
        files: ModelFiles,
        server: Any,
        slots: int,
        context: int,
        loras: dict[str, int],
        pool: Pool,
    ) -> None:
        self._files = files
        self._server = server
        self._context = context
        self._loras = loras
        self._pool = pool
        self.capacity = slots

    def serves(self, call: Call) -> bool:
        return isinstance(call, Generate)

    def run(self, call: Call, sink: Sink) -> Generated:
        """Raises ContextTooLong with the numbers, InvalidInput, LoraMissing, LoraNotSupported."""
        if not isinstance(call, Generate):
            raise EngineError(f"llama.cpp does not serve {type(call).__name__}.")
        tools = Tools.of(call)
        request = self._request(call, tools)
        heard = _Listener(sink, tools)
        method = (
            self._server.handle_completions
            if call.messages is None
            else self._server.handle_chat_completions
        )
        try:
            with self._pool.part(min(_tokens(call), self._context)):
                method(request, heard)
        except ValueError as error:  # what llama.cpp calls an invalid request
            raise InvalidInput(f"{self._files.name}: {error}") from error
        except RuntimeError as error:
            raise EngineError(f"{self._files.name}: llama.cpp failed: {error}") from error
        if heard.raised is not None:
            raise heard.raised
        if heard.error is not None:
            raise self._error(heard.error)
        return heard.outcome()

    def close(self) -> None:
        self._server = None

    def _request(self, call: Generate, tools: Tools | None) -> dict[str, Any]:
        body: dict[str, Any] = {
            "stream": True,
            "stream_options": {"include_usage": True},
            # One event per batch of the prompt: a chance to stop before the first token.
            "return_progress": True,
            "cache_prompt": True,
            "max_tokens": min(call.max_tokens, self._context),
            "lora": self._lora(call.lora),
        }
        if call.messages is None:
            body["prompt"] = call.prompt or ""
        else:
            messages = plain_messages(call.messages)
            body["messages"] = tools.instruct(messages) if tools else messages
        for field, value in (
            ("temperature", call.temperature),
            ("top_p", call.top_p),
            ("top_k", call.top_k),
            ("min_p", call.min_p),
            ("seed", call.seed),
            ("repeat_penalty", call.repetition_penalty),
            ("frequency_penalty", call.frequency_penalty),
            ("presence_penalty", call.presence_penalty),
            ("stop", call.stop or None),
        ):
            if value is not None:
                body[field] = value
        if tools is not None:
            body["grammar"] = tools.grammar()
        elif call.json_schema is not None:
            # Not the server's own field: through its chat layer the grammar is lost at the first
            # special token, and the answer goes on unbound (xllamacpp 2026.10).
            body["grammar"] = json_grammar(call.json_schema)
        return body

    def _lora(self, name: str | None) -> list[dict[str, Any]]:
        if name is None:
            return [{"id": index, "scale": 0.0} for index in self._loras.values()]
        if self._files.loras is None:
            raise LoraNotSupported(f"{self._files.name} takes no LoRA: leave out the field `lora`.")
        if name not in self._loras:
            there = ", ".join(self._loras) or "none"
            raise LoraMissing(
                f"{self._files.name} has no LoRA {name[:100]!r}; there are: {there}. Put its GGUF"
                f" file in {self._files.loras} before the model is loaded."
            )
        return [
            {"id": index, "scale": 1.0 if each == name else 0.0}
            for each, index in self._loras.items()
        ]

    def _error(self, error: dict[str, Any]) -> Exception:
        text = str(error.get("message", error))
        if error.get("type") == "exceed_context_size_error":
            return ContextTooLong(
                f"The prompt has {error.get('n_prompt_tokens')} tokens; {self._files.name} takes"
                f" {self._context}, prompt and answer together. Shorten the prompt."
            )
        if "Context size has been exceeded" in text:
            return OutOfCapacity(f"{self._files.name}: the cache is full; try again", retry_after=1)
        if error.get("type") == "invalid_request_error":
            return InvalidInput(f"{self._files.name}: {text}")
        return EngineError(f"{self._files.name}: llama.cpp failed: {text}")


class Pool:
    """Parts of the shared key/value cache: a call waits until its own is free."""

    def __init__(self, tokens: int) -> None:
        self._free = tokens
        self._changed = threading.Condition()

    @contextmanager
    def part(self, tokens: int) -> Iterator[None]:
        """Hold so many tokens; never more than the pool has."""
        with self._changed:
            self._changed.wait_for(lambda: self._free >= tokens)
            self._free -= tokens
        try:
            yield
        finally:
            with self._changed:
                self._free += tokens
                self._changed.notify_all()


def _tokens(call: Generate) -> int:
    """Tokens that the call may take, guessed high: few tokenizers make more than one of 3 bytes."""
    texts = [call.prompt or ""]
    texts += [text_of(message.get("content")) for message in call.messages or ()]
    return sum(len(text.encode()) // 3 + 8 for text in texts) + call.max_tokens + 64


class _Listener:
    """Hears llama.cpp's stream; answering True stops the slot."""

    def __init__(self, sink: Sink, tools: Tools | None) -> None:
        self._sink = sink
        self._tools = tools
        self._parts: list[str] = []
        self._reason: str | None = None
        self._usage: dict[str, Any] = {}
        self._count = 0
        self.error: dict[str, Any] | None = None
        self.raised: Exception | None = None

    def __call__(self, chunk: dict[str, Any]) -> bool:
        try:
            return self._hear(chunk)
        except Exception as error:  # kept for run(): the library would swallow it
            self.raised = error
            return True

    def _hear(self, chunk: dict[str, Any]) -> bool:
        if "error" in chunk:
            self.error = chunk["error"]
            return True
        if "usage" in chunk:
            self._usage = chunk["usage"]
        for choice in chunk.get("choices", ()):
            delta = choice.get("delta")
            text = choice.get("text") if delta is None else delta.get("content")
            if text:
                self._parts.append(text)
                self._count += 1
                shown = text if self._tools is None else self._tools.shown(text, self._parts)
                if shown:
                    self._sink.emit(shown)
            self._reason = choice.get("finish_reason") or self._reason
        return self._sink.cancelled

    def outcome(self) -> Generated:
        text = "".join(self._parts)
        usage = self._usage
        done = Generated(
            text=text,
            finish_reason=self._reason or "stop",
            prompt_tokens=int(usage.get("prompt_tokens", 0)),
            completion_tokens=int(usage.get("completion_tokens", self._count)),
        )
        return done if self._tools is None else self._tools.read(done)


def _adapter(xllamacpp: Any, path: Path) -> Any:
    adapter = xllamacpp.CommonAdapterLoraInfo()
    adapter.path = str(path)
    adapter.scale = 0.0
    return adapter
