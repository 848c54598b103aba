"""What endpoints that name their model in the body share, whatever their dialect: the typed body,
the model, the runs, and the answer, whole or as a stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, ClassVar, TypeVar

import msgspec
from aiohttp import web

from skerry.api.answers import dump, headers_of, refuse, reply
from skerry.api.body import parse, read
from skerry.api.errors import Form
from skerry.api.face import Face
from skerry.api.generated import End, deltas
from skerry.api.sse import begun, close, send
from skerry.catalog.entry import Entry
from skerry.errors import AiError, InvalidInput
from skerry.types import Answer, AnswerStream, InferenceRequest, Inputs

T = TypeVar("T")

CHAT = "text-generation"
EMBEDDINGS = "text-embeddings"

Texts = list[AsyncIterator[str | End]]
"""Streams of one request, each its texts and then its End."""


class Endpoint:
    """An endpoint of one dialect: its handlers stand in the subclass."""

    form: ClassVar[Form]
    """How the dialect writes an error."""

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

    async def answer(
        self,
        request: web.Request,
        asks: Sequence[InferenceRequest],
        whole: Callable[[list[Answer]], dict[str, Any]],
        events: Callable[[Texts, str], AsyncIterator[bytes]],
    ) -> web.StreamResponse:
        """The answer of one request that may want several runs, `asks`, all streamed or none.

        whole: the JSON of whole answers.  events: the events of streams, and who answered.
        """
        first = asks[0]
        for ask in asks:
            ask.json_may_be_cut = True  # finish_reason tells it
        try:
            answers = await self._start_all(asks)
        except AiError as error:
            return self.refused(error, first.id)
        streams = [each for each in answers if isinstance(each, AnswerStream)]
        if not streams:
            finished = [each for each in answers if isinstance(each, Answer)]
            return reply(dump(whole(finished)), headers_of(finished[0], first.id))
        texts = [deltas(each.pieces, f"{first.id}{at}") for at, each in enumerate(streams)]
        return await send(
            request,
            events(texts, streams[0].model),
            [each.pieces for each in streams],
            headers_of(streams[0], first.id),
            type(self).form,
            first.timeout or self.face.settings.timeout,
        )

    def refused(self, error: AiError, req_id: str) -> web.Response:
        """An error in the dialect's form."""
        return refuse(error, type(self).form, req_id)

    async def _start(self, ask: InferenceRequest) -> Answer | AnswerStream:
        """One run; a stream has its first piece. Raises AiError."""
        answer = await self.face.ai.run(ask)
        if isinstance(answer, AnswerStream):
            answer.pieces = await begun(answer.pieces)
        return answer

    async def _start_all(self, asks: Sequence[InferenceRequest]) -> list[Answer | AnswerStream]:
        """Several runs at once, in order; the first failure ends the others. Raises AiError."""
        if len(asks) == 1:
            return [await self._start(asks[0])]
        tasks: list[asyncio.Task[Answer | AnswerStream]] = []
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._start(ask)) for ask in asks]
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
