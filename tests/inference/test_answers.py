"""A request goes to a runner process and its answer comes back."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from skerry.errors import ContextTooLong, InternalError, InvalidInput, RequestTooLarge
from skerry.inference import messages

from .rig import Bench, entry

Make = Callable[..., Bench]


async def test_rows_are_answered_in_order_by_another_process(bench: Make) -> None:
    node = bench()
    answer = await node.answer(entry("a"), texts=["four", "a", "", "seven..", "xx"])
    assert answer.value["lengths"].tolist() == [4, 1, 0, 7, 2]
    assert answer.value["pid"] != os.getpid()
    assert answer.model == "@stub/a"
    assert answer.usage.prompt_tokens == 14
    assert answer.timing.run > 0
    assert answer.timing.load > 0, "the first request waited for the model"
    again = await node.answer(entry("a"), text="x")
    assert again.timing.load == 0


async def test_many_requests_each_get_their_own_answer(bench: Make) -> None:
    node = bench()
    model = entry("a")
    texts = ["x" * (n % 40) for n in range(200)]
    answers = await asyncio.gather(*(node.answer(model, text=text) for text in texts))
    assert [answer.value["lengths"].tolist() for answer in answers] == [[len(t)] for t in texts]
    assert any(answer.value["batches"][0] > 1 for answer in answers), "they were batched"


async def test_a_large_request_is_shared_among_streams(bench: Make, tmp_path: Path) -> None:
    log = tmp_path / "log"
    model = entry("a", streams=2, log=str(log), model={"max_rows": 64, "max_length": 10_000})
    answer = await bench().answer(model, texts=["x" * n for n in range(100)], sleep=0.1)
    assert answer.value["lengths"].tolist() == list(range(100))
    batches = [line.split() for line in log.read_text().splitlines()]
    assert {batch[0] for batch in batches} == {"0", "1"}
    assert all(batch[1:] == sorted(batch[1:], key=int) for batch in batches)
    assert len(batches[0]) - 1 == 50


async def test_no_rows_is_an_answer_too(bench: Make) -> None:
    answer = await bench().answer(entry("a"), texts=[])
    assert answer.value["lengths"].tolist() == []


async def test_a_call_is_answered_whole(bench: Make) -> None:
    answer = await bench().answer(entry("a", "stub-call"), text="one two three")
    assert answer.value["response"] == "one two three"
    assert answer.usage.completion_tokens == 3


async def test_a_call_is_streamed(bench: Make) -> None:
    stream = await bench().stream(entry("a", "stub-call"), text="one two three")
    pieces = [piece async for piece in stream.pieces]
    assert [piece["response"] for piece in pieces] == ["one", "two", "three", "one two three"]
    assert stream.usage.completion_tokens == 3
    assert 0 < stream.timing.first <= stream.timing.run


async def test_many_streams_do_not_mix(bench: Make) -> None:
    node = bench()
    model = entry("a", "stub-call", streams=4)

    async def one(number: int) -> list[str]:
        text = " ".join(f"{number}-{at}" for at in range(30))
        stream = await node.stream(model, text=text)
        pieces = [piece["response"] async for piece in stream.pieces]
        assert pieces.pop() == text
        return pieces

    for number, words in enumerate(await asyncio.gather(*(one(n) for n in range(20)))):
        assert words == [f"{number}-{at}" for at in range(30)]


async def test_the_second_engine_serves_what_the_first_cannot(bench: Make) -> None:
    node = bench()
    model = entry("a", ["stub-call", "stub-other"])
    assert (await node.answer(model, text="a")).value["by"] == "stub-call"
    assert (await node.answer(model, text="a", schema={})).value["by"] == "stub-other"
    only = entry("b", "stub-call")
    with pytest.raises(InvalidInput, match="stub-call"):
        await node.answer(only, text="a", schema={})


async def test_the_second_engine_takes_over_under_load(bench: Make) -> None:
    node = bench()
    model = entry("a", ["stub-call", "stub-other"], **{"stub-call": {"up_to": 1}, "stub-other": {}})
    await node.inference.load(model)
    # It is loaded when it is first needed; meanwhile the first engine answers everything.
    async with asyncio.timeout(20):
        while True:
            both = await asyncio.gather(*(node.answer(model, text="a", sleep=0.05) for _ in "ab"))
            if {answer.value["by"] for answer in both} == {"stub-call", "stub-other"}:
                break
    first = asyncio.create_task(node.answer(model, text="a", sleep=0.5))
    await asyncio.sleep(0.1)
    more = await asyncio.gather(*(node.answer(model, text="a") for _ in range(2)))
    assert (await first).value["by"] == "stub-call"
    assert [answer.value["by"] for answer in more] == ["stub-other", "stub-other"]
    assert (await node.answer(model, text="a")).value["by"] == "stub-call"


async def test_calls_that_come_together_run_on_one_engine(bench: Make) -> None:
    node = bench()
    model = entry("a", ["stub-call", "stub-other"], **{"stub-call": {"up_to": 1}, "stub-other": {}})
    words = " ".join("abcdefghij")
    async with asyncio.timeout(20):
        while True:  # until the second engine is loaded
            both = await asyncio.gather(*(node.answer(model, text=words, sleep=0.02) for _ in "ab"))
            if {answer.value["by"] for answer in both} == {"stub-other"}:
                break
    assert [answer.value["response"] for answer in both] == [words, words]


async def test_a_second_engine_that_cannot_be_loaded_is_missed_only_by_its_calls(
    bench: Make,
) -> None:
    node = bench()
    model = entry(
        "a", ["stub-call", "stub-other"], **{"stub-call": {}, "stub-other": {"load_do": "fail"}}
    )
    assert (await node.answer(model, text="a")).value["by"] == "stub-call"
    for _ in range(2):
        with pytest.raises((InternalError, InvalidInput)):
            await node.answer(model, text="a", schema={})
    assert (await node.answer(model, text="a")).value["by"] == "stub-call"


async def test_a_slow_preparation_holds_up_nobody(bench: Make, tmp_path: Path) -> None:
    node = bench()
    gate = tmp_path / "gate"
    model = entry("a", model={"max_length": 1 << 30})
    await node.inference.load(model)
    slow = asyncio.create_task(node.answer(model, text="x" * 40_000, prepare_until=str(gate)))
    assert (await node.answer(model, text="x")).value["lengths"].tolist() == [1]
    gone = asyncio.create_task(
        node.answer(model, text="y" * 40_000, prepare_until=str(tmp_path / "never"))
    )
    await asyncio.sleep(0.1)
    assert not slow.done()
    gone.cancel()
    gate.touch()
    assert (await slow).value["lengths"].tolist() == [40_000]


@pytest.mark.parametrize(
    ("engine", "do", "kind", "words"),
    [
        ("stub-tensor", "refuse", InvalidInput, "does not take this"),
        ("stub-tensor", "prepare", InternalError, "RuntimeError"),
        ("stub-tensor", "finish", InternalError, "RuntimeError"),
        ("stub-tensor", "unsendable", InternalError, "cannot send"),
        ("stub-tensor", "fail", InternalError, "told to fail"),
        ("stub-tensor", "context", ContextTooLong, "too long for the stub"),
        ("stub-call", "refuse", InvalidInput, "does not take this"),
        ("stub-call", "fail", InternalError, "told to fail"),
        ("stub-call", "context", ContextTooLong, "too long for the stub"),
    ],
)
async def test_a_failure_hits_only_its_request(
    bench: Make, engine: str, do: str, kind: type[Exception], words: str
) -> None:
    node = bench()
    model = entry("a", engine)
    pid = (await node.inference.load(model)).pid

    async def bad() -> None:
        with pytest.raises(kind, match=words) as caught:
            await node.run(model, text="one two", do=do)
        assert type(caught.value) is kind

    async with asyncio.TaskGroup() as group:
        group.create_task(bad())
        good = [group.create_task(node.answer(model, text="fine here")) for _ in range(20)]
    assert len({task.result().value["pid"] for task in good}) == 1
    assert node.inference.status()[0].pid == pid, "the runner lives"


async def test_a_failing_row_is_isolated_from_its_batch(bench: Make) -> None:
    node = bench()
    model = entry("a", streams=1)
    await node.inference.load(model)
    # The first keeps the only stream busy, so that the rest become one batch.
    first = asyncio.create_task(node.answer(model, text="busy", sleep=0.3))
    await asyncio.sleep(0.1)
    rest = await asyncio.gather(
        *(node.run(model, text="bad", do="fail" if n == 3 else "") for n in range(8)),
        return_exceptions=True,
    )
    await first
    assert [isinstance(each, InternalError) for each in rest] == [n == 3 for n in range(8)]


async def test_what_cannot_be_passed_on_is_refused(
    bench: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = bench()
    model = entry("a")
    with pytest.raises(InvalidInput, match="cannot be passed on"):
        await node.run(model, text="x", number=1 << 70)
    monkeypatch.setattr("skerry.inference.channel.MAX_FRAME", 1000)
    with pytest.raises(RequestTooLarge):
        await node.run(model, text="x" * 2000)
    assert (await node.answer(model, text="xy")).value["lengths"].tolist() == [2]


async def test_large_values_travel_both_ways(bench: Make) -> None:
    answer = await bench().answer(
        entry("a", model={"max_length": 1 << 30}), text="x" * (40 << 20), size=30 << 20
    )
    assert answer.value["data"].nbytes == 30 << 20


def test_frames_are_cut_whatever_the_chunks() -> None:
    sent = messages.pack([messages.Cancel(n) for n in range(20)]) * 3
    for size in (1, 3, 7, 1000):
        frames = messages.Frames()
        got = [
            message.id
            for at in range(0, len(sent), size)
            for body in frames.feed(sent[at : at + size])
            for message in messages.unpack_for_runner(body)
            if isinstance(message, messages.Cancel)
        ]
        assert got == list(range(20)) * 3
