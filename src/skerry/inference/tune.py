"""Choosing how a model runs on this machine: the engine, its precision and its streams."""

from __future__ import annotations

from pathlib import Path

from skerry.catalog.entry import Entry
from skerry.engines.base import Choice, Engine, TensorEngine
from skerry.engines.registry import load_engine
from skerry.errors import EngineMissing
from skerry.inference.machine import Machine, this_machine
from skerry.tasks.base import ModelFiles

SLOTS = 8
"""Calls that a generating engine runs at once, until a measurement says otherwise."""


class Tuner:
    """Answers how a model is to be run.

    root: the model store; measurements are kept under its folder `tune`.
    threads: most CPU threads of a runner; 0: all of the machine.
    """

    def __init__(self, root: Path, *, threads: int = 0) -> None:
        self._root = root / "tune"
        self._threads = threads
        self._machine: Machine | None = None

    def choices(self, entry: Entry, files: ModelFiles) -> list[Choice]:
        """How to run the model, best first; quick. Later choices serve what the first cannot.

        Raises EngineMissing, saying what to install, where none of its engines is.
        """
        return self._guess(entry)

    def _guess(self, entry: Entry) -> list[Choice]:
        engines = self._installed(entry)
        first = engines[0]
        if issubclass(first, TensorEngine):
            return [self._tensor_guess(entry, first)]
        return [
            Choice(
                engine=cls.name,
                precision=cls.precisions[0],
                streams=SLOTS,
                threads=self._threads,
                options=entry.engine_options.get(cls.name, {}),
            )
            for cls in engines
            if not issubclass(cls, TensorEngine)
        ]

    def _tensor_guess(self, entry: Entry, cls: type[Engine]) -> Choice:
        if self._machine is None:
            self._machine = this_machine(threads=self._threads)
        bf16 = self._machine.bf16 and "bf16" in cls.precisions
        return Choice(
            engine=cls.name,
            precision="bf16" if bf16 else cls.precisions[0],
            streams=self._machine.cores,
            threads=self._threads,
            options=entry.engine_options.get(cls.name, {}),
        )

    def _installed(self, entry: Entry) -> list[type[Engine]]:
        found: list[type[Engine]] = []
        wanting: list[str] = []
        for name in entry.engines:
            cls = load_engine(name)
            missing = cls.missing()
            if missing is None:
                found.append(cls)
            else:
                wanting.append(f"{name}: {missing}")
        if not found:
            ways = "; ".join(wanting) or "its catalog entry names no engine"
            raise EngineMissing(f"{entry.name}: no engine for it is installed ({ways})")
        return found
