"""The state of one request on its way through the steps."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from skerry.catalog.entry import Entry
from skerry.types import Answer, AnswerStream, InferenceRequest


class Flight(msgspec.Struct, kw_only=True):
    """What the steps know of a request so far."""

    request: InferenceRequest
    started: float
    """time.monotonic() at arrival."""
    timestamp: float
    """Unix time at arrival."""
    entry: Entry | None = None
    """The model that will answer, once resolved."""
    standin_for: str | None = None

    @property
    def resolved(self) -> Entry:
        if self.entry is None:
            raise RuntimeError("the step `resolve` has not run yet: check the order in node.py")
        return self.entry


Reply = Answer | AnswerStream
Next = Callable[[Flight], Awaitable[Reply]]
