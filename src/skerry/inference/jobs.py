"""What the runner keeps of a request, and how it answers one."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any

from skerry.errors import AiError
from skerry.inference.messages import MAX_FRAME, Done, Fail, Run, encode
from skerry.types import Timing, Usage

Send = Callable[[Sequence[bytes]], None]
"""Takes encoded messages to the node."""


class Job:
    """A request in the runner."""

    __slots__ = (
        "arrived",
        "cancelled",
        "deadline",
        "failure",
        "first",
        "id",
        "inputs",
        "left",
        "moving",
        "results",
        "rows",
        "started",
        "stream",
    )

    def __init__(self, run: Run, now: float) -> None:
        self.id = run.id
        self.inputs = run.inputs
        self.stream = run.stream
        self.arrived = now
        self.deadline = now + run.timeout
        self.started = 0.0
        self.first = 0.0
        self.cancelled = False
        self.moving = False
        """Its engine is to stop: another one takes it from the start."""
        self.rows: list[Any] = []
        self.results: list[Any] = []
        self.left = 0
        self.failure: BaseException | None = None

    def timing(self, now: float) -> Timing:
        """Where the time went, up to `now`."""
        return Timing(
            queue=self.started - self.arrived,
            run=now - self.started,
            first=self.first - self.started if self.first else 0.0,
        )


def log_failure(where: str, error: BaseException) -> None:
    """Write the error's type and its stack to stderr, but not its text: that may quote a prompt."""
    stack = "".join(traceback.format_tb(error.__traceback__))
    sys.stderr.write(f"{where}: {type(error).__name__}\n{stack}")
    sys.stderr.flush()


def failed(job_id: int, error: BaseException) -> bytes:
    """The Fail of an error: an AiError by its name, anything else as InternalError."""
    if isinstance(error, AiError):
        return encode(Fail(job_id, type(error).__name__, error.message, error.retry_after))
    log_failure("a request failed", error)
    text = f"{type(error).__name__}: {error}"[:300]
    return encode(Fail(job_id, "InternalError", f"The engine failed: {text}"))


def timed_out(job: Job) -> bytes:
    """The Fail of a job that nobody waits for any more."""
    kind, text = ("Aborted", "Cancelled") if job.cancelled else ("InferenceTimeout", "Out of time")
    return encode(Fail(job.id, kind, text))


def done(job: Job, value: Any, usage: Usage) -> bytes:
    """The Done of an answer, or a Fail where it cannot be sent."""
    try:
        message = encode(Done(job.id, value, usage, job.timing(time.monotonic())))
    except (TypeError, ValueError, OverflowError, NotImplementedError) as error:
        return failed(job.id, error)
    if len(message) > MAX_FRAME // 2:
        size = len(message) >> 20
        return encode(Fail(job.id, "InternalError", f"The answer is too large to send: {size} MB"))
    return message
