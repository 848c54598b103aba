"""The wait that is named to those who are turned away."""

from __future__ import annotations

from skerry.inference.pace import Pace


def test_the_wait_follows_the_last_answers() -> None:
    now = [100.0]
    pace = Pace(clock=lambda: now[0])
    assert pace.wait(100) == 1.0, "nothing is known yet"
    for _ in range(20):
        now[0] += 0.5
        pace.served()
    assert pace.wait(20) == 10.0
    assert pace.wait(0.1) == 1.0
    assert pace.wait(10_000) == 60.0
    now[0] += 3600
    assert pace.wait(20) == 1.0, "an old pace is none"
