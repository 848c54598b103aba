"""Running models on this node: `Inference` is what the rooms above see."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from skerry.catalog.entry import Entry
from skerry.catalog.progress import Progress
from skerry.engines.base import Choice
from skerry.errors import EngineError, InternalError, NoSuchModel, OutOfCapacity
from skerry.inference.locate import Locations
from skerry.inference.messages import Load
from skerry.inference.pulls import Pulls, Store
from skerry.inference.residency import Residency
from skerry.inference.resident import Resident
from skerry.inference.status import ModelStatus
from skerry.settings import Settings
from skerry.tasks.base import ModelFiles
from skerry.types import Answer, AnswerStream, InferenceRequest

GRACE = 5.0
"""Seconds that running requests have to end when the node stops."""


class Chooser(Protocol):
    """What is needed of inference.tune.Tuner."""

    def check(self, entry: Entry) -> None: ...
    def choices(self, entry: Entry, files: ModelFiles) -> list[Choice]: ...


class Inference:
    """Answers requests with models on this machine.

    on_pull: told how far pulls are that requests have caused.
    command: the runner's command, without the descriptor of its socket.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        tuner: Chooser,
        *,
        on_pull: Callable[[Progress], None] | None = None,
        command: Sequence[str] | None = None,
        start_timeout: float = 300.0,
    ) -> None:
        self._settings = settings
        self._tuner = tuner
        self._locations = Locations()
        self._pulls = Pulls(
            store, allowed=settings.pull, wait=settings.pull_wait, on_progress=on_pull
        )
        self._residency = Residency(
            memory=settings.memory,
            keep_warm=settings.keep_warm,
            queue=settings.queue,
            command=command,
            start_timeout=start_timeout,
        )
        self._closed = False

    async def start(self) -> None:
        """Nothing needs it yet: runners start when models are asked for."""

    async def run(self, entry: Entry, request: InferenceRequest) -> Answer | AnswerStream:
        """Answer a request, loading the model and pulling it where need be.

        A stream is returned once its first piece is there. Cancelling the call, or closing the
        stream, cancels the run. Raises AiError: InferenceTimeout, OutOfCapacity, Aborted,
        NoSuchModel (not in the store, pulling off), InternalError, and what the task raises.
        """
        deadline = asyncio.get_running_loop().time() + (request.timeout or self._settings.timeout)
        resident = self._residency.find(entry.name)
        if resident is None:
            resident = await self._resident(entry, deadline, not request.reject_if_busy)
        return await resident.run(request, deadline)

    async def load(self, entry: Entry) -> ModelStatus:
        """Make a model resident and wait until it is ready. Raises AiError."""
        deadline = asyncio.get_running_loop().time() + self._settings.timeout
        resident = self._residency.find(entry.name)
        if resident is None:
            resident = await self._resident(entry, deadline, True)
        await resident.wait(deadline)
        return resident.status()

    async def unload(self, name: str, grace: float = GRACE) -> bool:
        """Take a model out of memory once its requests have ended; False if it is not resident."""
        return await self._residency.unload(name, grace)

    def status(self) -> list[ModelStatus]:
        """Every model that is resident or on its way, by name."""
        found = {each.name: each.status() for each in self._residency.all()}
        for name, (text, fraction, begun) in self._pulls.under_way().items():
            found.setdefault(
                name,
                ModelStatus(
                    model=name, state="pulling", progress=text, fraction=fraction, since=begun
                ),
            )
        return [found[name] for name in sorted(found)]

    @property
    def memory(self) -> int:
        """Bytes that resident models may hold together."""
        return self._residency.memory

    async def close(self, grace: float = GRACE) -> None:
        """Take nothing more, let what runs end within `grace` seconds (then Aborted), stop all."""
        self._closed = True
        await self._pulls.close()
        await self._residency.close(grace)

    async def _resident(self, entry: Entry, deadline: float, patient: bool) -> Resident:
        """The model, resident; those who ask at once share one way there."""
        if self._closed:
            raise OutOfCapacity(f"{entry.name}: the node is stopping", retry_after=5)
        await asyncio.to_thread(self._check_engines, entry)
        files = await self._pulls.files(entry, deadline, patient=patient)
        if (resident := self._residency.find(entry.name)) is not None:
            return resident
        load = await asyncio.to_thread(self._plan, entry, files)
        return await self._residency.bring(load, deadline, pinned=self._pinned(entry.name))

    def _loras(self, entry: Entry) -> Path:
        """Where a user puts adapters: in the node's data, which no pull or removal touches."""
        folder = entry.name.lstrip("@").replace("/", "--")
        return self._settings.data_dir.expanduser().absolute() / "loras" / folder

    def _pinned(self, name: str) -> bool:
        return name in self._settings.pin or name in self._settings.preload

    def _check_engines(self, entry: Entry) -> None:
        """Before a pull: weights that nothing here runs are not worth their download."""
        try:
            self._tuner.check(entry)
        except EngineError as error:
            raise NoSuchModel(
                f"No such model or task here (Model not found): {error}. `skerry models list`"
                " shows what runs"
            ) from error

    def _plan(self, entry: Entry, files: ModelFiles) -> Load:
        """What the runner is told. Reads files: not for the loop."""
        try:
            choices = self._tuner.choices(entry, files)
        except EngineError as error:
            raise InternalError(f"{entry.name} cannot be run here: {error}") from error
        if not choices:
            raise InternalError(f"{entry.name} names no engine that can run it")
        names = {choice.engine for choice in choices}
        choices = [_placed(entry, choice) for choice in choices]
        return Load(
            name=files.name,
            task=files.task,
            directory=str(files.directory),
            options=files.options,
            context=files.context,
            choices=choices,
            task_at=self._locations.task(files.task),
            engines_at={name: at for name in names if (at := self._locations.engine(name))},
            loras=str(self._loras(entry)) if entry.lora else "",
        )


def _placed(entry: Entry, choice: Choice) -> Choice:
    """The choice, told where the other server is: `upstream` is the entry's, not the engine's."""
    if choice.engine != "upstream" or entry.upstream is None:
        return choice
    return msgspec.structs.replace(choice, options={"url": entry.upstream, **choice.options})
