"""The steps of AI.run, each through AI.run with a stub at the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

import pytest

from skerry.ai import AI, Step
from skerry.ai.allow import Allow
from skerry.ai.flight import Flight, Next, Reply
from skerry.ai.record import Record
from skerry.ai.spend import Spend, neurons
from skerry.catalog.entry import Entry, Price
from skerry.errors import (
    AccountBlocked,
    AccountNotAllowed,
    AiError,
    InternalError,
    ModelNotAllowed,
    NeuronsUsedUp,
    OutOfCapacity,
)
from skerry.settings import Settings
from skerry.telemetry.events import RecentEvents
from skerry.types import Answer, AnswerStream, InferenceRequest, Usage

ENTRY = Entry(
    name="@skerry/x",
    id="1",
    task="text-generation",
    description="",
    licence="MIT",
    price=Price(input=1_000_000, output=2_000_000),
)


class Last(Step):
    """Answers with whatever it was given."""

    def __init__(self, reply: Callable[[], Reply | Exception]) -> None:
        self.reply = reply
        self.calls = 0

    async def __call__(self, flight: Flight, proceed: Next) -> Reply:
        flight.entry = ENTRY
        self.calls += 1
        reply = self.reply()
        if isinstance(reply, Exception):
            raise reply
        return reply


def whole() -> Answer:
    return Answer(value={"response": "hi"}, model="@skerry/x", usage=Usage(2, 3))


async def pieces(fail: AiError | None = None) -> AsyncIterator[dict[str, Any]]:
    yield {"response": "h"}
    if fail is not None:
        raise fail
    yield {"response": "i"}


def request(model: str = "@skerry/x", account: str = "local") -> InferenceRequest:
    return InferenceRequest(model=model, inputs={"prompt": "p"}, id="r1", account=account)


async def test_an_answer_passes_every_step_and_leaves_one_event() -> None:
    events = RecentEvents()
    ai = AI([Record(events), Allow(Settings()), Spend(0), Last(whole)])
    reply = await ai.run(request())
    assert isinstance(reply, Answer)
    assert reply.value == {"response": "hi"}
    [event] = events.recent()
    assert (event.success, event.code, event.prompt_tokens, event.completion_tokens) == (
        True,
        0,
        2,
        3,
    )
    assert event.neurons == pytest.approx(8.0)
    assert event.answered_by == "@skerry/x"


async def test_a_stream_is_recorded_when_it_ends_not_when_it_starts() -> None:
    events = RecentEvents()
    stream = AnswerStream(pieces=pieces(), model="@skerry/x", usage=Usage(1, 1))
    reply = await AI([Record(events), Last(lambda: stream)]).run(request())
    assert isinstance(reply, AnswerStream)
    assert events.recent() == []
    assert [piece["response"] async for piece in reply.pieces] == ["h", "i"]
    [event] = events.recent()
    assert event.streamed
    assert event.success


async def test_a_stream_that_fails_is_recorded_with_its_code() -> None:
    events = RecentEvents()
    stream = AnswerStream(pieces=pieces(OutOfCapacity("full")), model="@skerry/x")
    reply = await AI([Record(events), Last(lambda: stream)]).run(request())
    assert isinstance(reply, AnswerStream)
    with pytest.raises(OutOfCapacity):
        _ = [piece async for piece in reply.pieces]
    assert events.recent()[0].code == 3040


async def test_a_stream_that_its_caller_leaves_is_recorded_as_aborted_and_closed() -> None:
    events = RecentEvents()
    closed = False

    async def endless() -> AsyncIterator[dict[str, Any]]:
        nonlocal closed
        try:
            while True:
                yield {"response": "x"}
        finally:
            closed = True

    stream = AnswerStream(pieces=endless(), model="@skerry/x")
    reply = await AI([Record(events), Last(lambda: stream)]).run(request())
    assert isinstance(reply, AnswerStream)
    async with aclosing(reply.pieces) as source:  # type: ignore[type-var]
        async for _ in source:
            break
    assert closed
    assert events.recent()[0].code == 3008


async def test_an_unexpected_fault_is_an_internal_error_that_tells_no_secret(
    caplog: pytest.LogCaptureFixture,
) -> None:
    events = RecentEvents()
    ai = AI([Record(events), Last(lambda: ValueError("secret prompt"))])
    with pytest.raises(InternalError) as caught:
        await ai.run(request())
    assert "secret" not in caught.value.message
    assert "r1" in caught.value.message


async def test_a_cancelled_request_is_recorded_as_aborted() -> None:
    events = RecentEvents()

    class Slow(Step):
        async def __call__(self, flight: Flight, proceed: Next) -> Reply:
            await asyncio.sleep(60)
            return whole()

    task = asyncio.create_task(AI([Record(events), Slow()]).run(request()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert events.recent()[0].code == 3008


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        (Settings(block_accounts=["a"]), AccountBlocked),
        (Settings(allow_models=["@cf/*"]), ModelNotAllowed),
        (Settings(deny_models=["@skerry/x"]), ModelNotAllowed),
        (Settings(account_models={"a": ["@cf/*"]}), AccountNotAllowed),
        (Settings(account_models={"b": []}, allow_models=["@skerry/*"]), None),
    ],
)
async def test_allow(settings: Settings, wanted: type[AiError] | None) -> None:
    last = Last(whole)
    ai = AI([Allow(settings), last])
    if wanted is None:
        await ai.run(request(account="a"))
        assert last.calls == 1
    else:
        with pytest.raises(wanted):
            await ai.run(request(account="a"))
        assert last.calls == 0


async def test_the_daily_allocation_is_per_account_and_says_when_it_ends() -> None:
    ai = AI([Spend(8.0), Last(whole)])
    await ai.run(request(account="a"))
    with pytest.raises(NeuronsUsedUp) as caught:
        await ai.run(request(account="a"))
    assert caught.value.retry_after is not None
    assert 0 < caught.value.retry_after <= 86_400
    await ai.run(request(account="b"))


def test_neurons_by_the_documented_price() -> None:
    # Cloudflare: bge-base-en-v1.5 costs 6058 neurons per million input tokens.
    assert neurons(Price(input=6058), Usage(1_000_000, 0)) == 6058


def test_ai_needs_a_step() -> None:
    with pytest.raises(ValueError, match="at least one step"):
        AI([])
