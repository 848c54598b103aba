"""A node at its real bound of 256 requests a model: the next is told to come back, none is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from skerry.node import Node
from skerry.settings import Settings
from tests.dummies import CHAT, settings

MODEL = "@mine/slow"
RUN = "/client/v4/accounts/local/ai/run/" + MODEL
BOUND = 256
DUMMY = "\n[engine_options.dummy]\ndelay = 0.01\ncapacity = 4\n"


class Rig:
    def __init__(self, node: Node, url: str, http: aiohttp.ClientSession) -> None:
        self.node = node
        self.url = url
        self.http = http

    async def ask(self, query: str = "", **body: Any) -> tuple[int, dict[str, str], Any]:
        async with self.http.post(self.url + RUN + query, json={"prompt": "a b"} | body) as got:
            return got.status, dict(got.headers), await got.json()

    def in_flight(self) -> int:
        [status] = self.node.inference.status()
        return status.queued + status.running

    async def until(self, test: Callable[[int], bool]) -> None:
        """Wait until so many are in flight."""
        async with asyncio.timeout(20):
            while not test(self.in_flight()):  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.01)


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "slow.toml").write_text(CHAT.replace("@skerry/dummy-chat", MODEL) + DUMMY)
    chosen = settings(tmp_path, catalog=[folder], preload=[MODEL])
    assert chosen.queue == Settings().queue == BOUND
    connector = aiohttp.TCPConnector(limit=0)
    async with Node(chosen) as node, aiohttp.ClientSession(connector=connector) as http:
        yield Rig(node, await node.serve(), http)


def check_refused(refused: tuple[int, dict[str, str], Any], says: str) -> None:
    status, headers, answer = refused
    assert (status, answer["errors"][0]["code"], answer["success"]) == (429, 3040, False)
    assert int(headers["Retry-After"]) >= 1
    assert says in answer["errors"][0]["message"]


async def test_the_257th_is_refused_and_the_others_answered(rig: Rig) -> None:
    """Each takes 10 tokens of 10 ms and 4 run at once: 256 take some 7 s."""
    body: dict[str, Any] = {"prompt": " ".join("abcdefghij"), "max_tokens": 10}
    calls = [asyncio.create_task(rig.ask(**body)) for _ in range(BOUND)]
    await rig.until(lambda count: count >= BOUND - 8)
    more = await asyncio.gather(*(rig.ask(**body) for _ in range(40)))
    refused = [each for each in more if each[0] != 200]
    assert refused
    for each in refused:
        check_refused(each, "requests wait already (setting queue)")
    answers = await asyncio.gather(*calls)
    assert {status for status, _, _ in answers} == {200}
    assert {answer["result"]["response"] for _, _, answer in answers} == {body["prompt"]}
    assert rig.in_flight() == 0
    assert (await rig.ask())[0] == 200


async def test_exactly_the_bound_is_taken(rig: Rig) -> None:
    long: dict[str, Any] = {"prompt": "word " * 2000, "max_tokens": 2000}
    calls = [asyncio.create_task(rig.ask(**long)) for _ in range(BOUND)]
    await rig.until(lambda count: count == BOUND)
    check_refused(await rig.ask(), "256 requests wait already")
    for call in calls:
        call.cancel()
    await asyncio.wait(calls)
    await rig.until(lambda count: not count)
    assert (await rig.ask())[0] == 200


@pytest.mark.parametrize("way", ["?rejectIfBusy=true", "header", "options"])
async def test_reject_if_busy(rig: Rig, way: str) -> None:
    async def hasty() -> tuple[int, dict[str, str], Any]:
        if way.startswith("?"):
            return await rig.ask(way)
        body: dict[str, Any] = {"prompt": "a b"}
        path, headers = rig.url + RUN, {}
        if way == "header":
            headers["x-skerry-reject-if-busy"] = "true"
        else:
            path = rig.url + "/client/v4/accounts/local/ai/run"
            body = {"model": MODEL, "input": body, "options": {"rejectIfBusy": True}}
        async with rig.http.post(path, json=body, headers=headers) as got:
            return got.status, dict(got.headers), await got.json()

    assert (await hasty())[0] == 200
    long: dict[str, Any] = {"prompt": "word " * 300, "max_tokens": 300}
    calls = [asyncio.create_task(rig.ask(**long)) for _ in range(4)]
    await rig.until(lambda count: count == 4)
    check_refused(await hasty(), "the request was not to wait")
    patient = asyncio.create_task(rig.ask())
    assert {(await call)[0] for call in calls} == {200}
    assert (await patient)[0] == 200
