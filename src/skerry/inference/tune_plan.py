"""Which ways of running a model are worth measuring, and which of the measured ones to take."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from skerry.catalog.entry import Entry
from skerry.engines.base import CallEngine, Choice, Engine, TensorEngine
from skerry.inference.machine import Machine
from skerry.inference.tune_report import Candidate

CLOSE = 0.03
"""Rates that differ by less are equal: a measurement of this length tells no more."""

WORTH = 0.1
"""A coarser precision must be faster by more than this: int8 within the floor on average still
moves a few texts much further than bf16 does."""
_FINENESS = {"fp32": 0, "bf16": 1, "int8": 2}


def is_tensor(cls: type[Engine]) -> bool:
    """The engine executes graphs, and nothing else."""
    return issubclass(cls, TensorEngine) and not issubclass(cls, CallEngine)


def stream_counts(cores: int) -> list[int]:
    """1, 2, 4 … and all cores."""
    counts = {1, cores}
    while (count := 2 * max(c for c in counts if c < cores or c == 1)) < cores:
        counts.add(count)
    return sorted(counts)


def guess(
    entry: Entry, engines: Sequence[type[Engine]], machine: Machine, threads: int
) -> list[Choice]:
    """The catalog's first choice, where nothing was measured; never a precision that needs making.

    For generating engines all that are installed, in the catalog's order: what the first does not
    serve (a grammar) the next may. Of two that generate text the second, loaded when it is first
    needed, takes what comes together: one of them is there for its continuous batching.
    """
    first = engines[0]
    if is_tensor(first):
        bf16 = machine.bf16 and "bf16" in first.precisions
        precision = "bf16" if bf16 else first.precisions[0]
        return [_choice(entry, first, precision, machine.cores, threads)]
    choices = [
        _choice(entry, cls, cls.precisions[0], cls.default_streams, threads)
        for cls in engines
        if not is_tensor(cls)
    ]
    if entry.task == "text-generation" and len(choices) > 1:
        choices[0] = msgspec.structs.replace(choices[0], up_to=1)
    return choices


def candidates(
    entry: Entry, engines: Sequence[type[Engine]], machine: Machine, threads: int
) -> list[Choice]:
    """What is measured, in order; fp32 comes first, for the others are compared with it."""
    out: list[Choice] = []
    for cls in engines:
        if is_tensor(cls):
            out += [
                _choice(entry, cls, precision, streams, threads)
                for precision in cls.precisions
                if precision != "bf16" or machine.bf16
                for streams in stream_counts(machine.cores)
            ]
        elif entry.task == "text-generation":
            out.append(_choice(entry, cls, cls.precisions[0], cls.default_streams, threads))
        else:
            out += [
                _choice(entry, cls, cls.precisions[0], cls.default_streams, count)
                for count in sorted({1, machine.cores})
            ]
    if is_tensor(engines[0]):
        out.sort(key=lambda choice: _FINENESS.get(choice.precision, 3))
    return out


def _choice(entry: Entry, cls: type[Engine], precision: str, streams: int, threads: int) -> Choice:
    return Choice(
        engine=cls.name,
        precision=precision,
        streams=streams,
        threads=threads,
        options=entry.engine_options.get(cls.name, {}),
    )


def fastest(measured: Sequence[Candidate]) -> Candidate:
    """The highest score of the finest precision that is nearly as fast as the fastest; among
    equals the one that answers a single request soonest."""
    top = max(candidate.score for candidate in measured)
    near = [candidate for candidate in measured if candidate.score >= top * (1 - WORTH)]
    finest = min(_FINENESS.get(candidate.choice.precision, 3) for candidate in near)
    fine = [one for one in near if _FINENESS.get(one.choice.precision, 3) == finest]
    top = max(candidate.score for candidate in fine)
    equals = [candidate for candidate in fine if candidate.score >= top * (1 - CLOSE)]
    return max(equals, key=lambda candidate: (candidate.rates.get("single", 0.0), candidate.score))


def by_load(measured: Sequence[Candidate]) -> tuple[list[Choice], str]:
    """Generating engines: the best at few streams up to where the best at many overtakes it.

    Answers the choices and why. All engines stay in the list: one may serve what others do not.
    """
    few = max(measured, key=lambda one: _at(one, min(_loads(one))))
    many = max(measured, key=lambda one: _at(one, max(_loads(one))))
    rest = [one.choice for one in measured if one is not few and one is not many]
    lone, full = min(_loads(few)), max(_loads(many))
    if many is not few and _at(many, lone) >= _at(few, lone) * (1 - CLOSE):
        few = many  # not worth a second engine's start of an answer
        rest = [one.choice for one in measured if one is not few]
    if few is many:
        why = f"{few.choice.engine}: {_at(few, lone):.0f} tokens/s at {lone} stream, "
        return [few.choice, *rest], why + f"{_at(few, full):.0f} at {full}"
    shared = [load for load in _loads(few) if load in _loads(many)]
    ahead = [load for load in shared if _at(few, load) >= _at(many, load)]
    up_to = max(ahead, default=1)
    first = few.choice
    bounded = msgspec.structs.replace(first, up_to=up_to)
    why = (
        f"{first.engine} up to {up_to} at once ({_at(few, lone):.0f} tokens/s at {lone}),"
        f" {many.choice.engine} past that ({_at(many, full):.0f} at {full})"
    )
    return [bounded, many.choice, *rest], why


def decide(
    found: Sequence[Candidate], fallback: list[Choice], unit: str
) -> tuple[list[Choice], str]:
    """The choices and why; settles each candidate's state. `fallback` where none is left."""
    open_ = [one for one in found if one.state == "open" and one.rates]
    if not open_:
        refused = any(one.state == "refused" for one in found)
        why = "every candidate was refused: the catalog's guess" if refused else "the only one"
        choices = fallback
    elif unit == "tokens":
        choices, why = by_load(open_)
    else:
        best = fastest(open_)
        choices = [best.choice]
        why = f"{best.label}: {best.score:.0f} {unit}/s under load"
        if best.accuracy is not None:
            why += ", within the accuracy floor"
    chosen = {(one.engine, one.precision, one.streams, one.threads) for one in choices}
    for one in found:
        choice = one.choice
        mine = (choice.engine, choice.precision, choice.streams, choice.threads)
        if one.state == "open":
            one.state = "chosen" if mine in chosen else "slower"
    return choices, why


def _loads(candidate: Candidate) -> list[int]:
    return [int(name.split()[0]) for name in candidate.rates]


def _at(candidate: Candidate, load: int) -> float:
    return candidate.rates.get("1 stream" if load == 1 else f"{load} streams", 0.0)
