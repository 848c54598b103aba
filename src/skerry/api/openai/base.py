"""What the OpenAI endpoints share: model names, fields, and one run."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from skerry.api.answers import refuse
from skerry.api.body import parse, read
from skerry.api.errors import openai_form
from skerry.api.face import Face
from skerry.api.sse import begun, close
from skerry.catalog.entry import Entry
from skerry.errors import AiError, InvalidInput
from skerry.types import Answer, AnswerStream, InferenceRequest, Inputs

T = TypeVar("T")

CHAT = "text-generation"
EMBEDDINGS = "text-embeddings"
MAX_CHOICES = 16
"""Most answers of one request (`n`, or prompts of a list)."""


class StreamOptions(msgspec.Struct):
    """How a stream is to be sent."""

    include_usage: bool | None = None


class OpenAIBase:
    """An OpenAI endpoint: its routes stand in the subclass."""

    def __init__(self, face: Face) -> None:
        self.face = face

    async def body(self, request: web.Request, decoder: msgspec.json.Decoder[T]) -> tuple[T, int]:
        """The typed body and its size in bytes. Raises AiError."""
        data = await read(request, self.face.settings.max_body)
        return parse(data, decoder), len(data)

    def entry(self, name: str, task: str, size: int) -> Entry:
        """The model by its catalog name, the @ optional.

        Raises NoSuchModel, InvalidModelId; InvalidInput where it is for another task, and
        RequestTooLarge where a body of `size` bytes is more than that takes.
        """
        entry = self.find(name)
        if entry.task != task:
            fits = [other.name for other in self.face.models.entries() if other.task == task]
            hint = f"; for {task} there are {', '.join(fits[:4])}" if fits else ""
            raise InvalidInput(f"model: {entry.name} is for {entry.task}, not for {task}{hint}")
        self.face.check_size(size, self.face.task(entry))
        return entry

    def find(self, name: str) -> Entry:
        """The model by its catalog name, the @ optional. Raises NoSuchModel, InvalidModelId."""
        return self.face.entry(name if name.startswith("@") else "@" + name)

    async def start(self, ask: InferenceRequest) -> Answer | AnswerStream:
        """One run; a stream has its first piece. Raises AiError."""
        answer = await self.face.ai.run(ask)
        if isinstance(answer, AnswerStream):
            answer.pieces = await begun(answer.pieces)
        return answer

    async def start_all(self, asks: Sequence[InferenceRequest]) -> list[Answer | AnswerStream]:
        """Several runs at once, in order; the first failure ends the others. Raises AiError."""
        if len(asks) == 1:
            return [await self.start(asks[0])]
        tasks: list[asyncio.Task[Answer | AnswerStream]] = []
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self.start(ask)) for ask in asks]
        except BaseException as error:
            for task in tasks:
                if not task.cancelled() and task.exception() is None:
                    done = task.result()
                    if isinstance(done, AnswerStream):
                        await close(done.pieces)
            if isinstance(error, BaseExceptionGroup):
                raise _first(error) from error
            raise
        return [task.result() for task in tasks]


def _first(found: BaseException) -> BaseException:
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found


def given(**fields: Any) -> Inputs:
    """The fields that are not None: clients send null for what they leave to the model."""
    return {name: value for name, value in fields.items() if value is not None}


def refuse_field(name: str, value: Any, why: str) -> None:
    """Raises InvalidInput where a field that cannot be honoured is really used."""
    if value is not None and value is not False and value != [] and value != 0:
        raise InvalidInput(f"{name}: {why}; leave it out")


def count(name: str, value: int | None) -> int:
    """A number of answers. Raises InvalidInput."""
    chosen = 1 if value is None else value
    if not 1 <= chosen <= MAX_CHOICES:
        raise InvalidInput(f"{name}: {chosen} is not between 1 and {MAX_CHOICES}")
    return chosen


def now() -> int:
    """Unix time in whole seconds."""
    return int(time.time())


def refused(error: AiError, req_id: str) -> web.Response:
    """An error in OpenAI's form."""
    return refuse(error, openai_form, req_id)
