"""How far a pull is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

Phase = Literal["wait", "download", "verify", "convert", "done"]


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """One report of a pull, for a progress bar or the message of a 3040."""

    model: str
    phase: Phase
    """wait: another process pulls the same model."""
    artifact: str | None = None
    mirror: str | None = None
    done: int = 0
    """Bytes of the artifact so far."""
    total: int | None = None
    """Bytes of the artifact; None where nobody knows."""
    all_done: int = 0
    """Bytes of all artifacts so far."""
    all_total: int | None = None
    """Bytes of all artifacts; None while one of them is unknown."""

    @property
    def fraction(self) -> float | None:
        """0 … 1 over all artifacts."""
        return min(1.0, self.all_done / self.all_total) if self.all_total else None

    def __str__(self) -> str:
        if self.phase == "wait":
            head = "waiting for another process that pulls it"
        elif self.phase == "convert":
            return "converting"
        else:
            head = {"download": "downloading", "verify": "verifying", "done": "done"}[self.phase]
            if self.artifact:
                head = f"{head} {self.artifact}"
        if not self.all_total:
            return f"{head}, {self.all_done / 1e6:.1f} MB so far"
        percent = int(100 * min(1.0, self.all_done / self.all_total))
        return f"{head}, {self.all_done / 1e6:.1f} of {self.all_total / 1e6:.1f} MB ({percent} %)"


Report = Callable[[Progress], None]
"""Called on the event loop; must be quick."""


class Meter:
    """Adds up the artifacts of one pull and reports, at most every `STEP` bytes."""

    STEP = 1 << 20

    def __init__(self, model: str, sizes: dict[str, int | None], report: Report) -> None:
        self._model = model
        self._sizes = dict(sizes)
        self._done = dict.fromkeys(sizes, 0)
        self._told = dict.fromkeys(sizes, -self.STEP)
        self._report = report

    def size(self, artifact: str, total: int) -> None:
        """A mirror told the size of an artifact."""
        if self._sizes.get(artifact) is None:
            self._sizes[artifact] = total

    def at(
        self, artifact: str, done: int, *, phase: Phase = "download", mirror: str | None = None
    ) -> None:
        """The artifact now has `done` bytes."""
        total = self._sizes.get(artifact)
        done = done if total is None else min(done, total)
        self._done[artifact] = done
        if abs(done - self._told[artifact]) < self.STEP and phase == "download" and done != total:
            return
        self._told[artifact] = done
        self.tell(phase, artifact, mirror)

    def tell(self, phase: Phase, artifact: str | None = None, mirror: str | None = None) -> None:
        """Report now."""
        known = [size for size in self._sizes.values() if size is not None]
        self._report(
            Progress(
                model=self._model,
                phase=phase,
                artifact=artifact,
                mirror=mirror,
                done=self._done.get(artifact, 0) if artifact else 0,
                total=self._sizes.get(artifact) if artifact else None,
                all_done=sum(self._done.values()),
                all_total=sum(known) if len(known) == len(self._sizes) else None,
            )
        )
