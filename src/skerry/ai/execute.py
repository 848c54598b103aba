"""The last step: run it."""

from __future__ import annotations

from skerry.ai.ai import Step
from skerry.ai.flight import Flight, Next, Reply
from skerry.inference.core import Inference


class Execute(Step):
    """Hands the request to this node's inference core."""

    def __init__(self, inference: Inference) -> None:
        self._inference = inference

    async def __call__(self, flight: Flight, proceed: Next) -> Reply:
        reply = await self._inference.run(flight.resolved, flight.request)
        reply.standin_for = flight.standin_for
        return reply
