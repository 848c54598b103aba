"""Step: one event per request."""

from __future__ import annotations

import asyncio
import time

from skerry.ai.ai import Step
from skerry.ai.ended import when_ended
from skerry.ai.flight import Flight, Next, Reply
from skerry.ai.spend import neurons
from skerry.errors import Aborted, AiError
from skerry.telemetry.events import EventSink, InferenceEvent
from skerry.types import Answer, AnswerStream


class Record(Step):
    """Hands an InferenceEvent to the sink when a request has ended, well or not."""

    def __init__(self, sink: EventSink) -> None:
        self._sink = sink

    async def __call__(self, flight: Flight, proceed: Next) -> Reply:
        try:
            reply = await proceed(flight)
        except AiError as error:
            self._record(flight, None, error.code)
            raise
        except asyncio.CancelledError:
            self._record(flight, None, Aborted.code)
            raise
        return when_ended(
            reply, lambda ended, error: self._record(flight, ended, error.code if error else 0)
        )

    def _record(self, flight: Flight, reply: Answer | AnswerStream | None, code: int) -> None:
        request, entry = flight.request, flight.entry
        event = InferenceEvent(
            timestamp=flight.timestamp,
            id=request.id,
            account=request.account,
            model=request.model,
            answered_by=entry.name if entry else "",
            task=entry.task if entry else "",
            total=time.monotonic() - flight.started,
            streamed=isinstance(reply, AnswerStream),
            success=code == 0,
            code=code,
        )
        if reply is not None and entry is not None:
            event.queue, event.load = reply.timing.queue, reply.timing.load
            event.run, event.first = reply.timing.run, reply.timing.first
            event.prompt_tokens = reply.usage.prompt_tokens
            event.completion_tokens = reply.usage.completion_tokens
            event.neurons = neurons(entry.price, reply.usage)
        self._sink.record(event)
