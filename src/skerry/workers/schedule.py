"""Fires a worker's cron triggers, each minute at most once among all processes of a node."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence

from skerry.errors import SkerryError
from skerry.storage.slots import Slots
from skerry.workers.cron import MINUTE, CronExpression

log = logging.getLogger("skerry.cron")

Fire = Callable[[str, float], Awaitable[object]]
"""Calls the worker's `scheduled` handler: the expression as it is configured, and Unix seconds."""

LATE = 2
"""Minutes that are made up for after the loop was held up; what is older was slept through."""
LOOK = 15.0
"""Seconds after which the clock is looked at again: it may have been set."""
RUNNING = 16
"""Runs of one worker at a time; a minute that comes on top of them is left out."""


class CronSchedule:
    """The cron triggers of one worker."""

    def __init__(
        self,
        worker: str,
        crons: Sequence[str],
        slots: Slots,
        fire: Fire,
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """clock: Unix seconds. Raises InvalidCron."""
        self._worker = worker
        self._crons = [CronExpression(text) for text in dict.fromkeys(crons)]
        self._slots = slots
        self._fire = fire
        self._clock = clock
        self._sleep = sleep
        self._loop: asyncio.Task[None] | None = None
        self._runs: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin; the minute that is running now is not fired any more."""
        if self._loop is None and self._crons:
            self._loop = asyncio.create_task(self._run(), name=f"cron {self._worker}")

    async def close(self, grace: float = 10.0) -> None:
        """Fire no more; let runs end within `grace` seconds, cancel the others."""
        if self._loop is not None:
            self._loop.cancel()
            await asyncio.wait([self._loop])
            self._loop = None
        if self._runs:
            await asyncio.wait(self._runs, timeout=grace)
        left = list(self._runs)
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left)

    async def _run(self) -> None:
        done = self._minute()
        while True:
            await self._sleep(min(LOOK, MINUTE - self._clock() % MINUTE))
            now = self._minute()
            if now < done:
                # Set back: these minutes come again, and their claims know which were fired.
                done = now - 1
            for minute in range(max(done + 1, now - LATE), now + 1):
                await self._at(minute)
            done = now

    def _minute(self) -> int:
        return int(self._clock() // MINUTE)

    async def _at(self, minute: int) -> None:
        for cron in self._crons:
            if not cron.matches(minute * MINUTE):
                continue
            try:
                mine = await self._slots.claim(self._worker, cron.text, minute)
            except SkerryError as error:
                log.warning("cron %s of %s is left out: %s", cron.text, self._worker, error)
                continue
            if not mine:
                continue
            if len(self._runs) >= RUNNING:
                log.error(
                    "cron %s of %s is left out: %d runs are not done yet",
                    cron.text,
                    self._worker,
                    RUNNING,
                )
                continue
            task = asyncio.create_task(self._one(cron.text, float(minute * MINUTE)))
            self._runs.add(task)
            task.add_done_callback(self._runs.discard)

    async def _one(self, cron: str, at: float) -> None:
        try:
            await self._fire(cron, at)
        except SkerryError as error:
            log.warning("cron %s of %s failed: %s", cron, self._worker, error)
        except Exception:  # the boundary: the schedule goes on whatever a handler does
            log.exception("cron %s of %s failed", cron, self._worker)
