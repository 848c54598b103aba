"""The program of a statement as EXPLAIN tells it: where each step may lead, and what it counts.

Sources: SQLite, "The SQLite Bytecode Engine"; which steps D1 counts as reading or writing a row:
workerd, patches/sqlite, "row-counts".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

_TO_P2_OR_ON = """
SorterNext Prev Next VFilter VNext Init Once If IfNot IsType IfNullRow SeekLT SeekLE SeekGE SeekGT
IfNotOpen IfNoHope NoConflict NotFound Found SeekRowid NotExists Last IfSizeBetween IfSmaller
SorterSort Sort Rewind IfEmpty Program FkIfZero IfPos IfNotZero DecrJumpZero IncrVacuum Filter
RowSetRead RowSetTest Eq Ne Gt Le Lt Ge ElseEq IsNull NotNull IdxLE IdxGT IdxLT IdxGE MustBeInt
"""
JUMPS = frozenset(_TO_P2_OR_ON.split())
SEEKS = frozenset({"SeekLT", "SeekLE", "SeekGE", "SeekGT"})
STARTS = frozenset({"NotExists", "SeekRowid", "Last", "Rewind", "Sort", "SorterSort", "VNext"})
"""Each is a row read, found or not."""
MOVES = frozenset({"Next", "Prev", "SorterNext"})
"""A row read where they jump: there was one more."""
RARELY = SEEKS | STARTS | {"Program", "NoConflict", "IfNullRow"}
"""Seldom jump: a key is found, a table is not empty."""

_EPHEMERAL = frozenset({"OpenEphemeral", "OpenAutoindex", "SorterOpen", "OpenPseudo", "OpenDup"})
_SEEK_EQ = 0x02
_N_CHANGE = 0x01
_IS_NOOP = 0x40
END = -1


class Step(NamedTuple):
    """One line of EXPLAIN."""

    address: int
    opcode: str
    p1: int
    p2: int
    p3: int
    p4: str | None
    p5: int
    comment: str | None


class Program:
    """The steps of a statement, or of one of its triggers."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self.steps = steps
        self._cursors = {
            step.p1: step
            for step in steps
            if step.opcode.startswith(("Open", "ReopenIdx", "SorterOpen"))
        }

    def after(self, step: Step) -> list[int]:
        """Where it may go on after a step, a jump last; END where the program ends."""
        code, on = step.opcode, step.address + 1
        if self.only_equal(step):  # it skips the comparison behind it
            return [on + 1, step.p2]
        if code in JUMPS:
            if code == "Init" or step.p2 == 0:
                return [step.p2 or on]
            return [on, step.p2]
        if code in ("Goto", "Gosub"):
            return [step.p2]
        if code == "Halt":
            return [END]
        if code == "Jump":
            return sorted({step.p1, step.p2, step.p3})
        if code == "InitCoroutine":
            return [step.p2 or on]
        if code == "Return":
            calls = [s for s in self.steps if s.opcode == "Gosub" and s.p1 == step.p1]
            return [s.address + 1 for s in calls] + ([on] if step.p3 else [])
        if code in ("Yield", "EndCoroutine"):
            return self._coroutine(step)
        if code == "SeekScan":
            return sorted({on, on + 1, step.p2, self.steps[on].p2})
        return [on]

    def _coroutine(self, step: Step) -> list[int]:
        mine = [s for s in self.steps if s.p1 == step.p1]
        start = next(s for s in mine if s.opcode == "InitCoroutine")
        ends = [s.address for s in mine if s.opcode == "EndCoroutine"]
        last = ends[0] if ends else len(self.steps)
        yields = [s for s in mine if s.opcode == "Yield"]
        inner = [s for s in yields if start.p3 <= s.address <= last]
        outer = [s for s in yields if s not in inner]
        if step.opcode == "EndCoroutine":
            return [s.p2 for s in outer]
        if step in outer:
            return [start.p3, *(s.address + 1 for s in inner)]
        return [s.address + 1 for s in outer]

    def only_equal(self, step: Step) -> bool:
        """Is it a seek that finds an equal key or none? Then it counts only what it finds."""
        cursor = self._cursors.get(step.p1)
        return (
            step.opcode in ("SeekGE", "SeekLE") and cursor is not None and cursor.p5 & _SEEK_EQ != 0
        )

    def writes(self, step: Step) -> bool:
        """Does it write a row of a table or an index that lasts?"""
        if step.opcode == "VUpdate":
            return True
        cursor = self._cursors.get(step.p1)
        if cursor is None or cursor.opcode in _EPHEMERAL:
            return False
        if step.opcode == "Insert":
            return not step.p5 & _IS_NOOP
        return step.opcode == "IdxInsert" or (step.opcode == "Delete" and step.p2 & _N_CHANGE != 0)

    def counted(self, step: Step) -> int | None:
        """The root page of the table that a step counts as a whole."""
        cursor = self._cursors.get(step.p1)
        if step.opcode != "Count" or step.p3 or cursor is None:
            return None
        return cursor.p2


def changes(step: Step) -> bool:
    """Does it add one to SQLite's count of changes?"""
    flags = step.p2 if step.opcode == "Delete" else step.p5
    if step.opcode == "Insert" and flags & _IS_NOOP:
        return False
    return step.opcode in ("Insert", "IdxInsert", "Delete") and flags & _N_CHANGE != 0


def programs(lines: Sequence[Step]) -> list[Program]:
    """The lines of EXPLAIN, apart: the statement's own program first, then its triggers'."""
    parts: list[list[Step]] = []
    for line in lines:
        if line.address == 0:
            parts.append([])
        parts[-1].append(line)
    return [Program(part) for part in parts]
