"""Queues under kill -9: what was answered is on the disk, whenever the process ends."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from pathlib import Path

from skerry.storage.open import Stores

from .queue_process import SETTINGS

ROUNDS = 12


class Told:
    """What the processes have told, over all rounds."""

    def __init__(self) -> None:
        self.sent: set[str] = set()
        self.acking: set[str] = set()
        self.acked: set[str] = set()
        self.again: set[str] = set()
        """Delivered after their acknowledgement was answered."""

    def hear(self, line: str) -> None:
        what, *bodies = line.split()
        if what == "got":
            self.again |= self.acked.intersection(bodies)
        else:
            getattr(self, what).update(bodies)


def one_round(folder: Path, name: str, told: Told, steps: int) -> None:
    """Run a process until it has told `steps` lines, and kill it in the midst of its work."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.storage.queue_process", str(folder), name],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        watchdog = threading.Timer(30, process.kill)
        watchdog.start()
        try:
            for number, line in enumerate(process.stdout):
                told.hear(line)
                if number == steps:
                    process.kill()  # and hear what it had told until then
        finally:
            watchdog.cancel()
            process.kill()
    assert process.returncode == -9


async def test_killed_at_any_moment_nothing_is_lost_and_nothing_comes_again(
    tmp_path: Path,
) -> None:
    random.seed(3)
    told = Told()
    for number in range(ROUNDS):
        one_round(tmp_path, str(number), told, random.randrange(1, 200))
    later = Stores(tmp_path, clock=lambda: time.time() + 60)
    left: list[str] = []
    try:
        queue = later.queue("acc", "q")
        while got := await queue.lease(SETTINGS, most=1000, seconds=3600):
            left += [each.body.decode() for each in got]
        assert (await queue.metrics()).backlog_count == len(left)
    finally:
        await later.close()
    assert told.sent
    assert told.acked
    assert told.again == set()
    assert len(left) == len(set(left))
    assert told.acked.isdisjoint(left)
    # Lost is nothing: what was sent is there, or was handed in to be acknowledged.
    assert told.sent - told.acking <= set(left)
