"""Faults on a real node with real engines: killed runners, clients that leave, full queues."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import pytest_asyncio

from skerry.settings import Settings

from .bad_inputs import CHAT, EMBED, RUN, SENTIMENT
from .conftest import Served, changed, eventually, serving

pytestmark = [
    pytest.mark.models,
    pytest.mark.timeout(120),
    pytest.mark.asyncio(loop_scope="module"),
]

Reply = tuple[int, dict[str, str], Any]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def node(on_models: Settings) -> AsyncIterator[Served]:
    async with serving(changed(on_models, preload=[EMBED, CHAT, SENTIMENT])) as served:
        yield served


async def ask(node: Served, path: str, **body: Any) -> Reply:
    async with node.http.post(node.url + path, json=body) as got:
        return got.status, dict(got.headers), await got.json()


class Stream:
    """A stream and the lines that have come of it."""

    def __init__(self, node: Served, path: str, **body: Any) -> None:
        self.lines: list[str] = []
        self.task = asyncio.create_task(self._read(node, path, body | {"stream": True}))

    async def _read(self, node: Served, path: str, body: dict[str, Any]) -> None:
        async with node.http.post(node.url + path, json=body) as got:
            assert got.status == 200, await got.text()
            async for line in got.content:
                if line.strip():
                    self.lines.append(line.decode().strip())


async def positive(node: Served, text: str) -> float:
    scores = {each["label"]: each["score"] for each in await node.run(SENTIMENT, text=text)}
    return float(scores["POSITIVE"])


def kill(node: Served, model: str) -> int:
    pid = node.status(model).pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    return pid


async def test_a_killed_encoder_under_load_is_not_noticed(node: Served) -> None:
    others = {name: node.status(name).pid for name in (CHAT, SENTIMENT)}
    restarts = node.status(EMBED).restarts
    [vector] = (await node.run(EMBED, text="one"))["data"]
    over = asyncio.Event()
    answers: list[Reply] = []

    async def connection() -> None:
        while not over.is_set():
            answers.append(await ask(node, RUN + EMBED, text="one"))

    async with asyncio.TaskGroup() as group:
        for _ in range(16):
            group.create_task(connection())
        await eventually(lambda: len(answers) > 50)
        pid = kill(node, EMBED)
        before = len(answers)
        assert await positive(node, "I love it") > 0.5
        await eventually(lambda: len(answers) > before + 100)
        over.set()
    assert {status for status, _, _ in answers} == {200}
    for _, _, answer in answers:
        assert answer["result"]["data"][0] == pytest.approx(vector, abs=0.02)
    assert node.status(EMBED).pid != pid
    assert node.status(EMBED).restarts == restarts + 1
    assert {name: node.status(name).pid for name in others} == others


async def test_a_killed_chat_model_retries_whole_answers_and_ends_streams(node: Served) -> None:
    """Streams end with an error event in their dialect; nothing ends silently."""
    prompt = {"prompt": "Tell a long story about a fox.", "max_tokens": 40, "temperature": 0}
    chat = {
        "model": CHAT,
        "messages": [{"role": "user", "content": prompt["prompt"]}],
        "max_tokens": 2000,
    }
    others = {name: node.status(name).pid for name in (EMBED, SENTIMENT)}
    restarts = node.status(CHAT).restarts
    whole = [asyncio.create_task(ask(node, RUN + CHAT, **prompt)) for _ in range(2)]
    ours = Stream(node, RUN + CHAT, **(prompt | {"max_tokens": 2000}))
    theirs = Stream(node, "/v1/chat/completions", **chat)
    await eventually(lambda: len(ours.lines) > 3 and len(theirs.lines) > 3)
    kill(node, CHAT)
    await asyncio.gather(ours.task, theirs.task)
    assert ours.lines[-2] == theirs.lines[-2] == "event: error"
    [error] = json.loads(ours.lines[-1].removeprefix("data: "))["errors"]
    assert (error["code"], "breaks off" in error["message"]) == (5000, True)
    told = json.loads(theirs.lines[-1].removeprefix("data: "))["error"]
    assert (told["cloudflare_code"], "breaks off" in told["message"]) == (5000, True)
    for status, _, answer in await asyncio.gather(*whole):
        assert (status, len(answer["result"]["response"]) > 40) == (200, True), answer
    assert node.status(CHAT).restarts == restarts + 1
    assert {name: node.status(name).pid for name in others} == others


async def busy(process: psutil.Process) -> float:
    """CPU seconds that the process uses in half a second."""
    before = sum(process.cpu_times()[:2])
    await asyncio.sleep(0.5)
    return float(sum(process.cpu_times()[:2]) - before)


@pytest.mark.parametrize("engine", ["first", "llama.cpp"])
@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_leaves_frees_its_slot(node: Served, engine: str, stream: bool) -> None:
    """GenAI takes no seed, so llama.cpp does; the rest goes to what was tuned."""
    body: dict[str, Any] = {"prompt": "Tell a very long story.", "max_tokens": 4000}
    if engine == "llama.cpp":
        body |= {"seed": 1, "temperature": 0.9}
    pid = node.status(CHAT).pid
    assert pid is not None
    runner = psutil.Process(pid)

    async def call() -> None:
        async with node.http.post(node.url + RUN + CHAT, json=body | {"stream": stream}) as got:
            await got.content.read()

    calls = [asyncio.create_task(call()) for _ in range(4)]
    await eventually(lambda: node.status(CHAT).running + node.status(CHAT).queued == 4)
    await asyncio.sleep(0.7)
    for task in calls:
        task.cancel()
    await asyncio.wait(calls)
    await eventually(lambda: node.status(CHAT).running == 0)
    # Four answers of 4,000 tokens would take more than a minute.
    async with asyncio.timeout(10):
        while await busy(runner) > 0.15:
            pass
    assert node.status(CHAT).pid == pid
    assert (await node.run(CHAT, prompt="Hi", max_tokens=3))["response"]


async def test_300_at_once_against_a_queue_of_32(on_models: Settings) -> None:
    async with serving(changed(on_models, preload=[EMBED], queue=32)) as node:
        text = "word " * 200
        answers = await asyncio.gather(
            *(ask(node, RUN + EMBED, text=[text] * 4) for _ in range(300))
        )
        good = [answer for status, _, answer in answers if status == 200]
        busy = [each for each in answers if each[0] == 429]
        assert len(good) + len(busy) == 300
        assert len(good) >= 32
        assert busy
        for _, headers, answer in busy:
            assert answer["errors"][0]["code"] == 3040
            assert int(headers["Retry-After"]) >= 1
        assert node.status(EMBED).restarts == 0


async def test_models_that_do_not_fit_together_take_turns(on_models: Settings) -> None:
    """Two encoders in room for one."""
    async with serving(changed(on_models, memory=280 << 20)) as node:
        for _ in range(2):
            assert (await node.run(EMBED, text="x"))["shape"] == [1, 384]
            assert await positive(node, "good") > 0.5
        ready = [each.model for each in node.node.inference.status() if each.state == "ready"]
        assert ready == [SENTIMENT]
        both = await asyncio.gather(
            *(node.run(model, text="x") for model in (EMBED, SENTIMENT) * 4)
        )
        assert len(both) == 8
    async with serving(changed(on_models, memory=1 << 20)) as node:
        status, _, answer = await ask(node, RUN + EMBED, text="x")
        assert (status, answer["errors"][0]["code"]) == (429, 3040)
        assert "setting memory" in answer["errors"][0]["message"]


async def test_a_missing_model_offline(on_models: Settings, tmp_path: Path) -> None:
    empty = changed(on_models, models=tmp_path / "models", offline=True)
    async with serving(empty) as node:
        status, _, answer = await ask(node, RUN + EMBED, text="x")
        assert status >= 400
        assert "skerry models pull" in str(answer) or "network" in str(answer), answer
    async with serving(changed(empty, pull=False)) as node:
        status, _, answer = await ask(node, RUN + EMBED, text="x")
        assert (status, answer["errors"][0]["code"]) == (400, 5007)
        assert f"skerry models pull {EMBED}" in answer["errors"][0]["message"]
