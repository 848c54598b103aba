"""A runner that dies again and again: when it is given up, and for how long."""

from __future__ import annotations

QUICK = 5.0
"""A runner that dies within so many seconds of being ready died quickly."""
DEATHS = 4
"""Quick deaths in a row after which the model is given up for a while."""
HOLD = 15.0
"""Seconds for which it is given up; doubled each time, up to HOLD_MOST."""
HOLD_MOST = 300.0


class Deaths:
    """The deaths of one model's runners."""

    def __init__(self) -> None:
        self.quick = 0
        """Quick deaths in a row."""
        self._hold = HOLD

    def count(self, lived: float | None) -> None:
        """One more; lived: seconds from being ready to its end, None if it never was."""
        if lived is None or lived < QUICK:
            self.quick += 1
        else:
            self.quick, self._hold = 0, HOLD

    @property
    def too_many(self) -> bool:
        return self.quick >= DEATHS

    @property
    def pause(self) -> float:
        """Seconds to wait before the next start: the first death may be chance."""
        return 0.05 * 2**self.quick if self.quick > 1 else 0.0

    def hold(self) -> float:
        """Seconds for which it is given up now; longer each time."""
        hold, self._hold = self._hold, min(HOLD_MOST, self._hold * 2)
        return hold
