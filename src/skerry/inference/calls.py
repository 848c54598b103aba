"""Serving a CallProcessor with CallEngines: one thread per call, up to each engine's capacity."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from skerry.engines.base import CallEngine, Choice, Sink
from skerry.errors import InvalidInput
from skerry.inference.jobs import Job, Send, done, failed, log_failure, timed_out
from skerry.inference.messages import Piece, Run, encode
from skerry.tasks.base import Call, CallProcessor

YOUNG = 0.3
"""Seconds within which a call that has sent nothing may still be moved to another engine."""


class PieceSink(Sink):
    """Sends an engine's pieces to the node as they come."""

    def __init__(
        self, job: Job, processor: CallProcessor, send: Send, moves: threading.Lock
    ) -> None:
        self._job = job
        self._processor = processor
        self._send = send
        self._moves = moves
        self.streaming = job.stream

    @property
    def cancelled(self) -> bool:
        job = self._job
        return job.cancelled or job.moving or time.monotonic() > job.deadline

    def emit(self, text: str) -> None:
        job = self._job
        if not job.first:
            with self._moves:
                if not job.moving:
                    job.first = time.monotonic()
        if job.stream and not job.cancelled and not job.moving:
            self._send([encode(Piece(job.id, self._processor.piece(job.inputs, text)))])


class Lane:
    """An engine with the calls that wait for it; threads are made as they are needed.

    load: loads the engine, in a thread of its own, when the lane is first needed.
    """

    def __init__(
        self,
        server: CallServer,
        choice: Choice,
        engine: CallEngine | None,
        load: Callable[[], CallEngine] | None = None,
    ) -> None:
        self._server = server
        self.choice = choice
        self.engine = engine
        self.broken: Exception | None = None
        """Why the engine could not be loaded."""
        self._load = load
        self._waiting: deque[tuple[Job, Call]] = deque()
        self._ready = threading.Condition(threading.Lock())
        self._idle = 0
        self._threads: list[threading.Thread] = []
        self._closed = False

    @property
    def capacity(self) -> int:
        return max(1, self.engine.capacity) if self.engine else 0

    def open(self) -> None:
        """Begin to load the engine, if nobody has."""
        load, self._load = self._load, None
        if load is not None:
            name = f"load {self.choice.engine}"
            threading.Thread(target=self._open, args=(load,), name=name, daemon=True).start()

    def put(self, job: Job, call: Call) -> None:
        """Have the call run; before the engine is loaded it waits."""
        with self._ready:
            if self.broken is None:
                self._waiting.append((job, call))
                if self.engine is not None:
                    self._wake()
                return
        self._server.refuse(job, self.broken)

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

    def _open(self, load: Callable[[], CallEngine]) -> None:
        try:
            engine = load()
        except Exception as error:
            log_failure(f"loading {self.choice.engine}", error)
            with self._ready:
                self.broken = error
                refused, self._waiting = self._waiting, deque()
            for job, _ in refused:
                self._server.refuse(job, error)
        else:
            with self._ready:
                self.engine = engine
                for _ in range(len(self._waiting)):
                    self._wake()

    def _wake(self) -> None:
        """Called under the lock, once for each call that was added."""
        if self._idle >= len(self._waiting):
            self._ready.notify()
        elif len(self._threads) < self.capacity:
            name = f"{self.choice.engine}-{len(self._threads)}"
            thread = threading.Thread(target=self._serve, name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

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
                engine = self.engine
            assert engine is not None
            self._server.execute(job, call, engine)


class CallServer:
    """Gives each call to the engine that serves it.

    `enter` and `cancel` are called by the reader thread, `prepare` by it and by workers.
    """

    def __init__(
        self,
        processor: CallProcessor,
        engines: Sequence[tuple[CallEngine, Choice]],
        send: Send,
        later: Sequence[tuple[Callable[[], CallEngine], Choice]] = (),
    ) -> None:
        """`later`: engines that are loaded when they are first needed."""
        self._processor = processor
        self._send = send
        self._jobs: dict[int, Job] = {}
        self._running: dict[int, tuple[Job, Call, CallEngine]] = {}
        self._moves = threading.Lock()
        self._lanes = [Lane(self, choice, engine) for engine, choice in engines]
        self._lanes += [Lane(self, choice, None, load) for load, choice in later]
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
        with self._moves:
            self._running[job.id] = job, call, engine
        try:
            if job.cancelled or job.started > job.deadline:
                answer = timed_out(job)
            else:
                if not engine.serves(call):
                    raise InvalidInput(f"{engine.name} cannot do what was asked")
                sink = PieceSink(job, self._processor, self._send, self._moves)
                outcome = engine.run(call, sink)
                if self._moved(job, call):
                    return
                if job.cancelled or time.monotonic() > job.deadline:
                    answer = timed_out(job)
                else:
                    answer = done(job, *self._processor.finish(job.inputs, outcome))
        except Exception as error:
            answer = failed(job.id, error)
        with self._moves:
            self._running.pop(job.id, None)
        self._jobs.pop(job.id, None)
        self._send([answer])

    def _moved(self, job: Job, call: Call) -> bool:
        """Give a call that was stopped for it to the engine that it moves to."""
        with self._moves:
            self._running.pop(job.id, None)
            moving, job.moving = job.moving, False
        if moving and not job.cancelled:
            job.first = 0.0
            self._lane(call).put(job, call)
            return True
        return False

    def _gather(self, engine: CallEngine) -> None:
        """Have calls that have only just begun elsewhere run on `engine`, with those that came
        right after them: two engines at once would take the cores from each other."""
        now = time.monotonic()
        with self._moves:
            for job, call, other in self._running.values():
                sent = job.stream and job.first
                young = now - job.started < YOUNG
                if other is not engine and young and not sent and engine.serves(call):
                    job.moving = True

    def refuse(self, job: Job, error: Exception) -> None:
        """The call's engine could not be loaded."""
        self._jobs.pop(job.id, None)
        self._send([failed(job.id, error)])

    def _lane(self, call: Call) -> Lane:
        """The first engine that serves the call, while no more are under way than it is best at.

        An engine that is not loaded yet is loaded now; until then the call goes to one that is,
        and waits only where no other serves it.
        """
        under_way = len(self._jobs)  # with this one
        best: Lane | None = None
        passed = False
        coming: Lane | None = None
        for lane in self._lanes:
            if lane.engine is None:
                if lane.broken is None:
                    lane.open()
                    coming = coming or lane
            elif lane.engine.serves(call):
                passed = best is not None
                best = lane
                if not lane.choice.up_to or under_way <= lane.choice.up_to:
                    break
        if best is None:
            best = coming
        if best is None:
            names = ", ".join(lane.choice.engine for lane in self._lanes)
            raise InvalidInput(f"No engine of this model ({names}) can do what was asked")
        if passed and best.engine is not None:
            self._gather(best.engine)
        return best
