"""Measures one candidate in a process of its own: `python -m skerry.inference.tune_measure`.

Reads one `Job` a line on stdin and writes one `Measured` or `Failed` a line on stdout; the first
job loads the model, later ones repeat the measurement. What a library prints goes to stderr.
A candidate that takes the process down is a candidate refused; the tuner lives on.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from skerry.engines.base import CallEngine, Choice, Engine, Sink, TensorEngine
from skerry.engines.registry import load_engine
from skerry.errors import EngineError
from skerry.inference.runner import resident_bytes
from skerry.inference.tune_accuracy import compare, results
from skerry.inference.tune_report import Accuracy
from skerry.inference.tune_traffic import Callers, Traffic
from skerry.inference.tune_workload import calls_of
from skerry.tasks.base import (
    Call,
    Generated,
    ModelFiles,
    RowProcessor,
    Transcribe,
)
from skerry.tasks.registry import load_tasks
from skerry.tasks.samples import samples, workload

AT_ONCE = (8, 32)
"""Requests that are kept in flight while a throughput is measured."""


class Job(msgspec.Struct, kw_only=True):
    """What to measure."""

    name: str
    task: str
    directory: str
    options: dict[str, Any]
    context: int | None
    choice: Choice
    seconds: float = 0.4
    """Of each workload."""
    reference: str | None = None
    """A .npz file of fp32's results: written where it is not there, else compared with."""


class Measured(msgspec.Struct, tag="measured", kw_only=True):
    rates: dict[str, float]
    unit: str
    load_seconds: float
    bytes: int
    accuracy: Accuracy | None = None


class Failed(msgspec.Struct, tag="failed"):
    message: str


class Quiet(Sink):
    """Nobody listens; the time of the first piece is kept."""

    streaming = True

    def __init__(self) -> None:
        self.first: float | None = None

    @property
    def cancelled(self) -> bool:
        return False

    def emit(self, text: str) -> None:
        if self.first is None:
            self.first = time.perf_counter()


class Subject:
    """A loaded candidate."""

    def __init__(self, job: Job) -> None:
        files = ModelFiles(job.name, job.task, Path(job.directory), job.options, job.context)
        cls = load_engine(job.choice.engine)
        cls.convert(files, job.choice)
        start = time.perf_counter()
        self.task = job.task
        self.streams = job.choice.streams
        self.engine: Engine = cls.load(files, job.choice)
        self.load_seconds = time.perf_counter() - start
        processor = None
        if isinstance(self.engine, TensorEngine) and samples(job.task, "check"):
            processor = load_tasks()[job.task].open(files)
        self.rows = processor if isinstance(processor, RowProcessor) else None

    def measure(self, job: Job) -> Measured:
        accuracy = None
        if self.rows is not None and isinstance(self.engine, TensorEngine):
            if job.reference is not None:
                accuracy = self._accuracy(self.rows, self.engine, Path(job.reference))
            rates, unit = self._row_rates(self.rows, self.engine, job.seconds), "rows"
        elif isinstance(self.engine, CallEngine):
            rates, unit = self._call_rates(self.engine)
        else:
            raise EngineError(f"there are no sample inputs of the task {self.task}")
        return Measured(
            rates=rates,
            unit=unit,
            load_seconds=self.load_seconds,
            bytes=resident_bytes(),
            accuracy=accuracy,
        )

    def _accuracy(self, rows: RowProcessor, engine: TensorEngine, path: Path) -> Accuracy | None:
        vectors, labels = results(rows, engine, samples(self.task, "check"))
        if not path.exists():
            with path.open("wb") as file:
                np.savez(file, vectors=vectors, labels=labels)
            return None
        with np.load(path, allow_pickle=False) as saved:
            return compare(saved["vectors"], saved["labels"], vectors, labels)

    def _row_rates(
        self, rows: RowProcessor, engine: TensorEngine, seconds: float
    ) -> dict[str, float]:
        """Served as the runner does, but for the socket: the graph alone is not what counts."""
        with Traffic(rows, engine, workload(self.task)) as traffic, Callers() as callers:
            traffic.run(32, seconds / 2)  # graphs are compiled per shape and stream
            return {
                "single": traffic.run(1, seconds / 2),
                **{f"{count} at once": traffic.run(count, seconds, callers) for count in AT_ONCE},
            }

    def _call_rates(self, engine: CallEngine) -> tuple[dict[str, float], str]:
        calls, unit = calls_of(self.task)
        if not calls:
            raise EngineError(f"there are no sample inputs of the task {self.task}")
        engine.run(calls[0], Quiet())  # the first call pays for what is set up late
        rates = {}
        most = min(8, self.streams, engine.capacity)
        for streams in sorted({min(count, most) for count in (1, 2, 4, 8)}):
            todo = list(calls)[: max(2, streams)]
            start = time.perf_counter()
            done = _in_threads(engine, todo, streams)
            name = f"{streams} stream{'s' if streams > 1 else ''}"
            rates[name] = done / (time.perf_counter() - start)
        return rates, unit


def _in_threads(engine: CallEngine, calls: list[Call], streams: int) -> float:
    """Run the calls on that many threads; what they made: tokens, or seconds of sound."""
    made: list[float] = []
    errors: list[BaseException] = []
    lock = threading.Lock()

    def loop() -> None:
        while True:
            with lock:
                if not calls or errors:
                    return
                call = calls.pop()
            try:
                outcome = engine.run(call, Quiet())
            except BaseException as error:  # raised again in the main thread
                errors.append(error)
                return
            if isinstance(outcome, Generated):
                made.append(outcome.completion_tokens)
            elif isinstance(call, Transcribe):
                made.append(len(call.samples) / 16000)
            else:
                made.append(len(outcome.samples) / outcome.rate)  # type: ignore[union-attr]

    threads = [threading.Thread(target=loop) for _ in range(streams)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return sum(made)


def main() -> int:
    """Serve jobs until stdin ends."""
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # libraries print; answers must stay clean
    subject: Subject | None = None
    for line in sys.stdin.buffer:
        job = msgspec.json.decode(line, type=Job)
        answer: Measured | Failed
        try:
            if subject is None:
                subject = Subject(job)
            answer = subject.measure(job)
        except Exception as error:  # anything that an engine raises refuses the candidate
            answer = Failed(f"{type(error).__name__}: {error}")
        answers.write(msgspec.json.encode(answer) + b"\n")
    return 0


if __name__ == "__main__":
    status = main()
    sys.stderr.flush()
    os._exit(status)  # threads of native libraries may not end
