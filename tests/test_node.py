"""The node as a whole: dummy models in real runner processes, in this process and over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

import skerry
from skerry.errors import (
    InvalidInput,
    LicenceNotAccepted,
    LoraNotSupported,
    ModelDeprecated,
    NoSuchModel,
)
from skerry.node import Node
from skerry.settings import Settings
from skerry.types import Answer, InferenceRequest
from tests.dummies import CHAT, settings


@asynccontextmanager
async def opened(kind: str, chosen: Settings) -> AsyncIterator[skerry.AI]:
    """skerry.AI on a node in this process, or on a running one."""
    if kind == "local":
        async with skerry.AI(settings=chosen) as ai:
            yield ai
        return
    async with Node(chosen) as node:
        url = await node.serve()
        async with skerry.AI(url) as ai:
            yield ai


INPUTS: dict[str, dict[str, object]] = {
    "@cf/facebook/bart-large-cnn": {"input_text": "x"},
    "@cf/black-forest-labs/flux-1-schnell": {"prompt": "x"},
    "@mine/engineless": {"prompt": "x"},
}

both = pytest.mark.parametrize("kind", ["local", "remote"])


@both
async def test_the_same_answers_in_process_and_over_http(kind: str, tmp_path: Path) -> None:
    async with opened(kind, settings(tmp_path)) as ai:
        answer = await ai.run("@skerry/dummy-chat", {"prompt": "one two three", "max_tokens": 16})
        assert answer["response"]
        assert answer["usage"]["completion_tokens"] > 0
        vectors = await ai.run("@skerry/dummy-embed", {"text": ["a", "b", "a"]})
        assert vectors["shape"] == [3, 384]
        assert vectors["data"][0] == pytest.approx(vectors["data"][2])
        assert vectors["data"][0] != vectors["data"][1]
        assert isinstance(vectors["data"][0][0], float)


@both
async def test_a_stream_joins_to_the_whole_answer(kind: str, tmp_path: Path) -> None:
    inputs = {"prompt": "one two three", "max_tokens": 16}
    async with opened(kind, settings(tmp_path)) as ai:
        whole = await ai.run("@skerry/dummy-chat", inputs)
        async with await ai.run("@skerry/dummy-chat", inputs | {"stream": True}) as stream:
            pieces = [piece async for piece in stream]
    assert "".join(piece["response"] for piece in pieces) == whole["response"]
    assert pieces[-1]["usage"] == whole["usage"]
    assert len(pieces) > 2


@both
async def test_leaving_a_stream_frees_the_model(kind: str, tmp_path: Path) -> None:
    """One slot, 2,000 slow tokens: only if the run is cut off does the second call get a turn."""
    chosen = settings(tmp_path)
    long = {"prompt": "word " * 500, "max_tokens": 2000, "stream": True}
    async with opened(kind, chosen) as ai:
        async with await ai.run("@skerry/dummy-slow", long) as stream:
            async for _ in stream:
                break
        async with asyncio.timeout(10):
            await ai.run("@skerry/dummy-slow", {"prompt": "x", "max_tokens": 2})


@both
async def test_a_stream_that_is_never_begun_frees_the_model(kind: str, tmp_path: Path) -> None:
    long = {"prompt": "word " * 500, "max_tokens": 2000, "stream": True}
    async with opened(kind, settings(tmp_path)) as ai:
        await (await ai.run("@skerry/dummy-slow", long)).aclose()
        async with asyncio.timeout(10):
            await ai.run("@skerry/dummy-slow", {"prompt": "x", "max_tokens": 2})


@both
@pytest.mark.parametrize(
    ("model", "inputs", "wanted", "words"),
    [
        ("@skerry/dummy-chatt", {"prompt": "x"}, NoSuchModel, "@skerry/dummy-chat"),
        ("@skerry/dummy-chat", {"promt": "x"}, InvalidInput, "promt"),
        ("@skerry/dummy-chat", {"prompt": "x", "lora": "y"}, LoraNotSupported, "lora"),
        ("@skerry/dummy-retired", {"prompt": "x"}, ModelDeprecated, "@skerry/dummy-chat"),
        ("@skerry/dummy-licensed", {"prompt": "x"}, LicenceNotAccepted, "accept_licences"),
    ],
)
async def test_errors_are_the_same_on_both_ways(
    kind: str,
    tmp_path: Path,
    model: str,
    inputs: dict[str, object],
    wanted: type[skerry.AiError],
    words: str,
) -> None:
    async with opened(kind, settings(tmp_path)) as ai:
        with pytest.raises(wanted) as caught:
            await ai.run(model, inputs)
    assert caught.value.code == wanted.code
    assert words in caught.value.message


async def test_a_licence_that_was_accepted_lets_the_model_run(tmp_path: Path) -> None:
    chosen = settings(tmp_path, accept_licences=["@skerry/dummy-*"])
    async with skerry.AI(settings=chosen) as ai:
        assert (await ai.run("@skerry/dummy-licensed", {"prompt": "x"}))["response"]


async def test_a_standin_answers_only_where_it_may_and_says_so(tmp_path: Path) -> None:
    def ask() -> InferenceRequest:
        return InferenceRequest(
            model="@cf/baai/bge-small-en-v1.5", inputs={"text": "a"}, id="1", timeout=20
        )

    async with Node(settings(tmp_path, standins=True)) as node:
        reply = await node.ai.run(ask())
        assert isinstance(reply, Answer)
        assert reply.standin_for == "@cf/baai/bge-small-en-v1.5"
        assert reply.model.startswith("@skerry/")
        [event] = node.events.recent()
        assert (event.model, event.answered_by) == ("@cf/baai/bge-small-en-v1.5", reply.model)
    async with Node(settings(tmp_path)) as node:
        with pytest.raises(skerry.AiError):
            await node.ai.run(ask())


async def test_preload_makes_models_resident_and_stop_ends_their_runners(tmp_path: Path) -> None:
    node = Node(settings(tmp_path, preload=["@skerry/dummy-embed"]))
    await node.start()
    [status] = node.inference.status()
    assert status.state == "ready"
    pid = status.pid
    assert pid is not None
    assert psutil.pid_exists(pid)
    await node.stop()
    assert not psutil.pid_exists(pid)


async def test_ai_that_is_not_open_says_how_to_open_it() -> None:
    with pytest.raises(skerry.AiError, match="async with"):
        await skerry.AI().run("@skerry/dummy-chat", {"prompt": "x"})


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("@cf/facebook/bart-large-cnn", "No engine is called 'onnx-seq2seq'"),
        ("@cf/black-forest-labs/flux-1-schnell", "task text-to-image, which no installed package"),
        ("@mine/engineless", "its catalog entry names no engine"),
    ],
)
async def test_a_model_that_nothing_here_runs_says_what_is_missing_before_any_pull(
    tmp_path: Path, model: str, words: str
) -> None:
    folder = tmp_path / "more"
    folder.mkdir()
    entry = CHAT.replace("@skerry/dummy-chat", "@mine/engineless")
    entry = entry.replace('engines = ["dummy"]', "engines = []")
    (folder / "engineless.toml").write_text(entry)
    pulls: list[object] = []
    async with Node(settings(tmp_path, catalog=[folder]), on_pull=pulls.append) as node:
        with pytest.raises(NoSuchModel) as caught:
            await node.ai.run(InferenceRequest(model=model, inputs=INPUTS[model], id="1"))
    assert words in caught.value.message
    assert model in caught.value.message
    assert "Model not found" in caught.value.message
    assert not pulls
