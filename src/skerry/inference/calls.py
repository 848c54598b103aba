"""Serving a CallProcessor with CallEngines: one thread per call, up to each engine's capacity."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence

from skerry.engines.base import CallEngine, Choice, Sink
from skerry.errors import InvalidInput
from skerry.inference.jobs import Job, Send, done, failed, timed_out
from skerry.inference.messages import Piece, Run, encode
from skerry.tasks.base import Call, CallProcessor


class PieceSink(Sink):
    """Sends an engine's pieces to the node as they come."""

    def __init__(self, job: Job, processor: CallProcessor, send: Send) -> None:
        self._job = job
        self._processor = processor
        self._send = send
        self.streaming = job.stream

    @property
    def cancelled(self) -> bool:
        return self._job.cancelled or time.monotonic() > self._job.deadline

    def emit(self, text: str) -> None:
        job = self._job
        if not job.first:
            job.first = time.monotonic()
        if job.stream and not job.cancelled:
            self._send([encode(Piece(job.id, self._processor.piece(job.inputs, text)))])


class Lane:
    """An engine with the calls that wait for it; threads are made as they are needed."""

    def __init__(self, server: CallServer, engine: CallEngine, choice: Choice) -> None:
        self._server = server
        self.engine = engine
        self.choice = choice
        self.capacity = max(1, engine.capacity)
        self._waiting: deque[tuple[Job, Call]] = deque()
        self._ready = threading.Condition(threading.Lock())
        self._idle = 0
        self._threads: list[threading.Thread] = []
        self._closed = False

    def put(self, job: Job, call: Call) -> None:
        with self._ready:
            self._waiting.append((job, call))
            if self._idle >= len(self._waiting):
                self._ready.notify()
            elif len(self._threads) < self.capacity:
                name = f"{self.choice.engine}-{len(self._threads)}"
                thread = threading.Thread(target=self._serve, name=name, daemon=True)
                self._threads.append(thread)
                thread.start()

    def drop(self, job: Job) -> bool:
        """Take a job that still waits out of the queue."""
        with self._ready:
            for at, (waiting, _) in enumerate(self._waiting):
                if waiting is job:
                    del self._waiting[at]
                    return True
        return False

    def close(self) -> None:
        with self._ready:
            self._closed = True
            self._waiting.clear()
            self._ready.notify_all()
        for thread in self._threads:
            thread.join(1.0)

    def _serve(self) -> None:
        while True:
            with self._ready:
                while not self._waiting and not self._closed:
                    self._idle += 1
                    try:
                        self._ready.wait()
                    finally:
                        self._idle -= 1
                if self._closed:
                    return
                job, call = self._waiting.popleft()
            self._server.execute(job, call, self.engine)


class CallServer:
    """Gives each call to the engine that serves it.

    `enter` and `cancel` are called by the reader thread, `prepare` by it and by workers.
    """

    def __init__(
        self,
        processor: CallProcessor,
        engines: Sequence[tuple[CallEngine, Choice]],
        send: Send,
    ) -> None:
        self._processor = processor
        self._send = send
        self._jobs: dict[int, Job] = {}
        self._lanes = [Lane(self, engine, choice) for engine, choice in engines]
        self.capacity = sum(lane.capacity for lane in self._lanes)

    def start(self) -> None:
        """Threads start with the first calls."""

    def enter(self, run: Run, now: float) -> Job:
        """Know a request, so that it can be cancelled while it is being prepared."""
        job = self._jobs[run.id] = Job(run, now)
        return job

    def accept(self, runs: Sequence[Run]) -> None:
        """Enter and prepare requests that came together."""
        now = time.monotonic()
        self.prepare([self.enter(run, now) for run in runs])

    def prepare(self, jobs: Sequence[Job]) -> None:
        """Prepare each and give it to an engine."""
        for job in jobs:
            try:
                call = self._processor.prepare(job.inputs)
                lane = self._lane(call)
            except Exception as error:
                self._jobs.pop(job.id, None)
                self._send([failed(job.id, error)])
            else:
                lane.put(job, call)

    def cancel(self, job_id: int) -> None:
        """A call that waits is dropped; one that runs sees it at its sink."""
        job = self._jobs.get(job_id)
        if job is None:
            return
        job.cancelled = True
        if any(lane.drop(job) for lane in self._lanes):
            self._jobs.pop(job_id, None)
            self._send([timed_out(job)])

    def close(self) -> None:
        for job in list(self._jobs.values()):
            job.cancelled = True
        for lane in self._lanes:
            lane.close()

    def execute(self, job: Job, call: Call, engine: CallEngine) -> None:
        """Run one call and send its answer."""
        job.started = time.monotonic()
        try:
            if job.cancelled or job.started > job.deadline:
                answer = timed_out(job)
            else:
                outcome = engine.run(call, PieceSink(job, self._processor, self._send))
                if job.cancelled or time.monotonic() > job.deadline:
                    answer = timed_out(job)
                else:
                    answer = done(job, *self._processor.finish(job.inputs, outcome))
        except Exception as error:
            answer = failed(job.id, error)
        self._jobs.pop(job.id, None)
        self._send([answer])

    def _lane(self, call: Call) -> Lane:
        """The first engine that serves the call, while no more are under way than it is best at."""
        able = [lane for lane in self._lanes if lane.engine.serves(call)]
        if not able:
            names = ", ".join(lane.choice.engine for lane in self._lanes)
            raise InvalidInput(f"No engine of this model ({names}) can do what was asked")
        under_way = len(self._jobs)  # with this one
        for lane in able[:-1]:
            if not lane.choice.up_to or under_way <= lane.choice.up_to:
                return lane
        return able[-1]
