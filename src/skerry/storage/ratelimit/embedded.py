"""Rate limits in memory: a sliding window per key, exact to a hundredth of the period."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable

from skerry.storage.ratelimit.base import RateLimits, check

KEYS = 100_000
"""Keys that are remembered; beyond, the one that was not asked for longest is forgotten."""
PARTS = 100
"""Calls within this part of the period are counted as one, at the time of the last."""


class _Window:
    """The calls of one key that still count: (time of the last, first time, how many)."""

    __slots__ = ("calls", "total")

    def __init__(self) -> None:
        self.calls: deque[tuple[float, float, int]] = deque()
        self.total = 0

    def take(self, now: float, limit: int, period: float, delta: int) -> bool:
        calls = self.calls
        while calls and calls[0][0] <= now - period:
            self.total -= calls.popleft()[2]
        if self.total >= limit:
            return False
        if calls and now - calls[-1][1] < period / PARTS:
            _, first, count = calls[-1]
            calls[-1] = (now, first, count + delta)
        else:
            calls.append((now, now, delta))
        self.total += delta
        return True


class EmbeddedRateLimits(RateLimits):
    """Counters of this process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, keys: int = KEYS) -> None:
        """clock: seconds, never going back."""
        self._clock = clock
        self._keys = keys
        self._windows: OrderedDict[tuple[str, str], _Window] = OrderedDict()

    async def limit(
        self, namespace: str, key: str, *, limit: int, period: float, delta: int = 1
    ) -> bool:
        check(key, limit, period, delta)
        place = (namespace, key)
        window = self._windows.get(place)
        if window is None:
            window = self._windows[place] = _Window()
            if len(self._windows) > self._keys:
                self._windows.popitem(last=False)
        else:
            self._windows.move_to_end(place)
        return window.take(self._clock(), limit, period, delta)
