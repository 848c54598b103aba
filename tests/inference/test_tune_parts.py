"""The parts of tuning that need no process: machine, accuracy, plan, samples."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.engines.base import Choice
from skerry.errors import EngineError
from skerry.inference.machine import Machine, cores, parse_cpuinfo, this_machine
from skerry.inference.tune_accuracy import compare
from skerry.inference.tune_plan import decide, fastest, stream_counts
from skerry.inference.tune_report import Candidate, below_floor
from skerry.tasks.samples import picture, samples, sentences, texts

NONE = np.array(["", "", "", ""])


def test_cpuinfo_of_intel_and_arm() -> None:
    intel = (
        "processor\t: 0\nmodel name\t: Xeon\ncpu family\t: 6\nmodel\t\t: 85\n"
        "flags\t\t: fpu avx2 amx_bf16\n"
    )
    assert parse_cpuinfo(intel + "\n" + intel.replace("Xeon", "Other")) == (
        "Xeon/6/85",
        ("avx2", "amx_bf16"),
    )
    arm = "processor : 0\nFeatures : fp asimddp bf16\nCPU part : 0xd40\n"
    assert parse_cpuinfo(arm) == ("0xd40", ("asimddp", "bf16"))


@given(st.text())
def test_cpuinfo_of_anything(text: str) -> None:
    name, flags = parse_cpuinfo(text)
    assert isinstance(name, str)
    assert len(flags) == len(set(flags))


def test_machine_key_changes_with_what_matters() -> None:
    base = Machine(cpu="a", flags=("avx2",), cores=2, packages={"openvino": "1"})
    others = [
        Machine(cpu="b", flags=("avx2",), cores=2, packages={"openvino": "1"}),
        Machine(cpu="a", flags=(), cores=2, packages={"openvino": "1"}),
        Machine(cpu="a", flags=("avx2",), cores=4, packages={"openvino": "1"}),
        Machine(cpu="a", flags=("avx2",), cores=2, packages={"openvino": "2"}),
    ]
    assert len({base.key, *(other.key for other in others)}) == 5
    assert not base.bf16
    assert Machine(cpu="a", flags=("avx512_bf16",), cores=2, packages={}).bf16


def test_this_machine() -> None:
    machine = this_machine(("pytest", "no-such-distribution"))
    assert machine.cores == cores() >= 1
    assert list(machine.packages) == ["pytest"]
    assert this_machine(threads=1).cores == 1


def test_accuracy_of_vectors() -> None:
    right = np.eye(4, dtype=np.float32)
    assert below_floor(compare(right, NONE, right, NONE)) is None
    near = right + np.float32(0.01)
    found = compare(right, NONE, near, NONE)
    assert found.agreement is None
    assert 0.999 < (found.cosine_min or 0) <= (found.cosine_mean or 0) < 1
    far = right.copy()
    far[0] = [0, 1, 0, 0]
    assert "0.995 is needed" in (below_floor(compare(right, NONE, far, NONE)) or "")
    with pytest.raises(EngineError, match="shape"):
        compare(right, NONE, right[:, :2], NONE)


def test_accuracy_of_labels_is_held_to_the_labels() -> None:
    logits = np.ones((200, 2), np.float32)
    labels = np.array(["a", "b"] * 100)
    other = labels.copy()
    other[:2] = "c"
    assert below_floor(compare(logits, labels, logits * [1, 0.5], other)) is None
    other[:3] = "c"
    assert "98.5 % of 200 labels" in (below_floor(compare(logits, labels, logits, other)) or "")


@given(st.integers(1, 300))
def test_stream_counts(count: int) -> None:
    found = stream_counts(count)
    assert found == sorted(set(found))
    assert found[0] == 1
    assert found[-1] == count
    assert len(found) <= 10


def _candidate(
    engine: str, loaded: float, single: float = 1.0, precision: str = "fp32"
) -> Candidate:
    rates = {"single": single, "8 at once": loaded, "32 at once": loaded}
    return Candidate(choice=Choice(engine=engine, precision=precision), rates=rates)


def test_fastest_under_load_wins_and_equals_go_by_the_single_request() -> None:
    assert fastest([_candidate("a", 100, 9), _candidate("b", 120, 1)]).choice.engine == "b"
    assert fastest([_candidate("a", 119, 9), _candidate("b", 120, 1)]).choice.engine == "a"


def test_a_coarser_precision_must_be_worth_it() -> None:
    bf16, int8 = _candidate("a", 100, precision="bf16"), _candidate("a", 109, precision="int8")
    assert fastest([bf16, int8]) is bf16
    int8 = _candidate("a", 115, precision="int8")
    assert fastest([bf16, int8]) is int8


def test_decide_settles_every_candidate() -> None:
    out = _candidate("c", 500)
    out.refuse("wrong")
    found = [_candidate("a", 100), _candidate("b", 200), out]
    choices, why = decide(found, [], "rows")
    assert [one.state for one in found] == ["slower", "chosen", "refused"]
    assert [choice.engine for choice in choices] == ["b"]
    assert "200 rows/s" in why


def test_samples_are_disjoint_and_many_enough_for_the_floor() -> None:
    assert not set(sentences("check")) & set(sentences("calibration"))
    assert len(texts("check")) >= 100, "99 % of fewer would forbid a single other label"
    assert len(samples("image-classification", "check")) >= 100
    assert len(samples("text-classification", "calibration")) >= 60
    assert samples("no-such-task", "check") == []


def test_pictures_are_the_same_every_time() -> None:
    assert picture(5) == picture(5) != picture(6)
    assert picture(5)[:2] == b"\xff\xd8"
