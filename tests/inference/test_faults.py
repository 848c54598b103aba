"""Runners die, hang and talk nonsense; the node and the other models do not notice."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from skerry.errors import Aborted, InferenceTimeout, InternalError, OutOfCapacity

from .rig import Bench, entry, eventually

Make = Callable[..., Bench]


def running(node: Bench) -> int:
    pid = node.inference.status()[0].pid
    assert pid is not None
    return pid


async def test_a_killed_runner_is_replaced_and_its_requests_retried(bench: Make) -> None:
    node = bench()
    model = entry("a", streams=2)
    await node.inference.load(model)
    pid = running(node)
    tasks = [asyncio.create_task(node.answer(model, text="x", sleep=0.5)) for _ in range(10)]
    await asyncio.sleep(0.2)
    os.kill(pid, signal.SIGKILL)
    answers = await asyncio.gather(*tasks)
    assert all(answer.value["pid"] != pid for answer in answers)
    assert node.inference.status()[0].restarts == 1


@pytest.mark.parametrize("do", ["segfault", "kill", "exit", "garbage"])
async def test_a_fault_is_survived_once(bench: Make, tmp_path: Path, do: str) -> None:
    node = bench()
    answer = await node.answer(entry("a"), text="x", do=do, once=str(tmp_path / "once"))
    assert answer.value["lengths"].tolist() == [1]


async def test_a_deadly_request_dies_alone(bench: Make) -> None:
    node = bench()
    model, other = entry("a"), entry("b")
    await node.inference.load(model)
    before = (await node.answer(other, text="x")).value["pid"]
    deadly = asyncio.create_task(node.run(model, text="x", do="segfault"))
    good = [asyncio.create_task(node.answer(model, text="x", sleep=0.1)) for _ in range(6)]
    with pytest.raises(InternalError, match=r"died twice over this request.*SIGSEGV"):
        await deadly
    assert [answer.value["lengths"].tolist() for answer in await asyncio.gather(*good)] == [[1]] * 6
    assert (await node.answer(other, text="x")).value["pid"] == before


async def test_a_broken_stream_says_so(bench: Make) -> None:
    node = bench()
    stream = await node.stream(entry("a", "stub-call"), text="one two three", do="kill", sleep=0.1)
    pieces = []
    with pytest.raises(InternalError, match=r"breaks off.*SIGKILL"):
        async for piece in stream.pieces:
            pieces.append(piece["response"])
    assert pieces == ["one"]
    assert (await node.answer(entry("a", "stub-call"), text="again")).value["response"] == "again"


async def test_death_while_loading_is_tried_again(bench: Make, tmp_path: Path) -> None:
    model = entry("a", load_once=str(tmp_path / "once"), load_do="kill")
    assert (await bench().answer(model, text="x")).value["lengths"].tolist() == [1]


async def test_a_crash_loop_ends_in_a_clear_error(bench: Make) -> None:
    node = bench()
    with pytest.raises(InternalError, match=r"died 4 times.*exit status 7.*told to exit") as caught:
        await node.run(entry("a", load_do="exit"), text="x")
    assert caught.value.retry_after is not None
    assert node.inference.status()[0].state == "failed"
    with pytest.raises(InternalError, match="died 4 times"):
        await node.run(entry("a", load_do="exit"), text="x")
    assert (await node.answer(entry("b"), text="x")).value["lengths"].tolist() == [1]


async def test_a_runner_that_refuses_says_why(bench: Make) -> None:
    node = bench()
    with pytest.raises(InternalError, match=r"cannot be loaded.*processor cannot be opened"):
        await node.run(entry("a", model={"open_fails": True}), text="x")
    with pytest.raises(InternalError, match="no-such-engine"):
        await node.run(entry("b", "no-such-engine"), text="x")


async def test_a_runner_that_never_becomes_ready_is_given_up(bench: Make) -> None:
    node = bench(start_timeout=0.4)
    with pytest.raises(InternalError, match=r"not ready after 0.4 s"):
        await node.run(entry("a", load_sleep=60), text="x")


async def test_a_deadline_passes_while_loading(bench: Make) -> None:
    with pytest.raises(InferenceTimeout, match="loading"):
        await bench().run(entry("a", load_sleep=60), text="x", timeout=0.3)


async def test_a_deadline_passes_while_running(bench: Make) -> None:
    node = bench()
    model = entry("a")
    await node.inference.load(model)
    with pytest.raises(InferenceTimeout):
        await node.run(model, text="x", sleep=0.6, timeout=0.2)
    assert node.inference.status()[0].running == 0
    assert (await node.answer(model, text="xx")).value["lengths"].tolist() == [2]


async def test_the_queue_is_bounded(bench: Make) -> None:
    node = bench(queue=4)
    model = entry("a", streams=1)
    await node.inference.load(model)
    tasks = [asyncio.create_task(node.answer(model, text="x", sleep=0.3)) for _ in range(4)]
    await asyncio.sleep(0)
    with pytest.raises(OutOfCapacity) as caught:
        await node.run(model, text="x")
    assert caught.value.retry_after is not None
    assert caught.value.retry_after >= 1
    await asyncio.gather(*tasks)
    await node.answer(model, text="x")


async def test_reject_if_busy(bench: Make) -> None:
    node = bench()
    model = entry("a", streams=1)
    await node.inference.load(model)
    assert (await node.run(model, text="x", busy=True)).model == "@stub/a"
    task = asyncio.create_task(node.answer(model, text="x", sleep=0.3))
    await asyncio.sleep(0.1)
    with pytest.raises(OutOfCapacity, match="busy"):
        await node.run(model, text="x", busy=True)
    await task


async def test_a_cancelled_call_reaches_the_engine(bench: Make, tmp_path: Path) -> None:
    node = bench()
    log = tmp_path / "log"
    model = entry("a", "stub-call", streams=1, log=str(log))
    running_one = asyncio.create_task(node.run(model, text="first " * 500, sleep=0.02))
    await eventually(lambda: log.exists() and "begin first" in log.read_text())
    queued = asyncio.create_task(node.run(model, text="second", sleep=0.02))
    await asyncio.sleep(0.1)
    for task in (queued, running_one):
        task.cancel()
    await asyncio.wait({queued, running_one})
    await eventually(lambda: "cancelled first" in log.read_text())
    await node.answer(model, text="third")
    assert "second" not in log.read_text(), "what was queued never ran"


@pytest.mark.parametrize("read", [0, 1])
async def test_a_closed_stream_reaches_the_engine(bench: Make, tmp_path: Path, read: int) -> None:
    log = tmp_path / "log"
    model = entry("a", "stub-call", log=str(log))
    stream = await bench().stream(model, text="word " * 500, sleep=0.02)
    for _ in range(read):
        await anext(stream.pieces)
    await stream.pieces.aclose()  # type: ignore[attr-defined]
    await eventually(lambda: "cancelled word" in log.read_text())


async def test_a_stream_that_is_dropped_reaches_the_engine(bench: Make, tmp_path: Path) -> None:
    log = tmp_path / "log"
    stream = await bench().stream(
        entry("a", "stub-call", log=str(log)), text="word " * 500, sleep=0.02
    )
    del stream
    await eventually(lambda: "cancelled word" in log.read_text())


async def test_cancelled_rows_are_not_run(bench: Make, tmp_path: Path) -> None:
    log = tmp_path / "log"
    node = bench()
    model = entry("a", streams=1, log=str(log))
    await node.inference.load(model)
    first = asyncio.create_task(node.answer(model, text="x", sleep=0.4))
    await asyncio.sleep(0.1)
    gone = asyncio.create_task(node.run(model, text="y" * 33))
    await asyncio.sleep(0.1)
    gone.cancel()
    await asyncio.wait({gone})
    await first
    await node.answer(model, text="zz")
    assert "33" not in log.read_text()


async def test_closing_lets_requests_end_and_then_aborts(bench: Make) -> None:
    node = bench()
    model = entry("a", streams=2)
    await node.inference.load(model)
    pid = running(node)
    short = asyncio.create_task(node.answer(model, text="x", sleep=0.2))
    long = asyncio.create_task(node.run(model, text="x", sleep=30))
    await asyncio.sleep(0.05)
    await node.inference.close(grace=0.6)
    assert (await short).value["lengths"].tolist() == [1]
    with pytest.raises(Aborted):
        await long
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with pytest.raises(OutOfCapacity, match="stopping"):
        await node.run(model, text="x")
