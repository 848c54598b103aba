"""The node ends, and what becomes of the work that it has: real engines, the real command."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from skerry.settings import Settings

from .bad_inputs import CHAT, EMBED, RUN
from .conftest import eventually

pytestmark = [pytest.mark.models, pytest.mark.timeout(120)]

STORY: dict[str, Any] = {
    "prompt": "Tell a very long story about a fox.", "max_tokens": 2000, "stream": True
}  # fmt: skip
ENDED = 15.0
"""Seconds in which the command is gone after SIGTERM, whatever it has to do."""


class Command:
    """A running `skerry serve`."""

    def __init__(self, process: asyncio.subprocess.Process, url: str) -> None:
        self.process = process
        self.url = url
        self.runners = psutil.Process(process.pid).children(recursive=True)


@asynccontextmanager
async def command(settings: Settings, data_dir: Path) -> AsyncIterator[Command]:
    """`skerry serve` with the encoder and the chat model loaded."""
    words = ["serve", "--port", "0", "--json", "--offline", "--data-dir", str(data_dir)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "from skerry.cli import main; main()",
        *words, "--preload", EMBED, "--preload", CHAT,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        env=os.environ | {"SKERRY_MODELS": str(settings.models)},
    )  # fmt: skip
    try:
        assert process.stdout is not None
        text = b""
        while not text.rstrip().endswith(b"}") or text.count(b"{") != text.count(b"}"):
            line = await asyncio.wait_for(process.stdout.readline(), 60)
            assert line, "the node ended"
            text += line
        made = Command(process, json.loads(text)["url"])
        assert len(made.runners) == 2
        yield made
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


class Load:
    """Streams that would take minutes, short chats, and embeddings without a pause."""

    def __init__(self, url: str, http: aiohttp.ClientSession) -> None:
        self.url = url
        self.http = http
        self.stopped_at = float("inf")
        """On the clock of time.monotonic, once the signal is sent."""
        self.streams: list[str] = []
        self.early: list[int | str] = []
        """How requests ended that were sent before the signal."""
        self.late: list[int | str] = []

    async def stream(self, path: str, body: dict[str, Any]) -> None:
        at = len(self.streams)
        self.streams.append("")
        try:
            async with self.http.post(self.url + path, json=body) as got:
                assert got.status == 200, await got.text()
                async for line in got.content:
                    self.streams[at] += line.decode()
        except aiohttp.ClientError as error:
            self.streams[at] += f"broken off: {error!r}"

    async def ask(self, path: str, body: dict[str, Any]) -> bool:
        sent = time.monotonic()
        try:
            async with self.http.post(self.url + path, json=body) as got:
                await got.read()
                how: int | str = got.status
        except aiohttp.ClientError as error:
            how = type(error).__name__
        (self.early if sent < self.stopped_at else self.late).append(how)
        return how == 200

    async def ask_on(self, path: str, body: dict[str, Any]) -> None:
        while await self.ask(path, body):
            pass

    def begin(self) -> list[asyncio.Task[Any]]:
        story: dict[str, Any] = {"max_tokens": 2000, "stream": True}
        said = [{"role": "user", "content": STORY["prompt"]}]
        calls = [
            self.stream(RUN + CHAT, STORY),
            self.stream("/v1/chat/completions", story | {"model": CHAT, "messages": said}),
            self.stream("/v1/messages", story | {"model": CHAT, "messages": said}),
            self.ask(RUN + CHAT, {"prompt": "Count.", "max_tokens": 12}),
            *(self.ask_on(RUN + EMBED, {"text": f"text {at}"}) for at in range(8)),
        ]
        return [asyncio.create_task(call) for call in calls]


async def test_sigterm_under_load(on_models: Settings, tmp_path: Path) -> None:
    """Short requests are answered, long streams end with an error event, nothing stays behind."""
    async with command(on_models, tmp_path) as node, aiohttp.ClientSession() as http:
        load = Load(node.url, http)
        calls = load.begin()
        await eventually(lambda: len(load.early) > 100 and all(load.streams), 60)
        load.stopped_at = time.monotonic()
        node.process.send_signal(signal.SIGTERM)
        status = await asyncio.wait_for(node.process.wait(), ENDED)
        took = time.monotonic() - load.stopped_at
        await asyncio.gather(*calls)
        assert status == 0
        assert set(load.early) == {200}, f"after {took:.1f} s"
        refused = {"ClientConnectorError", "ServerDisconnectedError", "ClientOSError"}
        assert set(load.late) <= {200, 429, 408} | refused
        ends = [text.split("event: error")[-1] for text in load.streams]
        assert [text.count("event: error") for text in load.streams] == [1, 1, 1]
        assert ['"code":3008' in ends[0], "aborted" in ends[1], "3008" in ends[2]] == [True] * 3
        await eventually(lambda: not any(map(alive, node.runners)), 5)


async def test_a_killed_node_leaves_no_runner(on_models: Settings, tmp_path: Path) -> None:
    async with command(on_models, tmp_path) as node, aiohttp.ClientSession() as http:
        call = asyncio.create_task(
            Load(node.url, http).ask(RUN + CHAT, {"prompt": "Count.", "max_tokens": 600})
        )
        await asyncio.sleep(0.5)
        node.process.send_signal(signal.SIGKILL)
        await asyncio.wait_for(node.process.wait(), 5)
        await call
        await eventually(lambda: not any(map(alive, node.runners)), 10)


async def test_a_second_signal_ends_it_at_once(on_models: Settings, tmp_path: Path) -> None:
    async with command(on_models, tmp_path) as node, aiohttp.ClientSession() as http:
        load = Load(node.url, http)
        call = asyncio.create_task(load.stream(RUN + CHAT, STORY))
        await eventually(lambda: bool(load.streams and load.streams[0]), 30)
        node.process.send_signal(signal.SIGINT)
        await asyncio.sleep(0.1)
        node.process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(node.process.wait(), 2) == 130
        await call
        await eventually(lambda: not any(map(alive, node.runners)), 10)


def alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
