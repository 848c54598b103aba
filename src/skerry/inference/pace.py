"""How fast a model serves, to name a time to those who are turned away."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable

RECENT = 60.0
"""Seconds after which an answer says nothing of the present pace."""
LONGEST = 60.0


class Pace:
    """The times of the last answers."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._times: deque[float] = deque(maxlen=64)

    def served(self) -> None:
        """A request has ended."""
        self._times.append(self._clock())

    def wait(self, requests: float) -> float:
        """Whole seconds, 1 … 60, until so many more are served; 1 where nothing is known."""
        now = self._clock()
        recent = [each for each in self._times if now - each < RECENT]
        if len(recent) < 2 or now <= recent[0]:
            return 1.0
        rate = len(recent) / (now - recent[0])
        return float(min(LONGEST, max(1, math.ceil(requests / rate))))
