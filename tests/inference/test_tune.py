"""Tuning with stub engines: what is refused, what is kept, and when a report holds."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from skerry.catalog.entry import Artifact, Entry
from skerry.errors import EngineMissing
from skerry.inference import tune, tune_run
from skerry.inference.machine import Machine
from skerry.inference.tune import Tuner
from skerry.inference.tune_report import Candidate, Report, TuneProgress
from skerry.types import ModelFiles

STUBS = Path(__file__).parent / "tune_plugin"


@pytest.fixture(autouse=True)
def stubs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stub engines, installed in this process and in those that it starts."""
    monkeypatch.syspath_prepend(str(STUBS))
    paths = [str(STUBS), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))


@pytest.fixture
def files(tmp_path: Path) -> ModelFiles:
    """A model directory with a real, tiny tokenizer."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    from skerry.tasks.samples import sentences

    words = {w for which in ("check", "calibration") for s in sentences(which) for w in s.split()}
    vocabulary = {word: at for at, word in enumerate(["[PAD]", "[UNK]", *sorted(words)])}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    folder = tmp_path / "model"
    folder.mkdir()
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "model.bin").write_bytes(b"weights")
    return ModelFiles("@skerry/stub", "text-embeddings", folder, {"pooling": "mean"}, 256)


def entry(*engines: str, **changes: Any) -> Entry:
    fields: dict[str, Any] = {
        "name": "@skerry/stub",
        "id": "1",
        "task": "text-embeddings",
        "description": "",
        "licence": "MIT",
        "engines": list(engines),
        "artifacts": [Artifact(name="model.bin", sha256="0" * 64, mirrors=["file:/nowhere"])],
    }
    return Entry(**fields | changes)


def make(tmp_path: Path, **changes: Any) -> Tuner:
    return Tuner(tmp_path / "store", seconds=0.05, **changes)


def _children() -> list[str]:
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()


def by_engine(report: Report, name: str) -> list[Candidate]:
    return [one for one in report.candidates if one.choice.engine == name]


async def test_fast_wrong_one_is_refused_and_slow_right_one_kept(
    tmp_path: Path, files: ModelFiles
) -> None:
    told: list[TuneProgress] = []
    wanted = entry("stub-wrong", "stub-exact")
    report = await make(tmp_path, threads=1).tune(wanted, files, told.append)
    assert [choice.engine for choice in report.choices] == ["stub-exact"]
    (wrong,) = by_engine(report, "stub-wrong")
    assert wrong.state == "refused"
    assert "0.995 is needed" in wrong.why
    assert wrong.rates["8 at once"] > 0
    (exact,) = by_engine(report, "stub-exact")
    assert exact.state == "chosen"
    assert wrong.score > exact.score
    assert told[-1].fraction == 1.0
    assert [one.fraction for one in told] == sorted(one.fraction for one in told)
    text = "\n".join(report.lines())
    assert "refused stub-wrong int8" in text
    assert "chosen  stub-exact fp32" in text


async def test_numbers_that_are_none_are_refused(tmp_path: Path, files: ModelFiles) -> None:
    report = await make(tmp_path, threads=1).tune(entry("stub-nan", "stub-exact"), files)
    assert by_engine(report, "stub-nan")[0].state == "refused"
    assert report.choices[0].engine == "stub-exact"


async def test_crash_and_absence_do_not_stop_the_others(tmp_path: Path, files: ModelFiles) -> None:
    wanted = entry("stub-crash", "stub-absent", "stub-exact", "no-such-engine")
    report = await make(tmp_path, threads=1).tune(wanted, files)
    assert report.choices[0].engine == "stub-exact"
    (crash,) = by_engine(report, "stub-crash")
    assert crash.state == "refused"
    assert "SIGSEGV" in crash.why


async def test_hang_is_cut_off(
    tmp_path: Path, files: ModelFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tune_run, "LIMIT", 5.0)
    report = await make(tmp_path, threads=1).tune(entry("stub-exact", "stub-hang"), files)
    assert report.choices[0].engine == "stub-exact"
    assert by_engine(report, "stub-hang")[0].why == "no answer within 5 s"


async def test_all_refused_falls_back_to_the_catalog(tmp_path: Path, files: ModelFiles) -> None:
    tuner = make(tmp_path)
    wanted = entry("stub-crash")
    report = await tuner.tune(wanted, files)
    assert report.choices == tuner.choices(wanted, files)
    assert report.choices[0].engine == "stub-crash"
    assert "refused" in report.why
    assert tuner.report(wanted, files) is None, "the next pull should try again"


async def test_report_is_kept_and_holds_on_this_machine_only(
    tmp_path: Path, files: ModelFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = entry("stub-crash", "stub-exact")
    report = await make(tmp_path, threads=1).tune(wanted, files)
    fresh = make(tmp_path, threads=1)
    assert fresh.choices(wanted, files) == report.choices
    assert fresh.report(wanted, files) == report
    assert make(tmp_path, threads=1, enabled=False).choices(wanted, files) != report.choices

    other = Machine(cpu="another", flags=(), cores=1, packages={})
    monkeypatch.setattr(tune, "this_machine", lambda packages, threads: other)
    assert make(tmp_path, threads=1).report(wanted, files) is None
    assert make(tmp_path, threads=1).choices(wanted, files)[0].engine == "stub-crash"


async def test_other_weights_are_not_a_hit(tmp_path: Path, files: ModelFiles) -> None:
    tuner = make(tmp_path, threads=1)
    wanted = entry("stub-crash", "stub-exact")
    await tuner.tune(wanted, files)
    changed = [Artifact(name="model.bin", sha256="1" * 64, mirrors=["file:/nowhere"])]
    assert tuner.report(entry(*wanted.engines, artifacts=changed), files) is None
    assert tuner.report(wanted, files) is not None


async def test_report_without_its_files_does_not_hold(tmp_path: Path, files: ModelFiles) -> None:
    tuner = make(tmp_path, threads=1)
    wanted = entry("stub-makes")
    report = await tuner.tune(wanted, files)
    assert report.choices[0].precision == "int8"
    assert report.files == ["made-int8.bin"]
    assert not files.path("made-fp32.bin").exists(), "what the slower made stays on the disk"
    again = await tuner.tune(wanted, files)
    assert again.files == ["made-int8.bin"]
    files.path("made-int8.bin").unlink()
    assert tuner.report(wanted, files) is None
    assert tuner.choices(wanted, files)[0].precision == "fp32"


async def test_torn_report_is_not_a_hit(tmp_path: Path, files: ModelFiles) -> None:
    tuner = make(tmp_path, threads=1)
    wanted = entry("stub-exact", "stub-crash")
    await tuner.tune(wanted, files)
    (path,) = (tmp_path / "store" / "tune").glob("*.json")
    msgspec.json.decode(path.read_bytes(), type=Report)
    path.write_bytes(path.read_bytes()[:100])
    assert tuner.report(wanted, files) is None


async def test_cancelling_ends_the_processes_and_writes_nothing(
    tmp_path: Path, files: ModelFiles
) -> None:
    tuner = make(tmp_path, threads=1)
    begun = asyncio.Event()
    task = asyncio.create_task(
        tuner.tune(entry("stub-hang", "stub-exact"), files, lambda told: begun.set())
    )
    await begun.wait()
    for _ in range(100):  # until the process is there
        if _children():
            break
        await asyncio.sleep(0.01)
    assert len(_children()) == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert _children() == []
    assert list((tmp_path / "store" / "tune").glob("*.json")) == []
    await tuner.tune(entry("stub-exact"), files)


async def test_generating_engines_are_chosen_by_load(tmp_path: Path, files: ModelFiles) -> None:
    wanted = entry("stub-many", "stub-few", task="text-generation")
    chat = ModelFiles(files.name, "text-generation", files.directory, {}, 256)
    report = await make(tmp_path).tune(wanted, chat)
    first, second = report.choices
    assert (first.engine, second.engine) == ("stub-few", "stub-many")
    assert first.up_to == 2, "10 tokens a 20 ms against n x 10 tokens a 60 ms: ahead up to 2 or 3"
    assert second.up_to == 0
    assert report.unit == "tokens"


def test_no_engine_says_what_to_install(tmp_path: Path, files: ModelFiles) -> None:
    with pytest.raises(EngineMissing, match="pip install stub-absent"):
        make(tmp_path).choices(entry("stub-absent"), files)
    with pytest.raises(EngineMissing, match="names no engine"):
        make(tmp_path).choices(entry(), files)


def test_guess_is_the_first_installed_engine(tmp_path: Path, files: ModelFiles) -> None:
    chosen = make(tmp_path).choices(
        entry("stub-absent", "stub-exact", engine_options={"stub-exact": {"a": 1}}), files
    )
    assert [(one.engine, one.precision, one.options) for one in chosen] == [
        ("stub-exact", "fp32", {"a": 1})
    ]
