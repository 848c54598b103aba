"""A node behind a node: the engine upstream from a user's catalog file to another Skerry."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from aiohttp import web

import skerry
from skerry.errors import InternalError, InvalidInput, ModelDeprecated, NoSuchModel, OutOfCapacity
from skerry.node import Node
from tests.dummies import settings

FRONT = """
name = "@mine/{name}"
task = "{task}"
description = "Runs elsewhere."
licence = "Apache-2.0"
engines = ["upstream"]
upstream = "{url}"

[engine_options.upstream]
model = "{model}"
"""


def write(folder: Path, url: str, **models: tuple[str, str]) -> Path:
    """Catalog files of `name=(task, model there)`."""
    folder.mkdir(parents=True)
    for name, (task, model) in models.items():
        text = FRONT.format(name=name, task=task, url=url, model=model)
        (folder / f"{name}.toml").write_text(text)
    return folder


@asynccontextmanager
async def pair(tmp: Path) -> AsyncIterator[tuple[skerry.AI, Node]]:
    """A node of dummy models, and one in front of it that may pull nothing."""
    async with Node(settings(tmp / "behind")) as behind:
        url = await behind.serve()
        catalog = write(
            tmp / "front",
            f"{url}/v1",
            chat=("text-generation", "@skerry/dummy-chat"),
            slow=("text-generation", "@skerry/dummy-slow"),
            embed=("text-embeddings", "@skerry/dummy-embed"),
            gone=("text-generation", "@skerry/not-there"),
            retired=("text-generation", "@skerry/dummy-retired"),
        )
        chosen = settings(tmp / "own", catalog=[catalog], pull=False)
        async with skerry.AI(settings=chosen) as ai:
            yield ai, behind


async def test_chat_and_stream_are_the_other_nodes(tmp_path: Path) -> None:
    inputs = {"prompt": "one two three", "max_tokens": 16}
    async with pair(tmp_path) as (ai, behind):
        whole = await ai.run("@mine/chat", inputs)
        async with await ai.run("@mine/chat", inputs | {"stream": True}) as stream:
            pieces = [piece async for piece in stream]
        asked = {event.model for event in behind.events.recent()}
    assert asked == {"@skerry/dummy-chat"}
    assert "three" in whole["response"]
    assert "".join(piece["response"] for piece in pieces) == whole["response"]
    assert len(pieces) > 2
    assert pieces[-1]["usage"] == whole["usage"]
    assert whole["usage"]["prompt_tokens"] > 0


async def test_embeddings_are_the_other_nodes(tmp_path: Path) -> None:
    async with pair(tmp_path) as (ai, behind):
        made = await ai.run("@mine/embed", {"text": ["a", "b", "a"]})
        with pytest.raises(InvalidInput, match="cls"):
            await ai.run("@mine/embed", {"text": "a", "pooling": "cls"})
        async with skerry.AI(f"http://127.0.0.1:{behind.port}") as there:
            same = await there.run("@skerry/dummy-embed", {"text": ["a", "b", "a"]})
    assert made["shape"] == [3, 384]
    assert np.allclose(made["data"], same["data"], atol=1e-6)


async def test_errors_of_the_other_node_keep_their_kind(tmp_path: Path) -> None:
    async with pair(tmp_path) as (ai, _):
        with pytest.raises(NoSuchModel, match="@skerry/not-there"):
            await ai.run("@mine/gone", {"prompt": "x"})
        with pytest.raises(ModelDeprecated, match="@skerry/dummy-chat"):
            await ai.run("@mine/retired", {"prompt": "x"})
        with pytest.raises(InternalError, match="The engine failed"):
            await ai.run("@mine/chat", {"prompt": "!fail"})


async def test_leaving_a_stream_reaches_the_other_node(tmp_path: Path) -> None:
    """One slow slot there: only if the run ends there does the second call get its turn."""
    long = {"prompt": "word " * 500, "max_tokens": 2000, "stream": True}
    async with pair(tmp_path) as (ai, behind):
        async with await ai.run("@mine/slow", long) as stream:
            async for _ in stream:
                break
        async with asyncio.timeout(10):
            await ai.run("@mine/slow", {"prompt": "x", "max_tokens": 2})
        assert behind.events.count == 2


async def test_a_server_that_is_away_is_told_and_found_again(tmp_path: Path) -> None:
    catalog = write(tmp_path / "c", "http://127.0.0.1:1/v1", chat=("text-generation", "x"))
    async with skerry.AI(settings=settings(tmp_path, catalog=[catalog])) as ai:
        with pytest.raises(InternalError, match=r"127\.0\.0\.1:1"):
            await ai.run("@mine/chat", {"prompt": "x"})


class Keyed:
    """A server that wants a key, and tells how its client left."""

    def __init__(self) -> None:
        self.keys: list[str | None] = []
        self.left = asyncio.Event()

    async def embeddings(self, request: web.Request) -> web.Response:
        self.keys.append(request.headers.get("Authorization"))
        body: dict[str, Any] = await request.json()
        if body["input"] == ["busy"]:
            return web.json_response(
                {"error": {"message": "full"}}, status=429, headers={"Retry-After": "9"}
            )
        if body["input"] == ["wait"]:
            try:
                await asyncio.sleep(60)
            finally:
                self.left.set()
        rows = [{"index": at, "embedding": [3.0, 4.0]} for at, _ in enumerate(body["input"])]
        return web.json_response({"data": rows, "usage": {"prompt_tokens": 7}})


@asynccontextmanager
async def keyed() -> AsyncIterator[tuple[Keyed, str]]:
    server = Keyed()
    app = web.Application()
    app.router.add_post("/v1/embeddings", server.embeddings)
    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield server, f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


async def test_the_key_comes_from_the_variable_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAR_AWAY_KEY", "s3cret")
    async with keyed() as (server, url):
        catalog = write(tmp_path / "c", url, embed=("text-embeddings", "far"))
        file = catalog / "embed.toml"
        file.write_text(file.read_text() + 'key_env = "FAR_AWAY_KEY"\n')
        async with skerry.AI(settings=settings(tmp_path, catalog=[catalog])) as ai:
            made = await ai.run("@mine/embed", {"text": "a"})
            with pytest.raises(OutOfCapacity) as full:
                await ai.run("@mine/embed", {"text": "busy"})
    assert server.keys[0] == "Bearer s3cret"
    assert made["data"][0] == pytest.approx([0.6, 0.8])  # of length 1, whatever came
    assert full.value.retry_after == 9


async def test_a_key_that_is_not_set_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FAR_AWAY_KEY", raising=False)
    catalog = write(tmp_path / "c", "http://127.0.0.1:1/v1", embed=("text-embeddings", "far"))
    file = catalog / "embed.toml"
    file.write_text(file.read_text() + 'key_env = "FAR_AWAY_KEY"\n')
    async with skerry.AI(settings=settings(tmp_path, catalog=[catalog])) as ai:
        with pytest.raises(InternalError, match="FAR_AWAY_KEY is not set"):
            await ai.run("@mine/embed", {"text": "a"})


async def test_cancelling_embeddings_reaches_the_server(tmp_path: Path) -> None:
    async with keyed() as (server, url):
        catalog = write(tmp_path / "c", url, embed=("text-embeddings", "far"))
        async with skerry.AI(settings=settings(tmp_path, catalog=[catalog])) as ai:
            waiting = asyncio.create_task(ai.run("@mine/embed", {"text": "wait"}))
            async with asyncio.timeout(20):
                while not server.keys:  # noqa: ASYNC110 (another process is at work)
                    await asyncio.sleep(0.01)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            async with asyncio.timeout(10):
                await server.left.wait()


async def test_a_runner_of_another_servers_model_is_small(tmp_path: Path) -> None:
    others = set(psutil.Process().children(recursive=True))
    async with pair(tmp_path) as (ai, _):
        await ai.run("@mine/chat", {"prompt": "x", "max_tokens": 1})
        await ai.run("@mine/embed", {"text": "x"})
        sizes = [
            child.memory_info().rss
            for child in psutil.Process().children(recursive=True)
            if child not in others and "skerry.inference.runner" in child.cmdline()
        ]
    assert len(sizes) == 4  # two here, two behind
    assert max(sizes) < 80 << 20
