"""A queue against a model of it: nothing is lost, nothing acknowledged comes again."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from skerry.storage.open import Stores
from skerry.storage.queues.base import ConsumerSettings, Lease, Outgoing, QueueMessage

from .faces import Now

T = TypeVar("T")

RETRIES = 2
SETTINGS = ConsumerSettings(max_retries=RETRIES, dead_letter_queue="dead", retry_delay=3)


class Copy:
    """What the model knows of one message, named by its body."""

    def __init__(self, visible: float) -> None:
        self.visible = visible
        self.attempts = 0
        self.lease = ""
        self.dead = False


class QueueMachine(RuleBasedStateMachine):
    """Two processes on one file; each step is done by one of them."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = Path(tempfile.mkdtemp())
        self.clock = Now()
        self.stores = [Stores(self.folder, clock=self.clock) for _ in range(2)]
        self.queues = [each.queue("acc", "q") for each in self.stores]
        self.model: dict[bytes, Copy] = {}
        self.acked: set[bytes] = set()
        self.held: list[QueueMessage] = []
        self.count = 0

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(coroutine)

    def teardown(self) -> None:
        # At the end all that was sent is consumed or dead, and nothing else is there.
        for _ in range(RETRIES + 2):
            self.clock.seconds += 1000
            self.lease_all(0)
        left = self.run(self.queues[0].metrics())
        dead = self.stores[0].queue("acc", "dead")
        bodies = [
            each.body for each in self.run(dead.lease(ConsumerSettings(), most=10_000, seconds=1))
        ]
        for store in self.stores:
            self.run(store.close())
        self.runner.close()
        shutil.rmtree(self.folder)
        assert left.backlog_count == 0
        assert len(bodies) == len(set(bodies))
        assert set(bodies) == {body for body, copy in self.model.items() if copy.dead}
        assert set(bodies) | self.acked == {b"%d" % at for at in range(self.count)}

    @initialize()
    def first(self) -> None:
        self.send(0, [0, 5])

    @rule(who=st.integers(0, 1), delays=st.lists(st.integers(0, 9), min_size=1, max_size=4))
    def send(self, who: int, delays: list[int]) -> None:
        messages = []
        for delay in delays:
            body = b"%d" % self.count
            self.count += 1
            messages.append(Outgoing(body=body, content_type="text", delay=delay))
            self.model[body] = Copy(self.clock.seconds + delay)
        self.run(self.queues[who].send(messages))

    @rule(seconds=st.integers(1, 12))
    def wait(self, seconds: int) -> None:
        self.clock.seconds += seconds

    @rule(who=st.integers(0, 1), most=st.integers(1, 5), seconds=st.integers(1, 10))
    def lease(self, who: int, most: int, seconds: int) -> None:
        now = self.clock.seconds
        due = {body for body, copy in self.model.items() if not copy.dead and copy.visible <= now}
        got = self.run(self.queues[who].lease(SETTINGS, most=most, seconds=seconds))
        spent = {body for body in due if self.model[body].attempts > RETRIES}
        assert {each.body for each in got} <= due - spent - self.acked
        assert len(got) == min(most, len(due - spent)) or len(got) == most
        for each in got:
            copy = self.model[each.body]
            copy.attempts += 1
            assert each.attempts == copy.attempts
            copy.visible, copy.lease = now + seconds, each.lease_id
        if len(got) < most:  # all that was due was looked at: what had its chances is dead now
            for body in spent:
                self.model[body].dead = True
        else:
            self._find_dead(spent)
        self.held += got

    def _find_dead(self, spent: set[bytes]) -> None:
        """Of those that had their chances, some are still in the queue: look."""
        there = {each.body for each in self.run(self.queues[0].peek(10_000))}
        for body in spent - there:
            self.model[body].dead = True

    @precondition(lambda self: self.held)
    @rule(who=st.integers(0, 1), data=st.data())
    def acknowledge(self, who: int, data: st.DataObject) -> None:
        each = self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))
        settled = self.run(self.queues[who].settle(SETTINGS, [each.lease_id], []))
        copy = self.model.get(each.body)
        counts = copy is not None and not copy.dead
        assert settled.acked == int(counts)
        if counts:
            del self.model[each.body]
            self.acked.add(each.body)

    @precondition(lambda self: self.held)
    @rule(who=st.integers(0, 1), delay=st.none() | st.integers(0, 6), data=st.data())
    def retry(self, who: int, delay: int | None, data: st.DataObject) -> None:
        each = self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))
        lease = Lease(lease_id=each.lease_id, delay=delay)
        settled = self.run(self.queues[who].settle(SETTINGS, [], [lease]))
        copy = self.model.get(each.body)
        mine = copy is not None and not copy.dead and copy.lease == each.lease_id
        assert settled.retried == int(mine)
        if copy is not None and mine:
            copy.lease = ""
            copy.dead = copy.attempts > RETRIES
            copy.visible = self.clock.seconds + (3 if delay is None else delay)

    @precondition(lambda self: self.held)
    @rule(who=st.integers(0, 1), data=st.data())
    def release(self, who: int, data: st.DataObject) -> None:
        each = self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))
        self.run(self.queues[who].release([each.lease_id]))
        copy = self.model.get(each.body)
        if copy is not None and not copy.dead and copy.lease == each.lease_id:
            copy.lease, copy.visible = "", self.clock.seconds
            copy.attempts -= 1

    def lease_all(self, who: int) -> None:
        self.lease(who, 10_000, 1)

    @invariant()
    def counted(self) -> None:
        metrics = self.run(self.queues[0].metrics())
        alive = [body for body, copy in self.model.items() if not copy.dead]
        assert metrics.backlog_count == len(alive)
        assert metrics.backlog_bytes == sum(map(len, alive))


def test_queue_states() -> None:
    run_state_machine_as_test(
        QueueMachine,
        settings=settings(
            max_examples=25,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
