"""AI.run: takes a request through its steps, in the order of one list."""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence

from skerry.ai.flight import Flight, Next, Reply
from skerry.errors import AiError, InternalError
from skerry.types import InferenceRequest

log = logging.getLogger("skerry.ai")


class Step(ABC):
    """One step of a request's life: does its part, then calls `proceed` for the rest."""

    @abstractmethod
    async def __call__(self, flight: Flight, proceed: Next) -> Reply:
        """Answer, or raise an AiError."""


class AI:
    """Runs inferences. The last step answers; every other one calls the next."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self._chain = _link(list(steps))

    async def run(self, request: InferenceRequest) -> Reply:
        """Answer the request; for `request.stream` an AnswerStream where the task streams.

        Raises AiError and nothing else (but cancellation).
        """
        flight = Flight(request=request, started=time.monotonic(), timestamp=time.time())
        try:
            return await self._chain(flight)
        except AiError:
            raise
        except Exception as error:
            log.exception("request %s for %s failed", request.id, request.model)
            raise InternalError(
                f"Internal error while running {request.model}"
                f" (request {request.id}); the node's log says more"
            ) from error


def _link(steps: list[Step]) -> Next:
    if not steps:
        raise ValueError("AI needs at least one step")

    async def end(flight: Flight) -> Reply:
        raise RuntimeError("the last step must answer")

    chain: Next = end
    for step in reversed(steps):
        chain = _bind(step, chain)
    return chain


def _bind(step: Step, proceed: Next) -> Next:
    async def call(flight: Flight) -> Reply:
        return await step(flight, proceed)

    return call
