"""The delivery loop on real queues, with handlers that answer, fail, hang and are cut off."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from skerry.errors import WorkerError
from skerry.storage.open import Stores
from skerry.storage.queues.base import (
    ConsumerSettings,
    InvalidSetting,
    Lease,
    MessageRetry,
    Outgoing,
    Queue,
    QueueBatch,
    QueueMessage,
    QueueResult,
)
from skerry.workers.consumers import QueueConsumer, resolve


@pytest.fixture
async def stores(tmp_path: Path) -> AsyncIterator[Stores]:
    made = Stores(tmp_path)
    yield made
    await made.close()


class Handler:
    """A worker: notes its batches, answers what `answer` says."""

    def __init__(self, answer: Callable[[QueueBatch], Any] | None = None) -> None:
        self.batches: list[list[bytes]] = []
        self.attempts: list[int] = []
        self._answer = answer

    async def __call__(self, batch: QueueBatch) -> QueueResult:
        self.batches.append([each.body for each in batch.messages])
        self.attempts += [each.attempts for each in batch.messages]
        found = self._answer(batch) if self._answer else QueueResult()
        if asyncio.iscoroutine(found):
            found = await found
        if isinstance(found, Exception):
            raise found
        assert isinstance(found, QueueResult)
        return found


@asynccontextmanager
async def consuming(
    queue: Queue, handler: Handler, lease: float = 30.0, deadline: float = 900.0, **settings: Any
) -> AsyncIterator[QueueConsumer]:
    chosen = ConsumerSettings(**{"max_wait_ms": 0, **settings})
    consumer = QueueConsumer(queue, chosen, handler, lease=lease, deadline=deadline, poll=0.05)
    consumer.start()
    try:
        yield consumer
    finally:
        await consumer.close(0.05)


async def until(holds: Callable[[], Any]) -> None:
    async with asyncio.timeout(20):
        while True:
            found = holds()
            if asyncio.iscoroutine(found):
                found = await found
            if found:
                return
            await asyncio.sleep(0.01)


async def count(queue: Queue) -> int:
    return (await queue.metrics()).backlog_count


def texts(*bodies: str) -> list[Outgoing]:
    return [Outgoing(body=body.encode(), content_type="text") for body in bodies]


async def test_batches_are_as_large_as_they_may_be(stores: Stores) -> None:
    queue, handler = stores.queue("acc", "q"), Handler()
    await queue.send(texts(*(str(at) for at in range(25))))
    async with consuming(queue, handler, max_batch_size=10, max_concurrency=1):
        await until(lambda: sum(map(len, handler.batches)) == 25)
    assert [len(each) for each in handler.batches] == [10, 10, 5]
    assert sorted(b"".join(body + b" " for batch in handler.batches for body in batch).split()) == (
        sorted(str(at).encode() for at in range(25))
    )
    assert await count(queue) == 0


async def test_a_batch_waits_to_fill_but_not_for_ever(stores: Stores) -> None:
    queue, handler = stores.queue("acc", "q"), Handler()
    async with consuming(queue, handler, max_batch_size=3, max_wait_ms=60_000):
        await queue.send(texts("a"))
        await queue.send(texts("b"))
        await asyncio.sleep(0.15)
        assert handler.batches == []
        await queue.send(texts("c"))
        await until(lambda: handler.batches)
        assert handler.batches == [[b"a", b"b", b"c"]]
    handler.batches.clear()
    async with consuming(queue, handler, max_batch_size=3, max_wait_ms=50):
        await queue.send(texts("d"))
        await until(lambda: handler.batches == [[b"d"]])


async def test_a_delayed_message_comes_when_it_is_due(stores: Stores) -> None:
    queue, handler = stores.queue("acc", "q"), Handler()
    async with consuming(queue, handler):
        await queue.send(texts("late"), delay=1)
        await queue.send(texts("now"))
        await until(lambda: handler.batches == [[b"now"], [b"late"]])


@pytest.mark.parametrize("kind", ["throws", "dies", "breaks", "retries"])
async def test_what_fails_is_retried_then_in_the_dead_letter_queue(
    stores: Stores, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    def answer(batch: QueueBatch) -> Any:
        good = [each.id for each in batch.messages if each.body == b"good"]
        if kind == "throws":
            return QueueResult(outcome="exception", acks=good)
        if kind == "retries":
            return QueueResult(
                retries=[MessageRetry(id=each.id) for each in batch.messages if each.id not in good]
            )
        return WorkerError("the process ended") if kind == "dies" else KeyError("a host's fault")

    queue, handler = stores.queue("acc", "q"), Handler(answer)
    await queue.send(texts("bad", "good"))
    dead = stores.queue("acc", "dead")
    wanted = 2 if kind in ("dies", "breaks") else 1
    with caplog.at_level(logging.WARNING):
        async with consuming(queue, handler, max_retries=2, dead_letter_queue="dead"):

            async def all_dead() -> bool:
                return await count(dead) == wanted

            await until(all_dead)
    assert max(handler.attempts) == 3
    assert await count(queue) == 0
    assert ("the process ended" in caplog.text) == (kind == "dies")


async def test_a_handler_that_hangs_is_cut_off(stores: Stores) -> None:
    async def hang(_batch: QueueBatch) -> QueueResult:
        await asyncio.Event().wait()
        raise AssertionError

    queue = stores.queue("acc", "q")
    handler = Handler(lambda batch: hang(batch) if len(handler.batches) == 1 else QueueResult())
    await queue.send(texts("a"))
    async with consuming(queue, handler, deadline=0.1):
        await until(lambda: len(handler.batches) == 2)
    assert handler.attempts == [1, 2]


async def test_a_lease_is_renewed_while_the_handler_runs(stores: Stores) -> None:
    go = asyncio.Event()

    async def slow(_batch: QueueBatch) -> QueueResult:
        await go.wait()
        return QueueResult()

    queue, handler = stores.queue("acc", "q"), Handler(slow)
    await queue.send(texts("a"))
    async with consuming(queue, handler, lease=1.5):
        await until(lambda: handler.batches)
        await asyncio.sleep(2.0)
        go.set()

        async def empty() -> bool:
            return await count(queue) == 0

        await until(empty)
    assert handler.batches == [[b"a"]]


async def test_closing_gives_messages_back_at_once_and_uncounted(stores: Stores) -> None:
    async def hang(_batch: QueueBatch) -> QueueResult:
        await asyncio.Event().wait()
        raise AssertionError

    queue = stores.queue("acc", "q")
    await queue.send(texts("a"))
    async with consuming(queue, first := Handler(hang)):
        await until(lambda: first.batches)
    async with consuming(queue, second := Handler()):
        await until(lambda: second.batches)
    assert second.attempts == [1]


async def test_closing_lets_deliveries_end(stores: Stores) -> None:
    async def slow(_batch: QueueBatch) -> QueueResult:
        await asyncio.sleep(0.2)
        return QueueResult()

    queue, handler = stores.queue("acc", "q"), Handler(slow)
    await queue.send(texts("a"))
    consumer = QueueConsumer(queue, ConsumerSettings(max_wait_ms=0), handler)
    consumer.start()
    await until(lambda: handler.batches)
    await consumer.close(grace=10)
    assert await count(queue) == 0


async def test_concurrency_is_bounded(stores: Stores) -> None:
    running = most = 0

    async def slow(_batch: QueueBatch) -> QueueResult:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.03)
        running -= 1
        return QueueResult()

    queue, handler = stores.queue("acc", "q"), Handler(slow)
    await queue.send(texts(*"abcdefghij"))
    async with consuming(queue, handler, max_batch_size=1, max_concurrency=3):
        await until(lambda: len(handler.batches) == 10 and not running)
    assert most == 3


async def test_two_processes_share_a_queue(stores: Stores, tmp_path: Path) -> None:
    other = Stores(tmp_path)
    mine, theirs = Handler(), Handler()
    try:
        for at in range(20):
            await stores.queue("acc", "q").send(texts(*(f"{at}.{n}" for n in range(10))))
        async with (
            consuming(stores.queue("acc", "q"), mine, max_batch_size=7),
            consuming(other.queue("acc", "q"), theirs, max_batch_size=7),
        ):
            await until(lambda: sum(map(len, mine.batches + theirs.batches)) >= 200)
            # What the other process sends is noticed, too.
            await other.queue("acc", "q").send(texts("last"))
            await until(lambda: any(each == [b"last"] for each in mine.batches + theirs.batches))
    finally:
        await other.close()
    found = [body for batch in mine.batches + theirs.batches for body in batch]
    assert len(found) == len(set(found)) == 201


async def test_a_queue_cannot_be_its_own_dead_letter_queue(stores: Stores) -> None:
    with pytest.raises(InvalidSetting):
        QueueConsumer(stores.queue("acc", "q"), ConsumerSettings(dead_letter_queue="q"), Handler())


def message(ident: str) -> QueueMessage:
    return QueueMessage(
        id=ident, body=b"", content_type="text", timestamp_ms=0, attempts=1, lease_id=f"L{ident}"
    )


@pytest.mark.parametrize(
    ("result", "acks", "retries"),
    [
        (QueueResult(), "ab", {}),
        (QueueResult(ack_all=True), "ab", {}),
        (QueueResult(retry_all=True), "", {"a": None, "b": None}),
        (QueueResult(retry_all=True, retry_delay=5, acks=["a"]), "a", {"b": 5}),
        (QueueResult(ack_all=True, retries=[MessageRetry(id="b", delay=3)]), "a", {"b": 3}),
        (QueueResult(outcome="exception"), "", {"a": None, "b": None}),
        (QueueResult(outcome="exception", acks=["b"]), "b", {"a": None}),
        (QueueResult(outcome="exception", ack_all=True), "ab", {}),
        (QueueResult(retries=[MessageRetry(id="a", delay=10**9)]), "b", {"a": 86_400}),
        (QueueResult(retries=[MessageRetry(id="a", delay=-4)]), "b", {"a": 0}),
        (QueueResult(retries=[MessageRetry(id="x")], acks=["y"]), "ab", {}),
    ],
)
def test_what_an_answer_means(
    result: QueueResult, acks: str, retries: dict[str, int | None]
) -> None:
    assert resolve([message("a"), message("b")], result) == (
        [f"L{each}" for each in acks],
        [Lease(lease_id=f"L{ident}", delay=delay) for ident, delay in retries.items()],
    )
