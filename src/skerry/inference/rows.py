"""Serving a RowProcessor with a TensorEngine: requests become rows, idle streams take batches."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from skerry.engines.base import TensorEngine
from skerry.errors import EngineError
from skerry.inference.batch import BatchQueue, Item
from skerry.inference.jobs import Job, Send, done, failed, timed_out
from skerry.inference.messages import Run
from skerry.tasks.base import RowProcessor

HANG = 120.0
"""Seconds in one batch after which an engine counts as hung; batches take milliseconds."""


class RowServer:
    """One thread per stream of the engine.

    `enter` and `cancel` are called by the reader thread, `prepare` by it and by workers.
    on_hang: called where a batch takes longer than `hang` seconds; nothing can stop a native call
    but the end of its process.
    """

    def __init__(
        self,
        processor: RowProcessor,
        engine: TensorEngine,
        send: Send,
        *,
        on_hang: Callable[[], None] | None = None,
        hang: float = HANG,
    ) -> None:
        self._processor = processor
        self._engine = engine
        self._send = send
        self._jobs: dict[int, Job] = {}
        self._lock = threading.Lock()
        self._queue: BatchQueue[Job] = BatchQueue(
            processor.max_rows, processor.max_length, processor.spare, self._alive
        )
        self.capacity = max(1, engine.capacity)
        self._threads = [
            threading.Thread(target=self._stream, args=(at,), name=f"stream-{at}", daemon=True)
            for at in range(self.capacity)
        ]
        self._since = [0.0] * self.capacity
        """Per stream: when its batch began, on the monotonic clock; 0 while it has none."""
        self._over = threading.Event()
        if on_hang is not None:
            watch = threading.Thread(
                target=self._watch, args=(on_hang, hang), name="watch", daemon=True
            )
            self._threads.append(watch)

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def _watch(self, on_hang: Callable[[], None], hang: float) -> None:
        while not self._over.wait(hang / 4):
            now = time.monotonic()
            if any(since and now - since > hang for since in self._since):
                on_hang()
                return

    def enter(self, run: Run, now: float) -> Job:
        """Know a request, so that it can be cancelled while it is being prepared."""
        job = self._jobs[run.id] = Job(run, now)
        return job

    def accept(self, runs: Sequence[Run]) -> None:
        """Enter and prepare requests that came together."""
        now = time.monotonic()
        self.prepare([self.enter(run, now) for run in runs])

    def prepare(self, jobs: Sequence[Job]) -> None:
        """Prepare in one call, and queue the rows."""
        failures: list[bytes] = []
        queued: list[tuple[Job, list[int]]] = []
        for job, rows in zip(jobs, self._prepare(jobs), strict=True):
            if isinstance(rows, BaseException):
                self._jobs.pop(job.id, None)
                failures.append(failed(job.id, rows))
            elif not rows:
                self._jobs.pop(job.id, None)
                job.started = time.monotonic()
                failures.append(self._finish(job))
            else:
                job.rows = rows
                job.left = len(rows)
                job.results = [None] * len(rows)
                queued.append((job, [self._processor.padded(row.length) for row in rows]))
        if queued:
            self._queue.put(queued)
        if failures:
            self._send(failures)

    def cancel(self, job_id: int) -> None:
        """Drop what is queued of this request."""
        job = self._jobs.get(job_id)
        if job is not None:
            job.cancelled = True
            self._queue.drop_dead()

    def close(self) -> None:
        self._over.set()
        self._queue.close()
        for thread in self._threads:
            thread.join(1.0)

    def _prepare(self, jobs: Sequence[Job]) -> Sequence[Any]:
        try:
            rows = self._processor.prepare_many([job.inputs for job in jobs])
        except Exception as error:
            if len(jobs) == 1:
                return [error]
            return [self._prepare([job])[0] for job in jobs]
        if len(rows) != len(jobs):
            return [EngineError(f"prepare_many gave {len(rows)} answers for {len(jobs)}")] * len(
                jobs
            )
        return rows

    def _alive(self, job: Job) -> bool:
        """Called under the queue's lock. A job that is dropped is answered here, once."""
        if not job.cancelled and job.failure is None and time.monotonic() < job.deadline:
            return True
        if self._jobs.pop(job.id, None) is not None:
            self._send([timed_out(job)])
        return False

    def _stream(self, number: int) -> None:
        while items := self._queue.take():
            self._since[number] = now = time.monotonic()
            for item in items:
                if not item.job.started:
                    item.job.started = now
            answers = self._execute(items, number)
            self._since[number] = 0.0
            if answers:
                self._send(answers)

    def _execute(self, items: list[Item[Job]], stream: int) -> list[bytes]:
        """Run a batch; the answers that it completes."""
        try:
            results = self._infer(items, stream)
        except Exception as error:
            if len(items) == 1:
                return self._fail(items[0].job, error)
            # One row may have spoiled the batch: each gets one try of its own.
            return [answer for item in items for answer in self._execute([item], stream)]
        complete = []
        with self._lock:
            for item, result in zip(items, results, strict=True):
                job = item.job
                job.results[item.row] = result
                job.left -= 1
                if not job.left and self._jobs.pop(job.id, None) is not None:
                    complete.append(job)
        return [self._finish(job) for job in complete]

    def _infer(self, items: list[Item[Job]], stream: int) -> list[Any]:
        processor = self._processor
        feeds = processor.collate([item.job.rows[item.row] for item in items])
        results = processor.split(self._engine.infer(feeds, stream), len(items))
        if len(results) != len(items):
            raise EngineError(f"{len(items)} rows gave {len(results)} results")
        return results

    def _fail(self, job: Job, error: Exception) -> list[bytes]:
        job.failure = error
        return [failed(job.id, error)] if self._jobs.pop(job.id, None) is not None else []

    def _finish(self, job: Job) -> bytes:
        try:
            value, usage = self._processor.finish(job.inputs, job.rows, job.results)
        except Exception as error:
            return failed(job.id, error)
        return done(job, value, usage)
