"""When a runner that keeps dying is given up."""

from __future__ import annotations

from skerry.inference.deaths import DEATHS, HOLD, HOLD_MOST, QUICK, Deaths


def test_quick_deaths_in_a_row_are_too_many() -> None:
    deaths = Deaths()
    pauses = []
    for number in range(1, DEATHS + 1):
        assert not deaths.too_many
        deaths.count(None if number % 2 else QUICK / 2)
        assert deaths.quick == number
        pauses.append(deaths.pause)
    assert deaths.too_many
    assert pauses[0] == 0
    assert pauses[1:] == sorted(set(pauses[1:]))


def test_a_long_life_forgets_them() -> None:
    deaths = Deaths()
    for _ in range(DEATHS):
        deaths.count(0.1)
    assert [deaths.hold(), deaths.hold()] == [HOLD, 2 * HOLD]
    deaths.count(QUICK + 1)
    assert (deaths.quick, deaths.too_many, deaths.hold()) == (0, False, HOLD)


def test_the_wait_has_a_bound() -> None:
    deaths = Deaths()
    assert max(deaths.hold() for _ in range(20)) == HOLD_MOST
