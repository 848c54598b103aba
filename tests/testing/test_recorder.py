"""Recording and replaying, on a node with dummy models."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from skerry.ai.flight import Flight
from skerry.errors import InternalError, InvalidInput, NoSuchModel, SettingsError
from skerry.node import Node
from skerry.testing.cassette import Cassette
from skerry.testing.recorder import Mode, Recorder
from skerry.types import Answer, AnswerStream, InferenceRequest, new_id

from .. import dummies

CHAT = "@skerry/dummy-chat"
EMBED = "@skerry/dummy-embed"
ONCE_THEN_NONE: tuple[Mode, ...] = ("once", "none")


class Asker:
    def __init__(self, node: Node, recorder: Recorder, path: Path) -> None:
        self.node = node
        self.recorder = recorder
        self.path = path

    async def run(self, model: str, **inputs: Any) -> Any:
        """The value, or the pieces."""
        request = InferenceRequest(model=model, inputs=inputs, id=new_id())
        reply = await self.node.ai.run(request)
        if isinstance(reply, Answer):
            return reply.value
        return [piece async for piece in reply.pieces]


@pytest.fixture
async def asker(tmp_path: Path) -> AsyncIterator[Asker]:
    recorder = Recorder()
    async with Node(dummies.settings(tmp_path), before=[recorder]) as node:
        yield Asker(node, recorder, tmp_path / "cassettes" / "a.json")


async def test_what_was_recorded_is_answered_without_a_model(asker: Asker) -> None:
    with asker.recorder.using(Cassette(asker.path), "once"):
        value = await asker.run(CHAT, prompt="one two")
        vectors = await asker.run(EMBED, text=["a", "b"])
        pieces = await asker.run(CHAT, prompt="one two", stream=True)
        assert (asker.recorder.recorded, asker.recorder.replayed) == (3, 0)
        assert await asker.run(CHAT, prompt="one two") == value
        assert (asker.recorder.recorded, asker.recorder.replayed) == (3, 1)
    assert isinstance(vectors["data"], np.ndarray)
    assert len(pieces) > 2

    cassette = Cassette(asker.path)
    assert len(cassette) == 3
    await asker.node.inference.close()  # no model can be asked any more
    with asker.recorder.using(cassette, "none"):
        assert await asker.run(CHAT, prompt="one two") == value
        again = await asker.run(EMBED, text=["a", "b"])
        assert again["data"].dtype == vectors["data"].dtype
        assert (again["data"] == vectors["data"]).all()
        assert again["shape"] == vectors["shape"]
        assert await asker.run(CHAT, prompt="one two", stream=True) == pieces
        assert asker.recorder.replayed == 3


async def test_a_missing_recording_says_what_to_do(asker: Asker) -> None:
    with (
        asker.recorder.using(Cassette(asker.path), "none"),
        pytest.raises(InternalError, match=r"a\.json has no recording .*--skerry-record=once"),
    ):
        await asker.run(CHAT, prompt="never asked")
    assert "never asked" in asker.recorder.missing[0]
    assert not asker.path.exists()


async def test_all_asks_anew_and_keeps_the_rest(asker: Asker) -> None:
    with asker.recorder.using(Cassette(asker.path), "once"):
        await asker.run(CHAT, prompt="kept")
        await asker.run(CHAT, prompt="asked again")
    text = asker.path.read_text().replace("asked again", "changed by hand")
    asker.path.write_text(text)
    with asker.recorder.using(Cassette(asker.path), "once"):
        assert "by hand" in (await asker.run(CHAT, prompt="asked again"))["response"]
    with asker.recorder.using(Cassette(asker.path), "all"):
        assert "by hand" not in (await asker.run(CHAT, prompt="asked again"))["response"]
    assert len(Cassette(asker.path)) == 2
    assert "by hand" not in asker.path.read_text()


async def test_errors_are_replayed_but_not_those_that_pass(asker: Asker) -> None:
    for mode in ONCE_THEN_NONE:
        with asker.recorder.using(Cassette(asker.path), mode):
            with pytest.raises(NoSuchModel, match="Model not found"):
                await asker.run("@cf/no/such", prompt="x")
            with pytest.raises(InvalidInput):
                await asker.run(CHAT, prompt=1)
    with asker.recorder.using(Cassette(asker.path), "once"):
        await asker.node.inference.close()
        with pytest.raises(Exception, match="stopping"):
            await asker.run(CHAT, prompt="too late")
        assert asker.recorder.recorded == 0


async def test_a_stream_that_is_left_is_not_recorded(asker: Asker) -> None:
    with asker.recorder.using(Cassette(asker.path), "once"):
        request = InferenceRequest(
            model=CHAT, inputs={"prompt": "a b c d e", "stream": True}, id=new_id()
        )
        reply = await asker.node.ai.run(request)
        assert isinstance(reply, AnswerStream)
        async with aclosing(reply.pieces) as pieces:  # type: ignore[type-var]
            await anext(pieces)
        assert asker.recorder.recorded == 0
    assert not asker.path.exists()


async def test_a_standin_is_told_when_replayed(tmp_path: Path) -> None:
    recorder = Recorder()
    path = tmp_path / "a.json"
    asked = "@cf/baai/bge-small-en-v1.5"
    async with Node(dummies.settings(tmp_path, standins=True), before=[recorder]) as node:
        for mode in ONCE_THEN_NONE:
            with recorder.using(Cassette(path), mode):
                request = InferenceRequest(model=asked, inputs={"text": "x"}, id=new_id())
                reply = await node.ai.run(request)
                assert (reply.model, reply.standin_for) == (EMBED, asked)


async def test_without_a_cassette_nothing_is_kept(asker: Asker) -> None:
    await asker.run(CHAT, prompt="x")
    with asker.recorder.using(Cassette(asker.path), "none"):
        pass
    assert not asker.path.exists()


async def test_bytes_are_kept_as_they_are(tmp_path: Path) -> None:
    recorder = Recorder()
    asked = []

    async def speak(flight: Flight) -> Answer:
        asked.append(flight.request.model)
        return Answer(value=b"\x00\xff", model="@cf/a/tts", content_type="audio/mpeg")

    for mode in ONCE_THEN_NONE:
        with recorder.using(Cassette(tmp_path / "sound.json"), mode):
            request = InferenceRequest(model="@cf/a/tts", inputs={"prompt": "x"}, id=new_id())
            flight = Flight(request=request, started=0, timestamp=0)
            reply = await recorder(flight, speak)
            assert isinstance(reply, Answer)
            assert (reply.value, reply.content_type) == (b"\x00\xff", "audio/mpeg")
    assert len(asked) == 1


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"skerry_cassette": 2, "recordings": []}', '{"recordings": 1}', "\xff"],
)
def test_a_file_that_is_no_cassette_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "broken.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(SettingsError, match=r"broken\.json.*record anew"):
        Cassette(path)


def test_a_cassette_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    cassette = Cassette(tmp_path / "a.json")
    cassette.save()
    assert json.loads((tmp_path / "a.json").read_text())["recordings"] == []
    assert [each.name for each in tmp_path.iterdir()] == ["a.json"]
