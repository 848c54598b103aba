"""A node's inference room over a stub store, with real runner processes."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from skerry.catalog.entry import Entry
from skerry.catalog.progress import Report
from skerry.engines.base import Choice
from skerry.inference.core import Inference
from skerry.settings import Settings
from skerry.tasks.base import ModelFiles
from skerry.types import Answer, AnswerStream, InferenceRequest


class StubStore:
    """Holds every model in one folder, but those in `absent`, whose pull `pulling` does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.absent: set[str] = set()
        self.pulls = 0
        self.pulling: Callable[[Entry, Report], Any] | None = None

    def ready(self, entry: Entry) -> ModelFiles | None:
        return None if entry.name in self.absent else self.files(entry)

    async def pull(self, entry: Entry, progress: Report | None = None) -> ModelFiles:
        self.pulls += 1
        if self.pulling is not None:
            assert progress is not None
            await self.pulling(entry, progress)
        self.absent.discard(entry.name)
        return self.files(entry)

    def files(self, entry: Entry) -> ModelFiles:
        return ModelFiles(entry.name, entry.task, self.folder, entry.options)


class StubTuner:
    """One choice per engine that the entry names, with its engine options."""

    def check(self, entry: Entry) -> None:
        """Every engine is there."""

    def choices(self, entry: Entry, files: ModelFiles) -> list[Choice]:
        return [
            Choice(
                engine=name,
                streams=entry.engine_options.get(name, {}).get("streams", 2),
                up_to=entry.engine_options.get(name, {}).get("up_to", 0),
                options=entry.engine_options.get(name, {}),
            )
            for name in entry.engines
        ]


class Bench:
    """An Inference and short ways to ask it."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.store = StubStore(folder)
        start_timeout = settings.pop("start_timeout", 60.0)
        self.settings = Settings(data_dir=folder, models=folder, **settings)
        self.inference = Inference(
            self.settings, self.store, StubTuner(), start_timeout=start_timeout
        )
        self._ids = itertools.count()

    async def run(
        self, entry: Entry, *, stream: bool = False, timeout: float = 20.0, busy: bool = False,
        **inputs: Any,
    ) -> Answer | AnswerStream:  # fmt: skip
        request = InferenceRequest(
            model=entry.name, inputs=inputs, id=str(next(self._ids)), stream=stream,
            timeout=timeout, reject_if_busy=busy,
        )  # fmt: skip
        return await self.inference.run(entry, request)

    async def answer(self, entry: Entry, **inputs: Any) -> Answer:
        answer = await self.run(entry, **inputs)
        assert isinstance(answer, Answer)
        return answer

    async def stream(self, entry: Entry, **inputs: Any) -> AnswerStream:
        answer = await self.run(entry, stream=True, **inputs)
        assert isinstance(answer, AnswerStream)
        return answer


def entry(name: str, engine: str | list[str] = "stub-tensor", **options: Any) -> Entry:
    """A model of the stub; `options` are its engine's, `model` its own."""
    engines = [engine] if isinstance(engine, str) else engine
    own = options.pop("model", {})
    return Entry(
        name=f"@stub/{name}", id=name, description="", licence="MIT",
        task="stub-rows" if engines[0] == "stub-tensor" else "stub-calls",
        engines=engines, options=own,
        engine_options={each: options.get(each, options) for each in engines},
    )  # fmt: skip


async def eventually(holds: Callable[[], Any], seconds: float = 20.0) -> None:
    """Wait until `holds()`; fails where it does not within `seconds`."""
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110 (what it waits for is outside this process)
            await asyncio.sleep(0.01)
