"""One tuning under way: candidates measured one after the other, the best ones again in turn."""

from __future__ import annotations

import contextlib
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from skerry.catalog.entry import Entry
from skerry.engines.base import Choice
from skerry.inference.tune_child import Child
from skerry.inference.tune_measure import Failed, Job
from skerry.inference.tune_report import Candidate, OnProgress, TuneProgress, below_floor
from skerry.tasks.base import ModelFiles

LIMIT = 60.0
"""Seconds that a candidate may take to load and be measured."""
LONG_LIMIT = 300.0
"""The same for one that quantises first, and for one that generates."""
FINALISTS = 3
NEAR = 0.75
"""Of the best score: what a candidate needs to be measured again in the run-off."""
ROUNDS = 3


class TuneRun:
    """One tuning under way."""

    def __init__(
        self,
        entry: Entry,
        files: ModelFiles,
        seconds: float,
        budget: float,
        progress: OnProgress | None,
    ) -> None:
        self.unit = ""
        self._entry = entry
        self._files = files
        self._seconds = seconds
        self._budget = budget
        self._progress = progress
        self._start = time.monotonic()
        self._made: dict[tuple[str, str], set[str]] = {}

    def elapsed(self) -> float:
        return round(time.monotonic() - self._start, 1)

    async def measure(self, found: Sequence[Candidate]) -> None:
        """Fill in the candidates' figures; refuse what fails, errs or is too late."""
        precisions = [one.choice.precision for one in found]
        exact = "fp32" if "fp32" in precisions else precisions[0]
        with tempfile.TemporaryDirectory(prefix="skerry-tune-") as folder:
            reference = Path(folder) / "reference.npz"
            for at, candidate in enumerate(found):
                self._tell(candidate.label, at / (len(found) + 1))
                if self.elapsed() > self._budget:
                    candidate.refuse(f"not measured: {self._budget:.0f} s were used up")
                elif (
                    self.unit == "rows"
                    and not reference.exists()
                    and (candidate.choice.precision != exact)
                ):
                    candidate.refuse(f"there is no {exact} result to compare it with")
                else:
                    await self._try(candidate, reference)
        self._tell("the best again", len(found) / (len(found) + 1))
        await self._run_off(found)
        self._tell("done", 1.0)

    async def _try(self, candidate: Candidate, reference: Path) -> None:
        choice = candidate.choice
        limit = LONG_LIMIT if choice.precision in {"int8", "gguf"} else LIMIT
        before = listing(self._files.directory)
        async with Child() as child:
            answer = await child.ask(self._job(choice, str(reference)), limit)
        new = listing(self._files.directory) - before
        self._made.setdefault((choice.engine, choice.precision), set()).update(new)
        if isinstance(answer, Failed):
            candidate.refuse(answer.message)
            return
        self.unit = answer.unit
        candidate.rates = answer.rates
        candidate.load_seconds = answer.load_seconds
        candidate.bytes = answer.bytes
        candidate.accuracy = answer.accuracy
        if answer.accuracy is not None and (why := below_floor(answer.accuracy)):
            candidate.refuse(why)

    async def _run_off(self, found: Sequence[Candidate]) -> None:
        """The few best, side by side and in turn: what disturbs one then disturbs all."""
        open_ = [one for one in found if one.state == "open" and one.rates]
        if self.unit != "rows" or len(open_) < 2:
            return
        best = max(one.score for one in open_)
        finalists = sorted(open_, key=lambda one: -one.score)[:FINALISTS]
        finalists = [one for one in finalists if one.score >= NEAR * best]
        if len(finalists) < 2:
            return
        rounds: list[list[dict[str, float]]] = [[] for _ in finalists]
        async with contextlib.AsyncExitStack() as stack:
            children = [await stack.enter_async_context(Child()) for _ in finalists]
            for _ in range(ROUNDS):
                for child, one, rates in zip(children, finalists, rounds, strict=True):
                    answer = await child.ask(self._job(one.choice, None), LIMIT)
                    if isinstance(answer, Failed):
                        one.refuse(f"the second time: {answer.message}")
                    else:
                        rates.append(answer.rates)
        for one, rates in zip(finalists, rounds, strict=True):
            if one.state == "open":
                one.rates = {
                    name: statistics.median(each[name] for each in rates) for name in rates[0]
                }

    def keep(self, choices: Sequence[Choice]) -> list[str]:
        """Delete what only the refused and the slower made; the names of what stays."""
        used = {(choice.engine, choice.precision) for choice in choices}
        stays = {name for pair in used for name in self._made.get(pair, set())}
        for names in self._made.values():
            for name in names - stays:
                self._files.path(name).unlink(missing_ok=True)
        return sorted(stays)

    def _job(self, choice: Choice, reference: str | None) -> Job:
        files = self._files
        return Job(
            name=files.name,
            task=files.task,
            directory=str(files.directory),
            options=files.options,
            context=files.context,
            choice=choice,
            seconds=self._seconds,
            reference=reference,
        )

    def _tell(self, text: str, fraction: float) -> None:
        if self._progress is not None:
            self._progress(TuneProgress(model=self._entry.name, text=text, fraction=fraction))


def listing(folder: Path) -> set[str]:
    """Every file below the folder, by its name from there."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
