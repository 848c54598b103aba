"""A node that is killed in the middle of a pull goes on with it when it is started again."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from tests.catalog.hub import FakeHub
from tests.dummies import CHAT

MODEL = "@mine/pulled"
RUN = "/client/v4/accounts/local/ai/run/" + MODEL
WEIGHTS = os.urandom(4 << 20)


@pytest.fixture
async def hub() -> AsyncIterator[FakeHub]:
    server = FakeHub()
    server.files = {"weights.bin": WEIGHTS}
    await server.start()
    yield server
    await server.close()


def catalog(folder: Path, hub: FakeHub) -> Path:
    """A dummy chat model whose weights are on the hub."""
    folder.mkdir()
    weights = (
        f'[[artifacts]]\nname = "weights.bin"\nsize = {len(WEIGHTS)}\n'
        f'sha256 = "{hashlib.sha256(WEIGHTS).hexdigest()}"\n'
        f'mirrors = ["{hub.cdn}/bytes/weights.bin"]\n'
    )
    entry = CHAT.replace("@skerry/dummy-chat", MODEL) + weights
    (folder / "pulled.toml").write_text(entry)
    return folder


@asynccontextmanager
async def serving(
    tmp_path: Path, folder: Path
) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """`skerry serve`, killed at the end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "from skerry.cli import main; main()",
        "serve", "--port", "0", "--json", "--data-dir", str(tmp_path / "data"),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        env=os.environ
        | {
            "SKERRY_MODELS": str(tmp_path / "models"),
            "SKERRY_CATALOG": str(folder),
            "SKERRY_PULL_WAIT": "0.2",
        },
    )  # fmt: skip
    try:
        assert process.stdout is not None
        text = b""
        while not text.endswith(b"}\n") or text.count(b"{") != text.count(b"}"):
            line = await asyncio.wait_for(process.stdout.readline(), 30)
            assert line, "the node ended"
            text += line
        yield process, str(json.loads(text)["url"])
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def until(test: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not test():  # noqa: ASYNC110 - another process's files, which tell nobody
            await asyncio.sleep(0.02)


async def ask(http: aiohttp.ClientSession, url: str) -> tuple[int, dict[str, str], str]:
    async with http.post(url + RUN, json={"prompt": "one two"}) as got:
        return got.status, dict(got.headers), await got.text()


async def ask_until_it_is_there(http: aiohttp.ClientSession, url: str) -> tuple[int, str]:
    """As a client that heeds Retry-After, only quicker."""
    async with asyncio.timeout(30):
        while True:
            status, _, text = await ask(http, url)
            if status != 429:
                return status, text
            await asyncio.sleep(0.05)


async def test_a_restart_goes_on_with_a_half_pulled_model(hub: FakeHub, tmp_path: Path) -> None:
    folder = catalog(tmp_path / "catalog", hub)
    hub.pause = 0.05
    async with aiohttp.ClientSession() as http:
        async with serving(tmp_path, folder) as (process, url):
            status, headers, text = await ask(http, url)
            assert (status, int(headers["Retry-After"]) >= 1) == (429, True)
            assert '"code":3040' in text
            assert "pulled" in text  # how far it is
            partial = tmp_path / "models" / "partial"
            await until(lambda: sum(file.stat().st_size for file in partial.rglob("*")) > 1 << 20)
            process.kill()
            await process.wait()
        assert len(hub.requests) == 1
        hub.pause = 0.0
        async with serving(tmp_path, folder) as (_, url):
            status, text = await ask_until_it_is_there(http, url)
    assert (status, "one two" in text) == (200, True), text
    [first, second] = hub.requests
    assert first[1] is None
    assert second[1] is not None
    assert int(second[1].removeprefix("bytes=").removesuffix("-")) >= 1 << 19


async def test_a_restart_finds_bytes_that_were_spoilt(hub: FakeHub, tmp_path: Path) -> None:
    """What lies half-pulled is not believed: the hash decides, and the pull starts anew."""
    folder = catalog(tmp_path / "catalog", hub)
    hub.cuts = 1000
    async with aiohttp.ClientSession() as http:
        async with serving(tmp_path, folder) as (_, url):
            status, text = await ask_until_it_is_there(http, url)
        assert (status, "cannot be pulled" in text) == (500, True)
        [file] = [each for each in (tmp_path / "models" / "partial").rglob("*") if each.is_file()]
        file.write_bytes(bytes(file.stat().st_size))
        hub.cuts = 0
        async with serving(tmp_path, folder) as (_, url):
            status, text = await ask_until_it_is_there(http, url)
    assert (status, "one two" in text) == (200, True), text
