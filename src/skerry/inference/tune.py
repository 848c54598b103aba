"""Choosing how a model runs on this machine: engine, precision, streams; measured, then kept."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from skerry.catalog.entry import Entry
from skerry.catalog.files import write_durably
from skerry.catalog.locks import locked
from skerry.engines.base import Choice, Engine
from skerry.engines.registry import load_engine
from skerry.errors import EngineMissing
from skerry.inference.machine import Machine, this_machine
from skerry.inference.tune_plan import candidates, decide, guess
from skerry.inference.tune_report import Candidate, OnProgress, Report
from skerry.inference.tune_run import TuneRun
from skerry.tasks.base import ModelFiles


class Tuner:
    """Answers how a model is to be run.

    root: the model store; reports are kept under its folder `tune`.
    threads: most CPU threads of a runner; 0: all of the machine.
    enabled: False: `choices` never looks at reports, only at the catalog.
    seconds: of each workload of each candidate.
    budget: seconds after which no further candidate is begun.
    """

    def __init__(
        self,
        root: Path,
        *,
        threads: int = 0,
        enabled: bool = True,
        seconds: float = 0.4,
        budget: float = 150.0,
    ) -> None:
        self._root = root / "tune"
        self._threads = threads
        self._enabled = enabled
        self._seconds = seconds
        self._budget = budget
        self._machines: dict[tuple[str, ...], Machine] = {}
        self._engines: dict[tuple[str, ...], list[type[Engine]]] = {}
        """What was found installed; what was not is looked for again."""

    def choices(self, entry: Entry, files: ModelFiles) -> list[Choice]:
        """How to run the model, best first; quick. Later choices serve what the first cannot.

        From the report of an earlier `tune`, where there is one for these files and this machine,
        else the catalog's first guess. Raises EngineMissing, saying what to install, where none
        of the model's engines is.
        """
        engines = self._installed(entry)
        report = self.report(entry, files)
        if report is not None:
            return report.choices
        return guess(entry, engines, self._machine(engines), self._threads)

    def check(self, entry: Entry) -> None:
        """Raises EngineMissing as `choices`; needs no files."""
        self._installed(entry)

    def report(self, entry: Entry, files: ModelFiles) -> Report | None:
        """The report that holds for these files on this machine; None: not tuned.

        None also where a file that a choice needs (an int8 form) is gone, or the report cannot be
        read. Raises EngineMissing as `choices`.
        """
        if not self._enabled:
            return None
        engines = self._installed(entry)
        try:
            data = self._path(entry, files, engines).read_bytes()
            report = msgspec.json.decode(data, type=Report)
        except (OSError, msgspec.DecodeError):  # never tuned, or torn by a full disk: not a hit
            return None
        names = {cls.name for cls in engines}
        if not report.choices or any(choice.engine not in names for choice in report.choices):
            return None
        if not all(files.path(name).exists() for name in report.files):
            return None
        return report

    async def tune(
        self, entry: Entry, files: ModelFiles, progress: OnProgress | None = None
    ) -> Report:
        """Measure, choose, keep and answer the report; replaces an earlier one.

        A report in which every candidate was refused is answered but not kept.
        Each candidate runs in a process of its own: one that crashes, hangs or errs is refused.
        One tuning at a time on a store; cancelling it ends its processes. Raises EngineMissing as
        `choices`; OSError where the report cannot be written.
        """
        engines = self._installed(entry)
        machine = self._machine(engines)
        path = self._path(entry, files, engines)
        plan = candidates(entry, engines, machine, self._threads)
        async with locked(self._root / ".lock"):
            earlier = self.report(entry, files)
            run = TuneRun(entry, files, self._seconds, self._budget, progress)
            found = [Candidate(choice=choice) for choice in plan]
            if len(found) > 1 and entry.upstream is None:
                await run.measure(found)
            choices, why = decide(found, guess(entry, engines, machine, self._threads), run.unit)
            kept = set(run.keep(choices))
            if earlier is not None:  # made by that tuning, found and used by this one
                kept |= {name for name in earlier.files if files.path(name).exists()}
            report = Report(
                model=entry.name,
                key=path.stem,
                machine=machine,
                made=datetime.now(UTC).isoformat(timespec="seconds"),
                seconds=run.elapsed(),
                unit=run.unit,
                choices=choices,
                why=why,
                candidates=found,
                files=sorted(kept),
            )
            if any(one.state == "chosen" for one in found):  # else: worth another try
                write_durably(path, msgspec.json.format(msgspec.json.encode(report), indent=2))
        return report

    def _path(self, entry: Entry, files: ModelFiles, engines: list[type[Engine]]) -> Path:
        name = entry.name.lstrip("@").replace("/", "--")
        key = hashlib.sha256(_fingerprint(entry, files) + self._machine(engines).key.encode())
        return self._root / f"{name}-{key.hexdigest()[:16]}.json"

    def _machine(self, engines: list[type[Engine]]) -> Machine:
        packages = tuple(sorted({name for cls in engines for name in cls.distributions}))
        if packages not in self._machines:
            self._machines[packages] = this_machine(packages, self._threads)
        return self._machines[packages]

    def _installed(self, entry: Entry) -> list[type[Engine]]:
        known = self._engines.get(tuple(entry.engines))
        if known is not None:
            return known
        found: list[type[Engine]] = []
        wanting: list[str] = []
        for name in entry.engines:
            try:
                cls = load_engine(name)
            except EngineMissing as error:
                wanting.append(str(error))
                continue
            missing = cls.missing()
            if missing is None:
                found.append(cls)
            else:
                wanting.append(f"{name}: {missing}")
        if not found:
            ways = "; ".join(wanting) or "its catalog entry names no engine"
            raise EngineMissing(f"{entry.name}: no engine for it is installed ({ways})")
        if not wanting:
            self._engines[tuple(entry.engines)] = found
        return found


def _fingerprint(entry: Entry, files: ModelFiles) -> bytes:
    """What the model is made of: hashes where the catalog has them, else sizes and times."""
    parts: list[object] = [entry.task, entry.options, entry.engines, entry.engine_options]
    parts.append(entry.context)
    for artifact in entry.artifacts:
        parts.append([artifact.name, artifact.sha256 or _stamp(files.path(artifact.name))])
    if entry.conversion is not None:
        parts.append([entry.conversion.recipe, entry.conversion.options])
        parts += [[name, _stamp(files.path(name))[:1]] for name in entry.conversion.outputs]
    return hashlib.sha256(msgspec.json.encode(parts, order="sorted")).digest()


def _stamp(path: Path) -> list[int]:
    """[size in bytes, time of change in ns]; [] for a file that is not there."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return []
    return [found.st_size, found.st_mtime_ns]
