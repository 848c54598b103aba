"""Queues through their abstract class, on a real file."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from skerry.errors import StorageError
from skerry.storage.open import Stores
from skerry.storage.queues.base import (
    BacklogFull,
    BatchCount,
    BatchTooLarge,
    ConsumerSettings,
    InvalidMessage,
    InvalidSetting,
    Lease,
    MessageTooLarge,
    Outgoing,
    QueueExists,
    QueueMetrics,
    QueueNameInvalid,
    QueueNotFound,
)
from skerry.storage.queues.bell import Bells
from skerry.storage.queues.embedded import EmbeddedQueue
from skerry.storage.queues.embedded_registry import EmbeddedQueues
from skerry.storage.queues.registry import (
    ConsumerExists,
    ConsumerInfo,
    ConsumerNotFound,
    QueueSettings,
)
from skerry.storage.queues.schema import SCHEMA
from skerry.storage.sqlite import Database

START = 1_800_000_000.0
PLAIN = ConsumerSettings()


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


class Rig:
    def __init__(self, path: Path) -> None:
        self.clock = Clock()
        self.path = path
        self.database = Database(path, SCHEMA)
        self.queues = EmbeddedQueues(self.database, self.clock)
        self.queue = self.queues.queue("jobs")

    async def bodies(self, settings: ConsumerSettings = PLAIN, name: str = "jobs") -> list[bytes]:
        queue = self.queues.queue(name)
        return [each.body for each in await queue.lease(settings, most=100, seconds=30)]


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    made = Rig(tmp_path / "queues.db")
    yield made
    await made.database.close()


def texts(*bodies: str) -> list[Outgoing]:
    return [Outgoing(body=body.encode(), content_type="text") for body in bodies]


async def test_messages_come_in_their_order_with_what_was_sent(rig: Rig) -> None:
    await rig.queue.send([Outgoing(body=b'{"a":1}', content_type="json")])
    rig.clock.now += 1
    metrics = await rig.queue.send(
        [Outgoing(body=b"\0\xff", content_type="bytes"), Outgoing(body=b"", content_type="v8")]
    )
    assert metrics == QueueMetrics(
        backlog_count=3, backlog_bytes=9, oldest_timestamp_ms=int(START * 1000)
    )
    got = await rig.queue.lease(PLAIN, most=10, seconds=5)
    assert [(each.body, each.content_type) for each in got] == [
        (b'{"a":1}', "json"),
        (b"\0\xff", "bytes"),
        (b"", "v8"),
    ]
    assert [each.attempts for each in got] == [1, 1, 1]
    assert got[0].timestamp_ms == int(START * 1000)
    assert len({each.id for each in got}) == 3


async def test_a_leased_message_is_nobody_else_s_until_the_lease_ends(rig: Rig) -> None:
    await rig.queue.send(texts("a"))
    [first] = await rig.queue.lease(PLAIN, most=10, seconds=5)
    assert await rig.bodies() == []
    rig.clock.now += 5.1
    [again] = await rig.queue.lease(PLAIN, most=10, seconds=5)
    assert again.id == first.id
    assert again.attempts == 2
    # The first consumer wants it again, though it is another's now: that has no effect.
    settled = await rig.queue.settle(PLAIN, [], [Lease(lease_id=first.lease_id)])
    assert settled.retried == 0
    assert first.lease_id in settled.warnings
    assert await rig.bodies() == []


async def test_a_late_acknowledgement_counts(rig: Rig) -> None:
    await rig.queue.send(texts("a"))
    [first] = await rig.queue.lease(PLAIN, most=10, seconds=5)
    rig.clock.now += 6
    [again] = await rig.queue.lease(PLAIN, most=10, seconds=5)
    assert (await rig.queue.settle(PLAIN, [first.lease_id], [])).acked == 1
    late = await rig.queue.settle(PLAIN, [again.lease_id], [])
    assert late.acked == 0
    assert (await rig.queue.metrics()).backlog_count == 0
    rig.clock.now += 100
    assert await rig.bodies() == []


async def test_retries_with_delays_then_the_dead_letter_queue(rig: Rig) -> None:
    settings = ConsumerSettings(max_retries=2, retry_delay=10, dead_letter_queue="dead")
    await rig.queue.send(texts("a"))
    for attempt in (1, 2, 3):
        [got] = await rig.queue.lease(settings, most=10, seconds=5)
        assert got.attempts == attempt
        delay = None if attempt == 1 else 20
        await rig.queue.settle(settings, [], [Lease(lease_id=got.lease_id, delay=delay)])
        if attempt < 3:
            rig.clock.now += 9 if attempt == 1 else 19
            assert await rig.bodies(settings) == []
            rig.clock.now += 1
    assert (await rig.queue.metrics()).backlog_count == 0
    [dead] = await rig.queues.queue("dead").lease(PLAIN, most=10, seconds=5)
    assert (dead.body, dead.content_type, dead.attempts) == (b"a", "text", 1)


async def test_without_a_dead_letter_queue_the_loss_is_told(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    settings = ConsumerSettings(max_retries=0)
    await rig.queue.send(texts("a"))
    [got] = await rig.queue.lease(settings, most=10, seconds=5)
    with caplog.at_level(logging.WARNING):
        await rig.queue.settle(settings, [], [Lease(lease_id=got.lease_id)])
    assert "dropped" in caplog.text
    assert got.id in caplog.text


async def test_a_message_whose_consumers_die_is_given_up_too(rig: Rig) -> None:
    settings = ConsumerSettings(max_retries=1, dead_letter_queue="dead")
    await rig.queue.send(texts("poison"))
    for _ in range(2):
        assert await rig.bodies(settings) == [b"poison"]
        rig.clock.now += 30  # its consumer is gone
    await rig.queue.send(texts("good"))
    assert await rig.bodies(settings) == [b"good"]
    assert await rig.bodies(name="dead") == [b"poison"]


async def test_release_gives_back_without_counting(rig: Rig) -> None:
    await rig.queue.send(texts("a"))
    [got] = await rig.queue.lease(PLAIN, most=10, seconds=5)
    await rig.queue.release([got.lease_id])
    [again] = await rig.queue.lease(PLAIN, most=10, seconds=5)
    assert again.attempts == 1
    await rig.queue.release([got.lease_id])  # not its lease any more
    assert await rig.bodies() == []


async def test_delays_of_message_batch_and_queue(rig: Rig) -> None:
    await rig.queues.create("jobs", QueueSettings(delivery_delay=30))
    own = Outgoing(body=b"own", content_type="text", delay=0)
    await rig.queue.send([own, *texts("batch")], delay=10)
    await rig.queue.send(texts("queue"))
    assert await rig.bodies() == [b"own"]
    assert await rig.queue.ready(10) == (0, START + 10)
    rig.clock.now += 10
    assert await rig.bodies() == [b"batch"]
    rig.clock.now += 20
    assert await rig.bodies() == [b"own", b"queue"]


async def test_retention_deletes_but_not_what_is_being_consumed(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    await rig.queues.create("jobs", QueueSettings(message_retention_period=60))
    await rig.queue.send(texts("held"))
    [held] = await rig.queue.lease(PLAIN, most=1, seconds=500)
    await rig.queue.send(texts("old"))
    rig.clock.now += 60
    await rig.queue.send(texts("new"))
    with caplog.at_level(logging.WARNING):
        assert await rig.bodies() == [b"new"]
    assert "1 messages were kept for its whole retention" in caplog.text
    assert (await rig.queue.settle(PLAIN, [held.lease_id], [])).acked == 1


async def test_a_sweep_deletes_what_nobody_consumes(tmp_path: Path) -> None:
    clock = Clock()
    stores = Stores(tmp_path, clock=clock)
    try:
        for account in ("a", "b"):
            await stores.queues(account).create("q", QueueSettings(message_retention_period=60))
            for _ in range(12):
                await stores.queue(account, "q").send(texts(*"x" * 100))
        assert await stores.sweep() == 0
        clock.now += 61
        await stores.queue("a", "q").send(texts("young"))
        assert await stores.queue("a", "q").ready(10) == (1, clock.now)
        assert await stores.sweep() == 2400
        assert (await stores.queue("a", "q").metrics()).backlog_count == 1
    finally:
        await stores.close()


async def test_a_great_many_that_expired_are_never_delivered(rig: Rig) -> None:
    await rig.queues.create("jobs", QueueSettings(message_retention_period=60))
    for _ in range(12):
        await rig.queue.send(texts(*"x" * 100))
    rig.clock.now += 61
    await rig.queue.send(texts("young"))
    assert await rig.bodies() == [b"young"]
    assert (await rig.queue.metrics()).backlog_count == 201


async def test_pausing_stops_delivery_and_keeps_messages(rig: Rig) -> None:
    info = await rig.queues.create("jobs")
    await rig.queues.update(info.id, settings=QueueSettings(delivery_paused=True))
    await rig.queue.send(texts("a"))
    assert await rig.queue.ready(1) == (0, None)
    assert await rig.bodies() == []
    await rig.queues.update(info.id, settings=QueueSettings())
    assert await rig.bodies() == [b"a"]


@pytest.mark.parametrize(
    ("messages", "error", "code"),
    [
        ([], BatchCount, 10206),
        ([Outgoing(body=b"")] * 101, BatchCount, 10206),
        ([Outgoing(body=b"x" * 128_001)], MessageTooLarge, 10204),
        ([Outgoing(body=b"x" * 128_000)] * 3, BatchTooLarge, 10205),
        ([Outgoing(body=b"", content_type="xml")], InvalidMessage, 10203),
        ([Outgoing(body=b"", delay=-1)], InvalidMessage, 10203),
        ([Outgoing(body=b""), Outgoing(body=b"", delay=86_401)], InvalidMessage, 10203),
    ],
)
async def test_what_is_over_a_limit_is_refused_whole(
    rig: Rig, messages: list[Outgoing], error: type[StorageError], code: int
) -> None:
    with pytest.raises(error) as caught:
        await rig.queue.send(messages)
    assert caught.value.code == code
    assert (await rig.queue.metrics()).backlog_count == 0


async def test_the_limits_themselves_are_taken(rig: Rig) -> None:
    await rig.queue.send([Outgoing(body=b"x" * 128_000, delay=86_400)] * 2)
    await rig.queue.send([Outgoing(body=b"x" * 2_560)] * 100)
    assert (await rig.queue.metrics()).backlog_count == 102


async def test_a_full_backlog_refuses_and_keeps_what_it_has(rig: Rig) -> None:
    small = EmbeddedQueue("jobs", rig.database, Bells(), rig.clock, max_backlog=10)
    await small.send(texts("12345678"))
    with pytest.raises(BacklogFull):
        await small.send(texts("123"))
    await small.send(texts("12"))
    assert (await small.metrics()).backlog_bytes == 10


@pytest.mark.parametrize("lease", ["", "x", "a.b.c", "a.1.b", ".1.", "a.²." + "x" * 9999, "a.-1.b"])
async def test_forged_leases_do_nothing(rig: Rig, lease: str) -> None:
    await rig.queue.send(texts("a"))
    await rig.queue.lease(PLAIN, most=1, seconds=5)
    settled = await rig.queue.settle(PLAIN, [lease], [Lease(lease_id=lease)])
    assert (settled.acked, settled.retried) == (0, 0)
    assert settled.warnings.keys() == {lease}
    await rig.queue.extend([lease], 1000)
    await rig.queue.release([lease])
    assert (await rig.queue.metrics()).backlog_count == 1


async def test_peek_remove_and_purge(rig: Rig) -> None:
    await rig.queue.send(texts("a", "b", "c"))
    seen = await rig.queue.peek(2)
    assert [(each.body, each.attempts, each.lease_id) for each in seen] == [
        (b"a", 0, ""),
        (b"b", 0, ""),
    ]
    assert await rig.queue.remove([seen[0].id, "none"]) == ["none"]
    assert await rig.queue.purge() == 2
    assert await rig.queue.metrics() == QueueMetrics()


async def test_a_queue_that_was_never_used_is_empty(rig: Rig) -> None:
    assert await rig.queue.metrics() == QueueMetrics()
    assert await rig.queue.ready(1) == (0, None)
    assert await rig.bodies() == []
    assert await rig.queue.purge() == 0
    assert await rig.queue.remove(["x"]) == ["x"]


async def test_registry(rig: Rig) -> None:
    jobs = await rig.queues.create("jobs")
    assert await rig.queues.get(jobs.id) == await rig.queues.get("jobs") == jobs
    with pytest.raises(QueueExists):
        await rig.queues.create("jobs")
    await rig.queues.queue("made-by-use").send(texts("a"))
    assert [each.name for each in await rig.queues.list()] == ["jobs", "made-by-use"]
    rig.clock.now += 1
    renamed = await rig.queues.update(jobs.id, name="tasks")
    assert renamed.id == jobs.id
    assert renamed.modified_ms > jobs.modified_ms
    with pytest.raises(QueueExists):
        await rig.queues.update(jobs.id, name="made-by-use")
    await rig.queues.delete("made-by-use")
    assert await rig.bodies(name="made-by-use") == []
    for call in (rig.queues.get("none"), rig.queues.delete("none"), rig.queues.update("none")):
        with pytest.raises(QueueNotFound):
            await call


async def test_consumers_of_a_queue(rig: Rig) -> None:
    jobs = await rig.queues.create("jobs")
    made = await rig.queues.add_consumer(jobs.id, ConsumerInfo(id="", type="http_pull"))
    assert (await rig.queues.get(jobs.id)).consumers == [made]
    with pytest.raises(ConsumerExists):
        await rig.queues.add_consumer(jobs.id, made)
    changed = ConsumerInfo(
        id=made.id, type="worker", script_name="w", settings=ConsumerSettings(max_retries=9)
    )
    got = await rig.queues.update_consumer(jobs.id, changed)
    assert (got.type, got.settings.max_retries, got.created_ms) == ("worker", 9, made.created_ms)
    with pytest.raises(ConsumerNotFound):
        await rig.queues.remove_consumer(jobs.id, "none")
    await rig.queues.remove_consumer(jobs.id, made.id)
    assert (await rig.queues.get(jobs.id)).consumers == []


@pytest.mark.parametrize(
    "settings",
    [
        {"max_batch_size": 0},
        {"max_batch_size": 101},
        {"max_wait_ms": 60_001},
        {"max_retries": 101},
        {"retry_delay": 86_401},
        {"max_concurrency": 0},
        {"visibility_timeout_ms": 43_200_001},
        {"dead_letter_queue": "../x"},
        {"dead_letter_queue": "jobs"},
    ],
)
async def test_settings_out_of_their_bounds_are_named(
    rig: Rig, settings: dict[str, object]
) -> None:
    jobs = await rig.queues.create("jobs")
    consumer = ConsumerInfo(id="", type="worker", settings=ConsumerSettings(**settings))  # type: ignore[arg-type]
    with pytest.raises((InvalidSetting, QueueNameInvalid)) as caught:
        await rig.queues.add_consumer(jobs.id, consumer)
    assert str(next(iter(settings.values()))) in caught.value.message


@pytest.mark.parametrize("name", ["", "-a", "a-", "a/b", "..", "a" * 64, "ä", "a b", "a\n"])
async def test_names_that_are_none(rig: Rig, name: str) -> None:
    with pytest.raises(QueueNameInvalid):
        rig.queues.queue(name)
    with pytest.raises(QueueNameInvalid):
        await rig.queues.create(name)


@pytest.mark.parametrize(
    "settings",
    [
        QueueSettings(delivery_delay=-1),
        QueueSettings(message_retention_period=59),
        QueueSettings(message_retention_period=1_209_601),
    ],
)
async def test_queue_settings_have_bounds(rig: Rig, settings: QueueSettings) -> None:
    with pytest.raises(InvalidSetting):
        await rig.queues.create("jobs", settings)


async def test_two_handles_on_one_file_share_its_messages(rig: Rig) -> None:
    other = Database(rig.path, SCHEMA)
    try:
        theirs = EmbeddedQueues(other, rig.clock).queue("jobs")
        await rig.queue.send(texts(*"abcdef"))
        mine = await rig.queue.lease(PLAIN, most=3, seconds=5)
        rest = await theirs.lease(PLAIN, most=100, seconds=5)
        assert [each.body for each in mine + rest] == [b"a", b"b", b"c", b"d", b"e", b"f"]
        assert (await theirs.settle(PLAIN, [each.lease_id for each in mine], [])).acked == 3
    finally:
        await other.close()
