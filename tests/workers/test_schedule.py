"""A worker's schedule under clocks that run, jump and stand still."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from skerry.errors import WorkerError
from skerry.storage.open import Stores
from skerry.storage.slots import Slots
from skerry.workers.cron import InvalidCron
from skerry.workers.schedule import CronSchedule

NINE = 1_795_597_200.0
"""2026-11-25 09:00 UTC."""


class Time:
    """A clock that its sleepers move; `jumps` happen while they sleep."""

    def __init__(self, now: float, until: float) -> None:
        self.now = now
        self.until = until
        self.jumps: dict[float, float] = {}
        self.over = asyncio.Event()

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)
        before = self.now
        self.now += seconds
        for when, to in list(self.jumps.items()):
            if before <= when < self.now:
                self.now = to
                del self.jumps[when]
        if self.now >= self.until and not self.jumps:
            self.over.set()
            await asyncio.Event().wait()


class Fired:
    def __init__(self) -> None:
        self.calls: list[tuple[str, float]] = []

    async def __call__(self, cron: str, time: float) -> None:
        self.calls.append((cron, (time - NINE) / 60))


@pytest.fixture
async def slots(tmp_path: Path) -> AsyncIterator[Slots]:
    stores = Stores(tmp_path)
    yield stores.slots("acc")
    await stores.close()


async def run(slots: Slots, time: Time, *crons: str, fired: Fired | None = None) -> Fired:
    fired = fired or Fired()
    schedule = CronSchedule("w", crons, slots, fired, clock=time, sleep=time.sleep)
    schedule.start()
    async with asyncio.timeout(20):
        await time.over.wait()
    await schedule.close()
    return fired


async def test_each_minute_once(slots: Slots) -> None:
    fired = await run(slots, Time(NINE + 30, NINE + 361), "*/2 * * * *", "3 9 * * *")
    assert fired.calls == [
        ("*/2 * * * *", 2),
        ("3 9 * * *", 3),
        ("*/2 * * * *", 4),
        ("*/2 * * * *", 6),
    ]


async def test_a_clock_that_is_set_forward_skips_what_was_slept_through(slots: Slots) -> None:
    time = Time(NINE + 1, NINE + 36_121)
    time.jumps[NINE + 70] = NINE + 36_000 + 5
    fired = await run(slots, time, "* * * * *")
    assert [minute for _, minute in fired.calls] == [1, 598, 599, 600, 601, 602]


async def test_a_clock_that_is_set_back_fires_no_minute_twice(slots: Slots) -> None:
    time = Time(NINE + 1, NINE + 361)
    time.jumps[NINE + 245] = NINE + 62
    fired = await run(slots, time, "* * * * *")
    assert [minute for _, minute in fired.calls] == [1, 2, 3, 4, 5, 6]


async def test_of_two_processes_one_fires(slots: Slots, tmp_path: Path) -> None:
    fired = Fired()
    other = Stores(tmp_path)
    try:
        await asyncio.gather(
            run(slots, Time(NINE + 1, NINE + 601), "* * * * *", fired=fired),
            run(other.slots("acc"), Time(NINE + 1, NINE + 601), "* * * * *", fired=fired),
        )
    finally:
        await other.close()
    assert sorted(minute for _, minute in fired.calls) == list(range(1, 11))


async def test_another_worker_has_its_own_minutes(slots: Slots) -> None:
    assert await slots.claim("a", "* * * * *", 1)
    assert await slots.claim("b", "* * * * *", 1)
    assert await slots.claim("a", "*/1 * * * *", 1)
    assert not await slots.claim("a", "* * * * *", 1)


async def test_old_claims_are_forgotten(slots: Slots) -> None:
    assert await slots.claim("a", "x", 1)
    assert await slots.claim("a", "x", 20_000)
    assert await slots.claim("a", "x", 1)


async def test_a_handler_that_fails_stops_nothing(
    slots: Slots, caplog: pytest.LogCaptureFixture
) -> None:
    fired = Fired()

    async def fire(cron: str, time: float) -> None:
        await fired(cron, time)
        raise WorkerError("boom") if len(fired.calls) == 1 else ValueError("bang")

    time = Time(NINE + 1, NINE + 181)
    schedule = CronSchedule("w", ["* * * * *"], slots, fire, clock=time, sleep=time.sleep)
    schedule.start()
    with caplog.at_level(logging.WARNING):
        await time.over.wait()
        await schedule.close()
    assert len(fired.calls) == 3
    assert "boom" in caplog.text
    assert "bang" in caplog.text


async def test_runs_are_bounded_and_cancelled_on_close(
    slots: Slots, caplog: pytest.LogCaptureFixture
) -> None:
    running = 0

    async def fire(_cron: str, _time: float) -> None:
        nonlocal running
        running += 1
        try:
            await asyncio.Event().wait()
        finally:
            running -= 1

    time = Time(NINE + 1, NINE + 60 * 30)
    schedule = CronSchedule("w", ["* * * * *"], slots, fire, clock=time, sleep=time.sleep)
    schedule.start()
    with caplog.at_level(logging.WARNING):
        await time.over.wait()
    assert running == 16
    assert "16 runs are not done yet" in caplog.text
    await schedule.close(grace=0.01)
    assert running == 0


async def test_a_cron_that_is_none_is_refused_at_once(slots: Slots) -> None:
    with pytest.raises(InvalidCron):
        CronSchedule("w", ["* * * * *", "bad"], slots, Fired())
    schedule = CronSchedule("w", [], slots, Fired())
    schedule.start()
    await schedule.close()
