"""How many rows a statement read and wrote, worked out from what SQLite counts.

D1 counts rows in the steps of SQLite's machine that move a cursor or write through one. Stock
SQLite has no such counters, but it tells the program of a statement and, when it has run, how many
steps it took in all, how often scans, sorts and automatic indexes moved on, how many rows came
out and how many changed. A program is a graph in which what enters a step leaves it. That makes a
system of linear equations for how often each way was gone. Mostly it has one answer for the two
sums that are wanted; the weights that give them are then worked out once per statement. Else
the likeliest answer is taken, in which no way was gone less than never and keys are found:
`exact` is then False.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from skerry.storage.d1.program import (
    END,
    MOVES,
    RARELY,
    SEEKS,
    STARTS,
    Program,
    Step,
    changes,
    programs,
)

Vector = npt.NDArray[np.float64]

LARGEST = 160
"""Unknowns of a program that is worked out; above it the counters are added up as they are."""
SEARCHED = 64
"""Unknowns up to which the likeliest of several answers is looked for, which takes about a
millisecond; above it the smallest one is taken, whose weights are there already."""
KEPT = 64
"""Answers that are kept per statement: the same counts give the same answer."""
_HARD = 1e3
_SOFT = 1e-2
_RARE = 0.05


class Measures(NamedTuple):
    """What SQLite counted. Moves are of cursors: by index, in full scans, in sorts, building."""

    steps: int
    rows: int
    changes: int
    indexed: int
    full_scan: int
    sort: int
    autoindex: int


class Account:
    """Works out rows read and written of one statement."""

    def __init__(self, lines: Sequence[Step]) -> None:
        self._programs = programs(lines)
        self.clears = any(step.opcode == "Clear" and step.p3 for step in lines)
        """Does it empty a table in one step? Its rows are the changes then."""
        self.counted = [
            root
            for each in self._programs
            for step in each.steps
            if (root := each.counted(step)) is not None
        ]
        """Root pages of tables that it counts in one step."""
        self._answers: dict[Measures, tuple[int, int]] = {}
        self.exact = False
        self._system = _System(self._programs) if len(lines) <= 8 * LARGEST else None
        if self._system is not None and self._system.width > LARGEST:
            self._system = None
        if self._system is not None:
            self.exact = self._system.exact

    def solve(self, measures: Measures) -> tuple[int, int]:
        """Rows read and written."""
        if self._system is None:
            moves = sum(measures[3:])
            return moves, measures.changes
        known = self._answers.get(measures)
        if known is None:
            if len(self._answers) >= KEPT:
                self._answers.clear()
            known = self._answers[measures] = self._system.solve(measures)
        if self.clears:
            return known[0], known[1] + measures.changes
        return known


class _System:
    """The equations of a statement. An unknown is how often a way between two steps was gone;
    ways that have to be gone equally often are one unknown."""

    def __init__(self, parts: Sequence[Program]) -> None:
        ways: list[tuple[int, int]] = []
        bases: list[int] = []
        steps: list[tuple[Program, Step]] = []
        for part in parts:
            bases.append(base := len(steps))
            steps += [(part, step) for step in part.steps]
            for step in part.steps:
                for to in part.after(step):
                    ways.append((base + step.address, END if to == END else base + to))
        outs: list[list[int]] = [[] for _ in steps]
        ins: list[list[int]] = [[] for _ in steps]
        for number, (source, target) in enumerate(ways):
            outs[source].append(number)
            if target != END:
                ins[target].append(number)
        names = self._names(ways, ins, outs, set(bases))
        self._outs = [[names[way] for way in out] for out in outs]
        self._ins = [[names[way] for way in each] for each in ins]
        unknowns = 1 + max(names)
        self.width = unknowns + len(parts) - 1  # and how often each trigger's program was begun
        self.exact = False
        if self.width > LARGEST:
            return
        rows: list[Vector] = []
        values: list[Vector] = []

        def equation(row: Vector, value: Vector) -> None:
            rows.append(row)
            values.append(value)

        constant = len(Measures._fields)
        for at in range(len(steps)):
            row = self._runs(at) - self._count(self._ins[at])
            if at in bases[1:]:
                row[unknowns + bases.index(at) - 1] -= 1
            if at == 0 or row.any():
                equation(row, _unit(constant) * (at == 0))
        if len(parts) > 1:
            calls = self._sum(at for at, (_, s) in enumerate(steps) if s.opcode == "Program")
            calls[unknowns:] -= 1
            equation(calls, _unit(constant) * 0)

        def where(test: Any) -> Vector:
            return self._sum(at for at, (_, step) in enumerate(steps) if test(step))

        def moved(counter: int) -> Vector:
            row = np.zeros(self.width)
            for at, (_, step) in enumerate(steps):
                if step.opcode in MOVES and step.p5 == counter:
                    row[self._outs[at][-1]] += 1
            return row

        equation(where(lambda step: True), _unit(0))
        equation(where(lambda step: step.opcode == "ResultRow"), _unit(1))
        if not any(step.opcode in ("Clear", "VUpdate") for _, step in steps):
            equation(where(changes), _unit(2))
        for number in range(4):
            sorts = where(lambda step: step.opcode in ("Sort", "SorterSort"))
            equation(moved(number) + sorts * (number == 2), _unit(3 + number))

        read, written = np.zeros(self.width), np.zeros(self.width)
        for at, (part, step) in enumerate(steps):
            if step.opcode in MOVES:
                read[self._outs[at][-1]] += 1
            elif step.opcode in SEEKS and part.only_equal(step):
                read[self._outs[at][0]] += 1
            elif step.opcode in STARTS or step.opcode in SEEKS:
                read += self._runs(at)
            elif part.writes(step):
                written += self._runs(at)
        self._matrix, self._values = np.array(rows), np.array(values)
        self._wanted = np.array([read, written]).T
        solved, *_ = np.linalg.lstsq(self._matrix.T, self._wanted, rcond=1e-9)
        self.exact = bool(np.allclose(self._matrix.T @ solved, self._wanted, atol=1e-6))
        self._weights = solved.T @ self._values
        self._scale = np.ones(self.width)
        for at, (_, step) in enumerate(steps):
            if step.opcode in RARELY and len(self._outs[at]) > 1:
                self._scale[self._outs[at][-1]] = _RARE

    @staticmethod
    def _names(
        ways: list[tuple[int, int]], ins: list[list[int]], outs: list[list[int]], begin: set[int]
    ) -> list[int]:
        """The unknown of each way: a step with one way in and one out passes its name on."""
        root = list(range(len(ways)))

        def find(way: int) -> int:
            while root[way] != way:
                root[way] = root[root[way]]
                way = root[way]
            return way

        for at, (into, out) in enumerate(zip(ins, outs, strict=True)):
            if len(into) == len(out) == 1 and at not in begin:
                root[find(out[0])] = find(into[0])
        found = sorted({find(way) for way in range(len(ways))})
        place = {way: number for number, way in enumerate(found)}
        return [place[find(way)] for way in range(len(ways))]

    def _count(self, unknowns: Sequence[int]) -> Vector:
        row = np.zeros(self.width)
        for unknown in unknowns:
            row[unknown] += 1
        return row

    def _runs(self, at: int) -> Vector:
        return self._count(self._outs[at])

    def _sum(self, places: Any) -> Vector:
        total = np.zeros(self.width)
        for at in places:
            total += self._runs(at)
        return total

    def solve(self, measures: Measures) -> tuple[int, int]:
        """Rows read and written."""
        given = np.array([*measures, 1.0])
        if self.exact or self.width > SEARCHED:
            read, written = self._weights @ given
        else:
            hard = self._matrix * self._scale * _HARD
            left = np.vstack([hard, np.eye(self.width) * _SOFT])
            right = np.concatenate([self._values @ given * _HARD, np.zeros(self.width)])
            read, written = (_not_negative(left, right) * self._scale) @ self._wanted
        return max(0, round(read)), max(0, round(written))


def _unit(place: int) -> Vector:
    row = np.zeros(len(Measures._fields) + 1)
    row[place] = 1.0
    return row


def _not_negative(matrix: Vector, right: Vector) -> Vector:
    """The x of least |matrix x - right| with no x below 0: Lawson and Hanson's algorithm."""
    square, target = matrix.T @ matrix, matrix.T @ right
    width = matrix.shape[1]
    x, used = np.zeros(width), np.zeros(width, dtype=bool)
    gain = target.copy()
    for _ in range(3 * width):
        if used.all() or gain[~used].max() <= 1e-7:
            break
        used[np.argmax(np.where(used, -np.inf, gain))] = True
        while True:
            chosen = np.flatnonzero(used)
            tried = np.zeros(width)
            tried[chosen] = np.linalg.solve(square[np.ix_(chosen, chosen)], target[chosen])
            below = chosen[tried[chosen] < -1e-9]
            if not len(below):
                break
            # As far towards it as nothing falls below 0; what reaches 0 is out again.
            part = min(x[below] / (x[below] - tried[below]))
            x = x + part * (tried - x)
            used &= x > 1e-9
        x = np.maximum(tried, 0.0)
        gain = target - square @ x
    return x
