"""What a tuning measured and chose, and why: kept as JSON, shown by `skerry models show`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import msgspec

from skerry.engines.base import Choice
from skerry.inference.machine import Machine

COSINE_FLOOR = 0.995
"""Least mean cosine of a candidate's vectors to those of fp32."""
LABEL_FLOOR = 0.99
"""Least share of check inputs whose label is that of fp32."""


class Accuracy(msgspec.Struct, kw_only=True, frozen=True):
    """How near a candidate comes to fp32 on the check inputs."""

    inputs: int
    cosine_mean: float | None = None
    cosine_min: float | None = None
    agreement: float | None = None
    """Share of inputs with the same label, 0 … 1; None for models that give no label."""


class Candidate(msgspec.Struct, kw_only=True):
    """One way to run the model, and what came of it."""

    choice: Choice
    state: Literal["open", "chosen", "slower", "refused"] = "open"
    why: str = ""
    rates: dict[str, float] = {}
    """Workload -> units a second, all streams together."""
    accuracy: Accuracy | None = None
    load_seconds: float = 0.0
    bytes: int = 0
    """Resident set of the process that held it."""

    def refuse(self, why: str) -> None:
        """It is out, and this is the reason."""
        self.state, self.why = "refused", why

    @property
    def label(self) -> str:
        """ "openvino int8, 2 streams"."""
        choice = self.choice
        streams = f"{choice.streams} stream{'s' if choice.streams != 1 else ''}"
        threads = f", {choice.threads} threads" if choice.threads else ""
        return f"{choice.engine} {choice.precision}, {streams}{threads}"

    @property
    def score(self) -> float:
        """Units a second under load: the geometric mean over the workloads but `single`."""
        loaded = [rate for name, rate in self.rates.items() if name != "single"]
        if not loaded or min(loaded) <= 0:
            return 0.0
        return math.exp(sum(math.log(rate) for rate in loaded) / len(loaded))


class Report(msgspec.Struct, kw_only=True):
    """One tuning."""

    model: str
    key: str
    """Of the model's files; see `Tuner.key`."""
    machine: Machine
    made: str
    """UTC, ISO 8601."""
    seconds: float
    unit: str
    """What `rates` count a second of: "rows", "tokens", "seconds of sound"."""
    choices: list[Choice]
    why: str
    candidates: list[Candidate]
    files: list[str] = []
    """What the chosen need beside the model's own files; without them the report does not hold."""

    def lines(self) -> list[str]:
        """The report as plain text, one candidate a line, the best first."""
        head = f"{self.why} (measured {self.made} in {self.seconds:.0f} s)"
        order = {"chosen": 0, "slower": 1, "open": 1, "refused": 2}
        ranked = sorted(self.candidates, key=lambda c: (order[c.state], -c.score))
        return [head, *(f"  {_line(candidate, self.unit)}" for candidate in ranked)]


def _line(candidate: Candidate, unit: str) -> str:
    parts = [f"{candidate.state:8}{candidate.label}"]
    if candidate.rates:
        rates = ", ".join(f"{name} {rate:.0f}" for name, rate in candidate.rates.items())
        parts.append(f"{rates} {unit}/s")
    accuracy = candidate.accuracy
    if accuracy is not None and accuracy.cosine_mean is not None:
        parts.append(f"cosine {accuracy.cosine_mean:.4f} (min {accuracy.cosine_min:.4f})")
    if accuracy is not None and accuracy.agreement is not None:
        parts.append(f"labels {100 * accuracy.agreement:.1f} %")
    if candidate.why:
        parts.append(candidate.why)
    return "; ".join(parts)


def below_floor(accuracy: Accuracy) -> str | None:
    """Why the accuracy is not enough; None if it is.

    Models that give a label are held to the labels, the others to the cosine. A candidate that
    gives numbers that are none (NaN) is below any floor.
    """
    if accuracy.agreement is not None:
        if accuracy.agreement >= LABEL_FLOOR:
            return None
        return (
            f"{100 * accuracy.agreement:.1f} % of {accuracy.inputs} labels are those of fp32;"
            f" {100 * LABEL_FLOOR:.0f} % are needed"
        )
    if accuracy.cosine_mean is not None and accuracy.cosine_mean >= COSINE_FLOOR:
        return None
    return f"mean cosine to fp32 is {accuracy.cosine_mean}; {COSINE_FLOOR} is needed"


class TuneProgress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a tuning is."""

    model: str
    text: str
    fraction: float
    """0 … 1."""

    def __str__(self) -> str:
        return f"measuring {self.text} ({100 * self.fraction:.0f} %)"


OnProgress = Callable[[TuneProgress], None]
"""Called on the event loop; must be quick."""
