"""Pulling a model because a request asks for it: one pull, many who wait, none who stops it."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from typing import Protocol

from skerry.catalog.entry import Entry
from skerry.catalog.progress import Progress, Report
from skerry.errors import CatalogError, InternalError, NoSuchModel, OutOfCapacity
from skerry.tasks.base import ModelFiles


class Store(Protocol):
    """What is needed of catalog.store.Store."""

    def ready(self, entry: Entry) -> ModelFiles | None: ...
    async def pull(self, entry: Entry, progress: Report | None = None) -> ModelFiles: ...


class _Pull:
    def __init__(self, task: asyncio.Task[ModelFiles]) -> None:
        self.task = task
        self.begun = time.time()
        self.progress: Progress | None = None


class Pulls:
    """The files of models, pulled where they are not in the store.

    allowed: False: a model that is not in the store is an error.
    wait: seconds that a request waits for a pull.
    """

    def __init__(
        self,
        store: Store,
        *,
        allowed: bool,
        wait: float,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> None:
        self._store = store
        self._allowed = allowed
        self._wait = wait
        self._on_progress = on_progress
        self._pulls: dict[str, _Pull] = {}
        self._ended = 0

    async def files(self, entry: Entry, deadline: float, *, patient: bool = True) -> ModelFiles:
        """The model's files, once they are in the store.

        patient: False: do not wait for a pull. The pull goes on whoever gives up. Raises
        OutOfCapacity saying how far it is, NoSuchModel where pulling is off, InternalError where
        it failed.
        """
        while (pull := self._pulls.get(entry.name)) is None:
            ended = self._ended
            ready = await asyncio.to_thread(self._store.ready, entry)
            if ready is not None:
                return ready
            if not self._allowed:
                raise NoSuchModel(
                    f"No such model {entry.name} in the store (Model not found) and pulling is off."
                    f" Run: skerry models pull {entry.name}"
                )
            if entry.name not in self._pulls and ended == self._ended:
                # No pull has come and gone since the store was asked.
                self._begin(entry)
        left = max(0.0, deadline - asyncio.get_running_loop().time())
        wait = min(left, self._wait) if patient else 0.0
        done, _ = await asyncio.wait({pull.task}, timeout=wait)
        if not done:
            raise self._being_pulled(entry, pull)
        try:
            return pull.task.result()
        except asyncio.CancelledError as error:
            raise OutOfCapacity(f"The pull of {entry.name} was stopped", retry_after=5) from error
        except CatalogError as error:
            raise InternalError(f"{entry.name} cannot be pulled: {error}") from error

    def under_way(self) -> dict[str, tuple[str, float, float]]:
        """Model -> (how far in words, fraction, when it began in epoch seconds)."""
        return {
            name: (_how_far(pull.progress), _fraction(pull.progress), pull.begun)
            for name, pull in sorted(self._pulls.items())
        }

    async def close(self) -> None:
        """Stop every pull; what was downloaded stays and is continued later."""
        tasks = {pull.task for pull in self._pulls.values()}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _begin(self, entry: Entry) -> None:
        def report(progress: Progress) -> None:
            pull.progress = progress
            if self._on_progress is not None:
                self._on_progress(progress)

        task = asyncio.get_running_loop().create_task(
            self._store.pull(entry, report), name=f"pull {entry.name}"
        )
        pull = self._pulls[entry.name] = _Pull(task)
        task.add_done_callback(lambda done: self._over(entry.name, done))

    def _over(self, name: str, task: asyncio.Task[ModelFiles]) -> None:
        self._pulls.pop(name, None)
        self._ended += 1
        if not task.cancelled():
            task.exception()  # read, so that a failure that nobody waits for is no warning

    def _being_pulled(self, entry: Entry, pull: _Pull) -> OutOfCapacity:
        fraction = _fraction(pull.progress)
        took = time.time() - pull.begun
        left = took / fraction - took if fraction > 0.01 else 10.0
        return OutOfCapacity(
            f"{entry.name} is being pulled: {_how_far(pull.progress)}. Ask again",
            retry_after=float(math.ceil(min(600.0, max(1.0, left)))),
        )


def _fraction(progress: Progress | None) -> float:
    return (progress.fraction or 0.0) if progress else 0.0


def _how_far(progress: Progress | None) -> str:
    if progress is None:
        return "begun"
    if progress.phase == "convert":
        return "converting"
    if not progress.all_total:
        return f"{progress.all_done / 1e6:.1f} MB so far"
    return f"{100 * _fraction(progress):.0f} % of {progress.all_total / 1e6:.0f} MB"
