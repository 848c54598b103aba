"""Cloudflare's REST API: ai/run in every form that clients send it."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from skerry.api.sse import _STEP
from skerry.errors import InternalError

from .conftest import Rig
from .stub import CHAT, EMBED, IMAGE, SPEECH

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x02\x00\x00\x00\x02\x08\x02\x00\x00\x00"


@pytest.mark.parametrize(
    "path",
    [EMBED, quote(EMBED, safe="@"), quote(EMBED, safe=""), EMBED.replace("@", "%40")],
)
async def test_model_in_path(rig: Rig, path: str) -> None:
    from yarl import URL

    url = URL(f"{rig.base}/run/{path}", encoded=True)
    async with rig.http.post(url, json={"text": ["a b", "c"]}) as got:
        assert got.status == 200
        assert got.headers["Content-Type"] == "application/json"
        assert got.headers["x-skerry-model"] == EMBED
        assert got.headers["cf-ai-req-id"] == rig.ai.asked[0].id
        assert got.headers["server-timing"] == "queue;dur=1.00, load;dur=0.00, run;dur=2.00"
        assert got.headers["x-skerry-usage"] == "prompt=3, completion=0"
        assert "x-skerry-standin" not in got.headers
        body = await got.json()
    assert body["success"] is True
    assert body["errors"] == body["messages"] == []
    assert body["result"]["shape"] == [2, 4]
    assert body["result"]["data"][0] == [3.0, 0.1, -2.5, 1e-7]
    assert rig.ai.asked[0].account == "acc"


async def test_model_in_body(rig: Rig) -> None:
    call = {"model": CHAT, "input": {"prompt": "hi"}, "options": {"rejectIfBusy": True}}
    async with rig.http.post(f"{rig.base}/run", json=call) as got:
        assert (await got.json())["result"]["response"] == "You said: hi"
    assert rig.ai.asked[0].reject_if_busy is True


async def test_standin_is_told(rig: Rig) -> None:
    rig.ai.standin_for = "@cf/meta/llama-2-7b-chat-int8"
    async with rig.http.post(f"{rig.base}/run/{CHAT}", json={"prompt": "hi"}) as got:
        assert got.headers["x-skerry-standin"] == "@cf/meta/llama-2-7b-chat-int8"
        assert got.headers["x-skerry-model"] == CHAT


async def test_options(rig: Rig) -> None:
    headers = {"x-skerry-timeout": "2.5", "x-skerry-reject-if-busy": "true"}
    url = f"{rig.base}/run/{CHAT}"
    async with rig.http.post(url, json={"prompt": "hi"}, headers=headers):
        pass
    async with rig.http.post(f"{url}?rejectIfBusy=1", json={"prompt": "hi"}):
        pass
    headers = {"x-skerry-timeout": "1e9"}
    async with rig.http.post(url, json={"prompt": "hi"}, headers=headers):
        pass
    assert [(each.timeout, each.reject_if_busy) for each in rig.ai.asked] == [
        (2.5, True),
        (None, True),
        (rig.settings.timeout, False),
    ]
    for bad in ("-1", "0", "nan", "inf", "soon"):
        headers = {"x-skerry-timeout": bad}
        async with rig.http.post(url, json={"prompt": "hi"}, headers=headers) as got:
            assert got.status == 400
            assert "x-skerry-timeout" in (await got.json())["errors"][0]["message"]


@pytest.mark.parametrize("label", ["application/json", "text/plain", "text/plain;charset=UTF-8"])
async def test_labels_of_json(rig: Rig, label: str) -> None:
    for model, value in ((CHAT, {"prompt": "hi"}), (IMAGE, {"image": list(PNG)})):
        async with rig.http.post(
            f"{rig.base}/run/{model}",
            data=json.dumps(value),
            headers={"Content-Type": label},
        ) as got:
            assert got.status == 200, await got.text()
    assert rig.ai.asked[1].inputs["image"] == PNG


@pytest.mark.parametrize(
    "label",
    ["application/octet-stream", "image/png", "application/x-www-form-urlencoded", "text/plain"],
)
async def test_labels_of_raw_bodies(rig: Rig, label: str) -> None:
    async with rig.http.post(
        f"{rig.base}/run/{IMAGE}", data=PNG, headers={"Content-Type": label}
    ) as got:
        assert got.status == 200, await got.text()
        assert (await got.json())["result"] == [{"label": f"{len(PNG)} bytes", "score": 0.5}]


async def test_json_under_curls_label(rig: Rig) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for model, value in ((CHAT, {"prompt": "hi"}), (IMAGE, {"image": list(PNG)})):
        url = f"{rig.base}/run/{model}"
        async with rig.http.post(url, data=json.dumps(value), headers=form) as got:
            assert got.status == 200, await got.text()


async def test_sound_comes_as_bytes(rig: Rig) -> None:
    async with rig.http.post(f"{rig.base}/run/{SPEECH}", json={"prompt": "hi"}) as got:
        assert got.status == 200, await got.text()
        assert got.headers["Content-Type"] == "audio/wav"
        assert await got.read() == b"RIFF\x00\x01sound"
        assert got.headers["x-skerry-model"] == SPEECH


async def test_stream(rig: Rig) -> None:
    call = {"prompt": "one two", "stream": True}
    async with rig.http.post(f"{rig.base}/run/{CHAT}", json=call) as got:
        assert got.headers["Content-Type"] == "text/event-stream"
        assert got.headers["x-skerry-model"] == CHAT
        raw = await got.read()
    events = raw.split(b"\n\n")
    assert events[-2:] == [b"data: [DONE]", b""]
    pieces = [json.loads(event.removeprefix(b"data: ")) for event in events[:-2]]
    assert "".join(piece["response"] for piece in pieces) == "You said: one two"
    assert pieces[-1]["usage"] == {"prompt_tokens": 2, "completion_tokens": 4, "total_tokens": 6}
    assert pieces[-1]["response"] == ""
    assert all(piece["p"] is not None for piece in pieces[:-1])
    assert {len(event) % _STEP for event in events[:-3]} == {len(events[0]) % _STEP}


async def test_error_before_the_first_piece_has_its_status(rig: Rig) -> None:
    rig.ai.fail = InternalError("broken")
    call = {"prompt": "hi", "stream": True}
    async with rig.http.post(f"{rig.base}/run/{CHAT}", json=call) as got:
        assert got.status == 500


async def test_error_in_a_stream_is_its_last_event(rig: Rig) -> None:
    rig.ai.fail_after = InternalError("broken")
    call = {"prompt": "hi there", "stream": True}
    async with rig.http.post(f"{rig.base}/run/{CHAT}", json=call) as got:
        events = (await got.read()).split(b"\n\n")
    assert b"[DONE]" not in b"".join(events)
    name, _, data = events[-2].partition(b"\n")
    assert name == b"event: error"
    assert json.loads(data.removeprefix(b"data: "))["errors"] == [
        {"message": "AiError: broken", "code": 5000}
    ]
