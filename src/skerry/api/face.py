"""What every face shares: how a request becomes an inference, and what its answer carries."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Protocol

from aiohttp import web

from skerry.catalog.entry import Entry
from skerry.errors import InternalError, InvalidInput, RequestTooLarge
from skerry.settings import Settings
from skerry.tasks.base import Task
from skerry.types import Answer, AnswerStream, InferenceRequest, Inputs, new_id

TIMEOUT_HEADER = "x-skerry-timeout"
BUSY_HEADER = "x-skerry-reject-if-busy"


class Runs(Protocol):
    """Whatever runs an inference: ai.AI."""

    async def run(self, request: InferenceRequest, /) -> Answer | AnswerStream:
        """Raises AiError only."""


class Models(Protocol):
    """Whatever knows the models: catalog.Catalog."""

    def get(self, name: str, /) -> Entry:
        """Raises InvalidModelId and NoSuchModel."""

    def entries(self) -> Iterable[Entry]:
        """Every model, in the order of names."""


class Face:
    """The inference behind the HTTP faces; they turn bodies to inputs and answers to bodies."""

    def __init__(
        self, ai: Runs, models: Models, tasks: Mapping[str, Task], settings: Settings
    ) -> None:
        self.ai = ai
        self.models = models
        self.tasks = tasks
        self.settings = settings

    def entry(self, name: str) -> Entry:
        """A model by its catalog name. Raises InvalidModelId, NoSuchModel."""
        return self.models.get(name)

    def task(self, entry: Entry) -> Task:
        """The task of a model. Raises InternalError where the task is not installed."""
        task = self.tasks.get(entry.task)
        if task is None:
            raise InternalError(f"{entry.name} asks for the task {entry.task}, not installed here")
        return task

    def limit(self, task: Task) -> int:
        """Bytes of the longest body for a task."""
        return min(self.settings.max_body, task.max_bytes)

    def check_size(self, size: int, task: Task) -> None:
        """Raises RequestTooLarge for a body of `size` bytes that the task does not take."""
        if size > self.limit(task):
            raise RequestTooLarge(
                f"the body has {size} bytes; {task.name} takes at most {self.limit(task)}"
            )

    def inference(
        self,
        request: web.Request,
        model: str,
        inputs: Inputs,
        *,
        stream: bool = False,
        reject_if_busy: bool = False,
        id: str | None = None,  # noqa: A002 - the field's name
    ) -> InferenceRequest:
        """The InferenceRequest of an HTTP request: its account and its options.

        Raises InvalidInput for an option that cannot be read.
        """
        timeout = request.headers.get(TIMEOUT_HEADER)
        busy = request.headers.get(BUSY_HEADER)
        if request.rel_url.raw_query_string and busy is None:
            busy = request.query.get("rejectIfBusy")
        return InferenceRequest(
            model=model,
            inputs=inputs,
            id=id or new_id(),
            account=request.match_info.get("account", "local"),
            stream=stream,
            timeout=None if timeout is None else self._timeout(timeout),
            reject_if_busy=reject_if_busy or (busy is not None and flag("rejectIfBusy", busy)),
        )

    def _timeout(self, text: str) -> float:
        try:
            seconds = float(text)
        except ValueError:
            seconds = math.nan
        if not (math.isfinite(seconds) and seconds > 0):
            raise InvalidInput(f"{TIMEOUT_HEADER}: {text!r} is not a number of seconds above 0")
        return min(seconds, self.settings.timeout)


def flag(name: str, text: str) -> bool:
    """A boolean written in a query or a header. Raises InvalidInput."""
    lowered = text.strip().lower()
    if lowered in ("true", "1", "yes"):
        return True
    if lowered in ("false", "0", "no", ""):
        return False
    raise InvalidInput(f"{name}: {text!r} is not true or false")
