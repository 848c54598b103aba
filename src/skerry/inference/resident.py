"""One resident model: its runner, kept alive, and the requests that it has."""

from __future__ import annotations

import asyncio
import math
import os
import signal
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from skerry.errors import (
    Aborted,
    InferenceTimeout,
    InternalError,
    OutOfCapacity,
    RunnerDied,
)
from skerry.inference.channel import Channel, Event, Pending
from skerry.inference.deaths import Deaths
from skerry.inference.messages import Load, Progress, Ready, Refused
from skerry.inference.pace import Pace
from skerry.inference.process import Process, settled, why_it_ended
from skerry.inference.status import ModelStatus, State
from skerry.inference.stream import Pieces
from skerry.types import Answer, AnswerStream, InferenceRequest

EXIT = 2.0
"""Seconds that a runner has to end after its socket closed; then it is killed."""


class Refusal(Exception):
    """The runner said that it cannot load the model."""


class Resident:
    """A model and the runner that holds it.

    bound: requests that may wait or run at once.  start_timeout: seconds that loading may take.
    changed: called when it becomes ready, idle, failed or gone.
    """

    def __init__(
        self,
        load: Load,
        *,
        estimate: int,
        bound: int,
        command: Sequence[str],
        changed: Callable[[], None],
        pinned: bool = False,
        start_timeout: float = 300.0,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.name = load.name
        self.load = load
        self.pinned = pinned
        self.bytes = estimate
        self.capacity = 0
        self.restarts = 0
        self.reload_time = 1.0
        """Seconds that the last load took."""
        self.last_used = time.monotonic()
        self.state: State = "starting"
        self._bound = bound
        self._command = command
        self._changed = changed
        self._start_timeout = start_timeout
        self._environ = os.environ if environ is None else environ
        self._since = time.time()
        self._progress = ("starting", 0.0)
        self._waiting = 0
        self._channel: Channel | None = None
        self._process: Process | None = None
        self._settled = asyncio.Event()
        """Set while the state is one that a request can act on: ready, failed, draining."""
        self._wanted = asyncio.Event()
        self._drained = asyncio.Event()
        self._ended: asyncio.Future[str] | None = None
        self._failed_until = 0.0
        self._deaths = Deaths()
        self._pace = Pace()
        self._one_by_one = asyncio.Lock()
        self._last_status = 0
        self._log: list[str] = []
        self._task = asyncio.get_running_loop().create_task(
            self._keep(), name=f"runner {self.name}"
        )

    # -- requests ---------------------------------------------------------------------------

    @property
    def in_flight(self) -> int:
        """Requests that wait or run."""
        return self._waiting + (len(self._channel) if self._channel else 0)

    @property
    def idle(self) -> bool:
        return self.in_flight == 0 and self.state != "starting"

    async def run(self, request: InferenceRequest, deadline: float) -> Answer | AnswerStream:
        """Answer a request; a stream is returned once its first piece is there.

        deadline: on the loop's clock. Raises AiError.
        """
        self._admit(request)
        self.last_used = time.monotonic()
        try:
            return await self._attempt(request, deadline)
        except RunnerDied as error:
            reason = await self._why(error)
        # A crash is the work of one of the requests that it had: each goes alone this time, so
        # that only the guilty one dies twice. SIGKILL came from outside.
        alone = self._last_status != -signal.SIGKILL
        if alone:
            await self._turn(deadline)
        try:
            return await self._attempt(request, deadline)
        except RunnerDied as error:
            again = await self._why(error)
            message = f"{self.name}: its runner died twice over this request ({reason}; {again})"
            raise InternalError(message) from error
        finally:
            if alone:
                self._one_by_one.release()

    async def wait(self, deadline: float) -> None:
        """Wait until the model is ready. Raises AiError."""
        await self._up(deadline)

    def _admit(self, request: InferenceRequest) -> None:
        in_flight = self.in_flight
        if in_flight >= self._bound:
            raise OutOfCapacity(
                f"{self.name}: {in_flight} requests wait already (setting queue)",
                retry_after=self.retry_after(),
            )
        if request.reject_if_busy and (self.state != "ready" or in_flight >= self.capacity):
            raise OutOfCapacity(
                f"{self.name} is busy and the request was not to wait",
                retry_after=self.retry_after(),
            )

    def retry_after(self) -> float:
        """Whole seconds until half of the queue is served, as fast as the last ones were."""
        if self.state == "starting":
            return max(1.0, math.ceil(self.reload_time))
        return self._pace.wait(self.in_flight / 2)

    async def _turn(self, deadline: float) -> None:
        self._waiting += 1
        try:
            async with asyncio.timeout_at(deadline):
                await self._one_by_one.acquire()
        except TimeoutError as error:
            raise self._timeout() from error
        finally:
            self._waiting -= 1

    async def _attempt(self, request: InferenceRequest, deadline: float) -> Answer | AnswerStream:
        loop = asyncio.get_running_loop()
        waited = 0.0
        channel = self._channel
        if self.state != "ready" or channel is None:
            begun = loop.time()
            channel = await self._up(deadline)
            waited = loop.time() - begun
        left = deadline - loop.time()
        if left <= 0:
            raise self._timeout()
        pending = channel.submit(request.inputs, request.stream, left)
        timer = loop.call_at(deadline, self._expire, channel, pending)
        try:
            await pending.news()
        except BaseException:
            channel.cancel(pending)
            timer.cancel()
            raise
        if pending.error is not None and not pending.pieces:
            timer.cancel()
            raise pending.error
        if request.stream:
            pieces = Pieces(pending, channel, timer, self._why)
            stream = AnswerStream(pieces=pieces, model=self.name)
            stream.timing.load = waited
            pieces.answer = weakref.ref(stream)
            return stream
        timer.cancel()
        done = pending.done
        assert done is not None
        done.timing.load = waited
        return Answer(value=done.value, model=self.name, usage=done.usage, timing=done.timing)

    def _timeout(self) -> InferenceTimeout:
        what = "while it was loading" if self.state == "starting" else "within its time"
        return InferenceTimeout(f"{self.name} did not answer {what}")

    def _expire(self, channel: Channel, pending: Pending) -> None:
        channel.cancel(pending)
        pending.fail(self._timeout())

    async def _up(self, deadline: float) -> Channel:
        """The channel to a runner that is ready. Raises InferenceTimeout, InternalError."""
        loop = asyncio.get_running_loop()
        self._waiting += 1
        try:
            async with asyncio.timeout_at(deadline):
                while True:
                    if self.state == "failed" and loop.time() >= self._failed_until:
                        self._become("starting")
                        self._wanted.set()
                    if self.state == "failed":
                        wait = math.ceil(self._failed_until - loop.time())
                        raise InternalError(self._progress[0], retry_after=max(1, wait))
                    if self.state == "draining":
                        raise Aborted(f"{self.name} is being unloaded; ask again")
                    if self.state == "ready" and self._channel is not None:
                        return self._channel
                    await self._settled.wait()
        except TimeoutError as error:
            raise self._timeout() from error
        finally:
            self._waiting -= 1

    async def _why(self, error: RunnerDied) -> str:
        """How the runner ended, once its exit status is known."""
        ended = self._ended
        if ended is None:
            return str(error)
        done, _ = await asyncio.wait({ended}, timeout=EXIT)
        return ended.result() if done else str(error)

    # -- the runner -------------------------------------------------------------------------

    async def _keep(self) -> None:
        """Start the runner, and start it anew whenever it dies."""
        while True:
            try:
                reason, ready_at = await self._live()
                refused = False
            except (Refusal, OSError) as error:
                reason, ready_at, refused = str(error), None, True
            if self.state == "draining":
                return
            deaths = self._deaths
            deaths.count(None if ready_at is None else time.monotonic() - ready_at)
            if refused or deaths.too_many:
                said = "cannot be loaded" if refused else f"died {deaths.quick} times in a row"
                self._fail(f"{self.name} {said}: {reason}")
                await self._wanted.wait()
                self._wanted.clear()
            else:
                self.restarts += 1
                self._become("starting", f"starting anew: {reason}")
                await asyncio.sleep(deaths.pause)

    async def _live(self) -> tuple[str, float | None]:
        """One life of a runner: (how it ended, when it became ready)."""
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()
        exited: asyncio.Future[int] = loop.create_future()
        lost: asyncio.Future[str] = loop.create_future()
        ended: asyncio.Future[str] = loop.create_future()
        self._ended = ended
        refusal: list[str] = []

        def event(message: Event) -> None:
            if isinstance(message, Progress):
                self._progress = (message.text, message.fraction)
            elif isinstance(message, Refused):
                refusal.append(message.message)
            elif not ready.done():
                self._ready(message)
                ready.set_result(None)

        def left(reason: str) -> None:
            self._leave()  # at once: whoever is woken by this must not find it ready
            if not lost.done():
                lost.set_result(reason)

        process = await Process.start(
            self._command, self._environ, settled(exited), self.load.variables()
        )
        self._process = process
        begun = time.monotonic()
        fault = ""
        ready_at = None
        try:
            channel = await Channel.open(process.sock, event, left, self._request_ended)
            self._channel = channel
            channel.load(self.load)
            first: set[asyncio.Future[Any]] = {ready, lost}
            await asyncio.wait(
                first, timeout=self._start_timeout, return_when=asyncio.FIRST_COMPLETED
            )
            if ready.done():
                ready_at = time.monotonic()
                self.reload_time = ready_at - begun
                fault = await lost
            elif lost.done():
                fault = lost.result()
            else:
                fault = f"it was not ready after {self._start_timeout:g} s"
                process.kill()
            await asyncio.wait({exited}, timeout=EXIT)
        finally:
            self._leave()
            process.kill()
            if self._channel is not None:
                self._channel.close()
            status = self._last_status = await asyncio.shield(exited)
            self._log = process.log()
            reason = why_it_ended(fault, status, process.last_words())
            ended.set_result(reason)
            self._process = self._channel = None
        if refusal:
            raise Refusal(refusal[0])
        return reason, ready_at

    def _leave(self) -> None:
        if self.state == "ready":
            self._become("starting", "its runner has gone")

    def _ready(self, message: Ready) -> None:
        self.bytes = message.bytes
        self.capacity = message.capacity
        if self.state != "draining":
            self._become("ready", "ready", 1.0)

    def _fail(self, reason: str) -> None:
        self._failed_until = asyncio.get_running_loop().time() + self._deaths.hold()
        self.bytes = 0
        self._become("failed", reason)

    def _become(self, state: State, progress: str = "starting", fraction: float = 0.0) -> None:
        if self.state == "draining":
            return
        self.state = state
        self._since = time.time()
        self._progress = (progress, fraction)
        if state == "starting":
            self._settled.clear()
        else:
            self._settled.set()
        self._changed()

    def _request_ended(self, pending: Pending) -> None:
        self.last_used = time.monotonic()
        self._pace.served()
        if not self.in_flight:
            self._drained.set()
            self._changed()

    # -- the end ----------------------------------------------------------------------------

    async def close(self, grace: float) -> None:
        """Take nothing more, wait up to `grace` seconds for what runs, end the runner."""
        self._become("draining", "being unloaded")
        if self.in_flight and grace:
            self._drained.clear()
            try:
                async with asyncio.timeout(grace):
                    await self._drained.wait()
            except TimeoutError:
                pass  # what still runs is aborted below
        if self._channel is not None:
            self._channel.fail_all(lambda: Aborted(f"{self.name} was unloaded"))
            self._channel.close()
        if not self._task.done():
            await asyncio.wait({self._task}, timeout=EXIT if self._channel else 0)
            self._task.cancel()
            await asyncio.wait({self._task})
        self.bytes = 0
        self._changed()

    def measure(self) -> None:
        """Read the runner's resident set anew: it grows with use."""
        if self._process is not None and self.state == "ready":
            self.bytes = self._process.resident_set() or self.bytes

    def status(self) -> ModelStatus:
        """How it stands."""
        in_flight = self.in_flight
        running = min(in_flight, self.capacity) if self.state in {"ready", "draining"} else 0
        choice = self.load.choices[0] if self.load.choices else None
        used = time.time() - (time.monotonic() - self.last_used)
        return ModelStatus(
            model=self.name, state=self.state, bytes=self.bytes, queued=in_flight - running,
            running=running, capacity=self.capacity, progress=self._progress[0],
            fraction=self._progress[1], pid=self._process.pid if self._process else None,
            since=self._since, last_used=used, restarts=self.restarts, pinned=self.pinned,
            engine=choice.engine if choice else "", precision=choice.precision if choice else "",
            streams=choice.streams if choice else 0,
            log=self._process.log() if self._process else self._log,
        )  # fmt: skip
