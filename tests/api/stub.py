"""A stub of ai.AI: answers by the model's task, at once, and notes what it was asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

import msgspec
import numpy as np

from skerry.catalog.entry import Entry
from skerry.errors import AiError, InvalidModelId, NoSuchModel
from skerry.inference.status import ModelStatus
from skerry.tasks.base import Task
from skerry.tasks.validate import InputCheck
from skerry.types import Answer, AnswerStream, InferenceRequest, Timing, Usage

CHAT = "@test/chat"
EMBED = "@test/author/embed"
IMAGE = "@test/image"
SPEECH = "@test/speech"
OLD = "@test/old"

TASKS = {
    CHAT: "text-generation",
    EMBED: "text-embeddings",
    IMAGE: "image-classification",
    SPEECH: "text-to-speech",
}


def entry(name: str, task: str, **fields: Any) -> Entry:
    made = {"id": name, "description": f"the {task} of the tests", "licence": "MIT"} | fields
    return msgspec.convert({"name": name, "task": task} | made, Entry)


class StubCatalog:
    """The models of TASKS, one retired, and 60 more for paging."""

    def __init__(self) -> None:
        found = [entry(name, task, context=2048) for name, task in TASKS.items()]
        found.append(
            entry(OLD, "text-generation", deprecation={"date": "2026-01-01", "successor": CHAT})
        )
        found += [
            entry(f"@many/model{at:02}", "text-classification", evidence="unverified")
            for at in range(60)
        ]
        self._entries = {each.name: each for each in sorted(found, key=lambda each: each.name)}

    def get(self, name: str) -> Entry:
        if not name.startswith("@") or "/" not in name:
            raise InvalidModelId(f"{name[:80]!r} is no model name like @cf/author/name")
        if name not in self._entries:
            raise NoSuchModel.named(name)
        return self._entries[name]

    def entries(self) -> Iterable[Entry]:
        return self._entries.values()


class StubStatus:
    def __init__(self) -> None:
        self.models: list[ModelStatus] = []

    def status(self) -> list[ModelStatus]:
        return self.models


class StubAI:
    """Answers deterministically. `fail`: raised instead; `fail_after`: raised after two pieces."""

    def __init__(self, tasks: dict[str, Task], catalog: StubCatalog) -> None:
        self._tasks = tasks
        self._catalog = catalog
        self._checks: dict[str, InputCheck] = {}
        self.asked: list[InferenceRequest] = []
        self.fail: Exception | None = None
        self.fail_after: Exception | None = None
        self.hang = False
        self.pause = 0.0
        self.begun = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.standin_for: str | None = None

    async def run(self, request: InferenceRequest, /) -> Answer | AnswerStream:
        self.asked.append(request)
        self.begun.set()
        if self.fail is not None:
            raise self.fail
        found = self._catalog.get(request.model)
        check = self._checks.get(found.name)
        if check is None:
            check = InputCheck(self._tasks[found.task], found.schema, found.defaults, found.options)
            self._checks[found.name] = check
        request.inputs = check.check(request.inputs)
        if self.hang:
            try:
                await asyncio.sleep(3600)
            finally:
                self.cancelled.set()
        if request.stream and found.task == "text-generation":
            return AnswerStream(
                pieces=self._pieces(request), model=found.name, standin_for=self.standin_for
            )
        value, usage, kind = answer_of(found.task, request.inputs)
        return Answer(
            value=value,
            model=found.name,
            standin_for=self.standin_for,
            usage=usage,
            timing=Timing(queue=0.001, load=0.0, run=0.002),
            content_type=kind,
        )

    async def _pieces(self, request: InferenceRequest) -> AsyncIterator[dict[str, Any]]:
        value, usage, _ = answer_of("text-generation", request.inputs)
        try:
            for at, word in enumerate(pieces_of(str(value["response"]))):
                if at == 2 and self.fail_after is not None:
                    raise self.fail_after
                if self.pause:
                    await asyncio.sleep(self.pause)
                yield {"response": word}
            yield value | {"response": "", "usage": usage.json()}
        except (GeneratorExit, asyncio.CancelledError):
            self.cancelled.set()
            raise


def pieces_of(text: str) -> list[str]:
    words = text.split(" ")
    return [word if at == 0 else f" {word}" for at, word in enumerate(words)] if text else []


def answer_of(task: str, inputs: dict[str, Any]) -> tuple[Any, Usage, str | None]:
    if task == "text-embeddings":
        texts = [inputs["text"]] if isinstance(inputs["text"], str) else inputs["text"]
        data = np.array([[len(text), 0.1, -2.5, 1e-7] for text in texts], np.float32)
        value: Any = {"shape": list(data.shape), "data": data, "pooling": "mean"}
        return value, Usage(sum(len(text.split()) for text in texts), 0), None
    if task == "image-classification":
        return [{"label": f"{len(inputs['image'])} bytes", "score": 0.5}], Usage(), None
    if task == "text-classification":
        return (
            [{"label": "LONG" if len(inputs["text"]) > 9 else "SHORT", "score": 1.0}],
            Usage(),
            None,
        )
    if task == "text-to-speech":
        return b"RIFF\x00\x01sound", Usage(), "audio/wav"
    said = inputs["prompt"] if "prompt" in inputs else inputs["messages"][-1].get("content") or ""
    if not isinstance(said, str):
        said = " ".join(part["text"] for part in said)
    calls = []
    if inputs.get("tools"):
        tool = inputs["tools"][0]
        name = tool.get("function", tool)["name"]
        calls = [{"name": name, "arguments": {"city": "Oslo"}}]
    response: Any = "" if calls else f"You said: {said}"
    if (inputs.get("response_format") or {}).get("type") == "json_schema":
        response = {"answer": said}
    usage = Usage(len(said.split()), 4)
    value = {
        "response": response,
        "tool_calls": calls,
        "usage": usage.json(),
        "finish_reason": "tool_calls" if calls else "stop",
    }
    return value, usage, None


def errors_of(kind: type[AiError]) -> AiError:
    return kind("what went wrong", retry_after=2.2 if kind.retryable else None)
