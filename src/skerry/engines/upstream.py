"""Upstream: any OpenAI-compatible server does the work (vLLM, llama-server, another Skerry node).

Nothing is loaded here; the runner holds connections. Embeddings are a call too (`Embed`): the
other server tokenises. Options (`engine_options.upstream`):

    url       base URL, up to and with /v1; default: the entry's `upstream`
    model     the model's name there; default: its name here
    key_env   the environment variable that holds the API key; no key without it
    timeout   seconds that the other server may be silent; default 300
    capacity  calls at once; default: the choice's streams, at least 16
"""

from __future__ import annotations

import http.client
import os
import socket
from typing import Any, ClassVar
from urllib.parse import urlsplit

import msgspec
import numpy as np

from skerry.engines.base import CallEngine, Choice, Sink
from skerry.engines.upstream_stream import Cutter, events
from skerry.errors import (
    Aborted,
    AiError,
    ContextTooLong,
    EngineError,
    InferenceTimeout,
    InvalidInput,
    LoraNotSupported,
    ModelDeprecated,
    NoSuchModel,
    OutOfCapacity,
)
from skerry.tasks.base import Call, Embed, Embedded, Generate, Generated, ModelFiles, Outcome


class Upstream(CallEngine):
    """See the module's text."""

    name = "upstream"
    precisions: ClassVar[tuple[str, ...]] = ("fp32",)
    default_streams: ClassVar[int] = 16

    @classmethod
    def missing(cls) -> str | None:
        return None

    @classmethod
    def load(cls, files: ModelFiles, choice: Choice) -> Upstream:
        options = {**files.options, **choice.options}
        url = str(options.get("url") or options.get("upstream") or "")
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise EngineError(
                f"{files.name}: the engine upstream needs a base URL like http://host:8000/v1"
                f" (engine_options.upstream.url), not {url!r}"
            )
        variable = options.get("key_env")
        key = os.environ.get(str(variable)) if variable else None
        if variable and not key:
            raise EngineError(f"{files.name}: the environment variable {variable} is not set")
        return cls(files, url, key, options, max(16, choice.streams))

    def __init__(
        self,
        files: ModelFiles,
        url: str,
        key: str | None,
        options: dict[str, Any],
        capacity: int,
    ) -> None:
        self._name = files.name
        self._url = urlsplit(url)
        self._headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if key:
            self._headers["Authorization"] = f"Bearer {key}"
        self._model = str(options.get("model", files.name))
        self._timeout = float(options.get("timeout", 300))
        self.capacity = int(options.get("capacity", capacity))

    def serves(self, call: Call) -> bool:
        return isinstance(call, Generate | Embed)

    def run(self, call: Call, sink: Sink) -> Outcome:
        """Raises the AiError that the other server's status stands for."""
        if isinstance(call, Embed):
            return self._embed(call, sink)
        if isinstance(call, Generate):
            return self._generate(call, sink)
        raise EngineError(f"The engine upstream does not serve {type(call).__name__}.")

    def _embed(self, call: Embed, sink: Sink) -> Embedded:
        body = {"model": self._model, "input": call.texts, "encoding_format": "float"}
        connection = self._connect()
        try:
            with Cutter(sink, self._open(connection)) as cutter:
                try:
                    answer = self._json(self._post(connection, "/embeddings", body))
                except (AiError, EngineError) as error:
                    if not cutter.cut:
                        raise
                    raise Aborted(f"{self._name}: cancelled") from error
        finally:
            connection.close()
        try:
            rows = sorted(answer["data"], key=lambda row: row["index"])
            vectors = np.array([row["embedding"] for row in rows], np.float32)
            tokens = int((answer.get("usage") or {}).get("prompt_tokens", 0))
        except (KeyError, TypeError, ValueError) as error:
            raise self._odd("embeddings", error) from error
        if vectors.ndim != 2 or len(vectors) != len(call.texts):
            raise self._odd(f"{len(call.texts)} embeddings", None)
        return Embedded(vectors=vectors, prompt_tokens=tokens)

    def _generate(self, call: Generate, sink: Sink) -> Generated:
        if call.lora is not None:
            raise LoraNotSupported(f"{self._name} runs on another server, which takes no LoRA.")
        path = "/completions" if call.messages is None else "/chat/completions"
        connection = self._connect()
        heard = _Heard(sink)
        try:
            # A thread that waits in a read cannot look at the sink; cutting the socket wakes it.
            with Cutter(sink, self._open(connection)) as cutter:
                try:
                    self._read(self._post(connection, path, _body(call, self._model)), heard, sink)
                except (AiError, EngineError):
                    if not cutter.cut:
                        raise
            return heard.outcome()
        finally:
            # Closing is how the other server learns that nobody waits.
            connection.close()

    def _read(self, response: http.client.HTTPResponse, heard: _Heard, sink: Sink) -> None:
        try:
            for event in events(response):
                if "error" in event:
                    raise self._failed(500, event)
                heard.hear(event)
                if sink.cancelled:
                    return
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._broken(error) from error
        if not heard.reason and not sink.cancelled:
            raise self._odd("a whole stream", None)

    def _open(self, connection: http.client.HTTPConnection) -> socket.socket:
        try:
            connection.connect()
        except OSError as error:
            raise self._broken(error) from error
        sock: socket.socket = connection.sock
        return sock

    def _connect(self) -> http.client.HTTPConnection:
        kind = (
            http.client.HTTPSConnection
            if self._url.scheme == "https"
            else http.client.HTTPConnection
        )
        assert self._url.hostname is not None
        return kind(self._url.hostname, self._url.port, timeout=self._timeout)

    def _post(
        self, connection: http.client.HTTPConnection, path: str, body: dict[str, Any]
    ) -> http.client.HTTPResponse:
        target = self._url.path.rstrip("/") + path
        try:
            connection.request("POST", target, msgspec.json.encode(body), self._headers)
            response = connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            raise self._broken(error) from error
        if response.status != 200:
            raise self._refused(response)
        return response

    def _json(self, response: http.client.HTTPResponse) -> Any:
        try:
            return msgspec.json.decode(response.read())
        except (OSError, http.client.HTTPException) as error:
            raise self._broken(error) from error
        except msgspec.DecodeError as error:
            raise self._odd("JSON", error) from error

    def _refused(self, response: http.client.HTTPResponse) -> Exception:
        try:
            value = msgspec.json.decode(response.read(65536))
        except (msgspec.DecodeError, OSError, http.client.HTTPException):
            value = {}
        return self._failed(response.status, value, response.getheader("Retry-After"))

    def _failed(self, status: int, value: Any, wait: str | None = None) -> Exception:
        """The error of errors.py for a status and body of the other server."""
        error = value.get("error", value) if isinstance(value, dict) else {}
        error = error if isinstance(error, dict) else {"message": error}
        text = str(error.get("message", f"HTTP {status}"))[:500]
        kind = f"{error.get('type', '')} {error.get('code', '')}"
        said = f"{self._name}: the server behind it answered: {text}"
        if "context_length" in kind or "context_size" in kind or "maximum context" in text:
            return ContextTooLong(said)
        if status in {429, 503}:
            try:
                seconds = float(wait) if wait else 1.0
            except ValueError:  # an HTTP date
                seconds = 1.0
            return OutOfCapacity(said, retry_after=seconds)
        if status in {408, 504}:
            return InferenceTimeout(said)
        if status == 404 or "model_not_found" in kind or "No such model" in text:
            return NoSuchModel(f"{said} (No such model; Model not found there: {self._model})")
        if status == 410:
            return ModelDeprecated(said)
        if status in {400, 413, 422}:
            return InvalidInput(said)
        if status in {401, 403}:
            return EngineError(f"{said}; check the API key in the variable key_env names")
        return EngineError(f"{said} (HTTP {status})")

    def _broken(self, error: Exception) -> AiError | EngineError:
        where = f"{self._url.scheme}://{self._url.netloc.rpartition('@')[2]}"
        if isinstance(error, TimeoutError | socket.timeout):
            return InferenceTimeout(
                f"{self._name}: {where} said nothing for {self._timeout:g} seconds"
            )
        return EngineError(f"{self._name}: the connection to {where} failed: {error}")

    def _odd(self, wanted: str, error: Exception | None) -> EngineError:
        detail = f": {error}" if error else ""
        return EngineError(f"{self._name}: the server behind it did not send {wanted}{detail}")


