"""Models come and go within the budget; pulls are waited for and never stopped by who waits."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from skerry.catalog.entry import Entry
from skerry.catalog.progress import Progress, Report
from skerry.errors import InternalError, MirrorsFailed, NoSuchModel, OutOfCapacity
from skerry.inference.residency import BASE, estimate
from skerry.types import ModelFiles

from .rig import Bench, entry, eventually

Make = Callable[..., Bench]
MB = 1 << 20


def loaded(node: Bench) -> list[str]:
    return [each.model.removeprefix("@stub/") for each in node.inference.status()]


async def test_three_models_at_once(bench: Make) -> None:
    node = bench()
    models = [entry("a"), entry("b"), entry("c", "stub-call")]
    answers = await asyncio.gather(*(node.answer(model, text="x") for model in models * 5))
    assert len({answer.value["pid"] for answer in answers}) == 3
    assert loaded(node) == ["a", "b", "c"]
    assert all(each.state == "ready" and each.bytes > 0 for each in node.inference.status())


async def test_requests_that_come_while_it_loads_share_one_runner(bench: Make) -> None:
    node = bench()
    model = entry("a", load_sleep=0.3)
    answers = await asyncio.gather(*(node.answer(model, text="x") for _ in range(20)))
    assert len({answer.value["pid"] for answer in answers}) == 1


async def test_the_longest_unused_is_evicted(bench: Make) -> None:
    node = bench(memory=500 * MB)
    for name in "abc":
        await node.answer(entry(name, hog=150 * MB), text="x")
        await asyncio.sleep(0.05)
    await eventually(lambda: loaded(node) == ["b", "c"])


async def test_a_pinned_model_stays(bench: Make) -> None:
    node = bench(memory=500 * MB, pin=["@stub/a"])
    for name in "abc":
        await node.answer(entry(name, hog=150 * MB), text="x")
        await asyncio.sleep(0.05)
    await eventually(lambda: loaded(node) == ["a", "c"])


async def test_a_busy_model_is_not_evicted(bench: Make) -> None:
    node = bench(memory=350 * MB)
    busy = entry("a", hog=150 * MB)
    await node.inference.load(busy)
    task = asyncio.create_task(node.answer(busy, text="x", sleep=1.0))
    await asyncio.sleep(0)
    (node.store.folder / "weights.bin").write_bytes(b"0" * (150 * MB))
    with pytest.raises(OutOfCapacity, match="all busy") as caught:
        await node.run(entry("b"), text="x", timeout=0.3)
    assert caught.value.retry_after
    assert (await node.answer(entry("b"), text="xx")).value["lengths"].tolist() == [2]
    assert (await task).value["lengths"].tolist() == [1]
    assert loaded(node) == ["b"]


async def test_what_can_never_fit_is_said_at_once(bench: Make) -> None:
    with pytest.raises(OutOfCapacity, match="setting memory"):
        await bench(memory=10 * MB).run(entry("a"), text="x")


async def test_a_wrong_estimate_is_mended(bench: Make) -> None:
    node = bench(memory=400 * MB)
    await node.answer(entry("a", hog=200 * MB), text="x")
    await node.answer(entry("b", hog=200 * MB), text="x")
    await eventually(lambda: loaded(node) == ["b"])


async def test_an_idle_model_is_unloaded(bench: Make) -> None:
    node = bench(keep_warm=0.3, pin=["@stub/b"])
    await node.answer(entry("a"), text="x")
    await node.answer(entry("b"), text="x")
    await eventually(lambda: loaded(node) == ["b"])
    assert (await node.answer(entry("a"), text="x")).model == "@stub/a"


async def test_unload(bench: Make) -> None:
    node = bench()
    pid = (await node.inference.load(entry("a"))).pid
    assert pid is not None
    assert await node.inference.unload("@stub/a")
    assert not await node.inference.unload("@stub/a")
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_loading_is_visible(bench: Make) -> None:
    node = bench()
    task = asyncio.create_task(node.inference.load(entry("a", load_sleep=0.5)))
    await eventually(lambda: any("loading on stub" in s.progress for s in node.inference.status()))
    assert node.inference.status()[0].state == "starting"
    assert (await task).state == "ready"


def test_the_estimate_counts_one_form_of_the_weights(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"0" * 1000)
    (tmp_path / "b.safetensors").write_bytes(b"0" * 1000)
    (tmp_path / "model.onnx").write_bytes(b"0" * 1900)
    for way in ("fp32-1x2", "int8-2x2"):
        compiled = tmp_path / "openvino-cache" / way / "1.blob"
        compiled.parent.mkdir(parents=True)
        compiled.write_bytes(bytes(3000))
    assert estimate(tmp_path) == BASE + 2000


async def test_a_model_is_pulled_when_it_is_asked_for(bench: Make) -> None:
    node = bench()
    node.store.absent.add("@stub/a")
    await asyncio.gather(*(node.answer(entry("a"), text="x") for _ in range(3)))
    assert node.store.pulls == 1


async def test_a_pull_that_ends_while_the_store_is_asked_is_not_made_again(bench: Make) -> None:
    node = bench()
    node.store.absent.add("@stub/a")
    ready, slow, asked = node.store.ready, threading.Event(), threading.Event()
    calls = iter(range(9))

    def ask(entry: Entry) -> ModelFiles | None:
        found = ready(entry)
        if next(calls) == 0:
            asked.set()
            slow.wait(10)
        return found

    node.store.ready = ask  # type: ignore[method-assign]
    late = asyncio.create_task(node.answer(entry("a"), text="x"))
    await asyncio.to_thread(asked.wait, 10)
    await node.answer(entry("a"), text="x")
    slow.set()
    await late
    assert node.store.pulls == 1


async def test_who_waits_too_long_for_a_pull_is_told_how_far_it_is(bench: Make) -> None:
    node = bench(pull_wait=0.1)
    node.store.absent.add("@stub/a")
    go_on = asyncio.Event()

    async def pulling(entry: Entry, report: Report) -> None:
        report(
            Progress(model=entry.name, phase="download", all_done=43_000_000, all_total=100_000_000)
        )
        await go_on.wait()

    node.store.pulling = pulling
    with pytest.raises(OutOfCapacity, match="being pulled: 43 % of 100 MB") as caught:
        await node.run(entry("a"), text="x")
    assert caught.value.retry_after
    with pytest.raises(OutOfCapacity, match="being pulled"):
        await node.run(entry("a"), text="x", busy=True)
    status = node.inference.status()[0]
    assert (status.state, status.fraction) == ("pulling", 0.43)
    waiting = asyncio.create_task(node.answer(entry("a"), text="x"))
    await asyncio.sleep(0)
    go_on.set()
    await waiting
    assert node.store.pulls == 1


async def test_a_pull_that_fails_says_why(bench: Make) -> None:
    node = bench()
    node.store.absent.add("@stub/a")

    async def pulling(entry: Entry, report: Report) -> None:
        raise MirrorsFailed("no mirror has weights.bin")

    node.store.pulling = pulling
    with pytest.raises(InternalError, match=r"no mirror has weights\.bin"):
        await node.run(entry("a"), text="x")


async def test_pulling_can_be_turned_off(bench: Make) -> None:
    node = bench(pull=False)
    node.store.absent.add("@stub/a")
    with pytest.raises(NoSuchModel, match="skerry models pull @stub/a"):
        await node.run(entry("a"), text="x")
    assert node.store.pulls == 0


PARENT = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from tests.inference.rig import Bench, entry

async def main():
    node = Bench(Path(sys.argv[1]))
    print((await node.inference.load(entry("a"))).pid, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


async def test_a_runner_ends_with_its_node(tmp_path: Path) -> None:
    root = str(Path(__file__).parents[2])
    with subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, "-c", PARENT, str(tmp_path), root], stdout=subprocess.PIPE, text=True
    ) as node:
        assert node.stdout is not None
        pid = int(await asyncio.to_thread(node.stdout.readline))
        os.kill(pid, 0)
        node.kill()

    def gone() -> bool:
        stat = Path(f"/proc/{pid}/stat")
        return not stat.exists() or ") Z " in stat.read_text()

    await eventually(gone)


async def test_a_stopped_runner_times_out_and_can_be_killed(bench: Make) -> None:
    node = bench()
    pid = (await node.inference.load(entry("a"))).pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    assert await node.inference.unload("@stub/a", grace=0.0)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