def _body(call: Generate, model: str) -> dict[str, Any]:
    body: dict[str, Any] = {
        "model": model,
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": call.max_tokens,
    }
    if call.messages is None:
        body["prompt"] = call.prompt or ""
    else:
        body["messages"] = call.messages
    for field in ("temperature", "top_p", "seed", "frequency_penalty", "presence_penalty"):
        if getattr(call, field) is not None:
            body[field] = getattr(call, field)
    # Not OpenAI's, but known by vLLM, llama-server and Skerry: sent only where asked for.
    for field in ("top_k", "min_p", "repetition_penalty"):
        if getattr(call, field) is not None:
            body[field] = getattr(call, field)
    if call.stop:
        body["stop"] = call.stop
    if call.json_schema is not None:
        body["response_format"] = (
            {"type": "json_schema", "json_schema": {"name": "answer", "schema": call.json_schema}}
            if call.json_schema
            else {"type": "json_object"}
        )
    if call.tools:
        body["tools"] = call.tools
        if call.tool_choice is not None:
            body["tool_choice"] = call.tool_choice
    return body


class _Heard:
    """Puts the answer together from a stream's events."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._parts: list[str] = []
        self._calls: dict[int, dict[str, str]] = {}
        self._usage: dict[str, Any] = {}
        self.reason = ""

    def hear(self, event: dict[str, Any]) -> None:
        self._usage = event.get("usage") or self._usage
        for choice in event.get("choices") or ():
            delta = choice.get("delta") or {}
            text = choice.get("text") or delta.get("content")
            if text:
                self._parts.append(text)
                self._sink.emit(text)
            for part in delta.get("tool_calls") or ():
                call = self._calls.setdefault(part.get("index", 0), {"name": "", "arguments": ""})
                function = part.get("function") or {}
                call["name"] += function.get("name") or ""
                call["arguments"] += function.get("arguments") or ""
            self.reason = choice.get("finish_reason") or self.reason

    def outcome(self) -> Generated:
        calls = [
            {"name": call["name"], "arguments": _arguments(call["arguments"])}
            for _, call in sorted(self._calls.items())
        ]
        return Generated(
            text="".join(self._parts),
            finish_reason="tool_calls" if calls else self.reason or "stop",
            prompt_tokens=int(self._usage.get("prompt_tokens", 0)),
            completion_tokens=int(self._usage.get("completion_tokens", len(self._parts))),
            tool_calls=calls,
        )


def _arguments(text: str) -> Any:
    try:
        return msgspec.json.decode(text) if text else {}
    except msgspec.DecodeError:  # passed on as the other model wrote it
        return text
