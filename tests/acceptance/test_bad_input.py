"""Every bad input of issue 2 over HTTP, on real models: its code, its way out, and no harm done."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import re
from collections.abc import AsyncIterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
import skimage
from yarl import URL

from skerry.settings import Settings

from .bad_inputs import BAD, BOXES, CHAT, EMBED, LABELS, MODELS, RUN, SENTIMENT, SPEECH, Bad, wav
from .conftest import Served, changed, serving

pytestmark = [
    pytest.mark.models,
    pytest.mark.timeout(300),
    pytest.mark.asyncio(loop_scope="module"),
]
CAT = Path(skimage.__file__).parent / "data" / "chelsea.png"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def node(on_models: Settings) -> AsyncIterator[Served]:
    async with serving(changed(on_models, preload=list(MODELS))) as served:
        yield served


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def unharmed(node: Served) -> AsyncIterator[None]:
    """After all of them: the same runners, and every model still answers right."""
    before = {name: node.status(name).pid for name in MODELS}
    yield
    await every_model_answers(node)
    assert {name: node.status(name).pid for name in MODELS} == before
    assert [node.status(name).restarts for name in MODELS] == [0] * len(MODELS)
    assert [node.status(name).queued + node.status(name).running for name in MODELS] == [0] * 6


async def every_model_answers(node: Served) -> None:
    near, far, same = np.array(
        (await node.run(EMBED, text=["a cat sleeps", "stock prices fell", "a kitten naps"]))["data"]
    )
    assert near @ same > near @ far + 0.2
    best, other = await node.run(SENTIMENT, text="What a wonderful, moving film!")
    by_label = {best["label"]: best["score"], other["label"]: other["score"]}
    assert by_label["POSITIVE"] > 0.9
    said = await node.run(CHAT, prompt="Name the capital of Italy.", max_tokens=24, seed=1,
                          temperature=0)  # fmt: skip
    assert "Rome" in said["response"]
    coded = base64.b64encode(CAT.read_bytes()).decode()
    assert "cat" in str((await node.run(LABELS, image=coded))[:3])
    assert "cat" in {each["label"] for each in await node.run(BOXES, image=coded)}
    sound = wav((np.sin(np.arange(16_000) / 20) * 9000).astype("<i2").tobytes())
    assert "text" in await node.run(SPEECH, audio=base64.b64encode(sound).decode())


def told(answer: Any) -> tuple[int, str]:
    """The code and the message, in either dialect."""
    if "error" in answer:
        return answer["error"]["cloudflare_code"], answer["error"]["message"]
    assert (answer["success"], answer["result"], answer["messages"]) == (False, {}, [])
    [error] = answer["errors"]
    assert error["message"].startswith("AiError: ")
    return error["code"], error["message"]


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name)
async def test_bad_input(node: Served, bad: Bad) -> None:
    headers = {"Content-Type": bad.label} if bad.label else {}
    url = URL(node.url + bad.path, encoded=True)
    body = await asyncio.to_thread(bad.body)
    status, answer = await asyncio.to_thread(post, url, body, headers)
    code, message = told(answer)
    assert (status, code) == (bad.status, bad.code), message
    assert re.search(bad.says, message, re.DOTALL), message
    assert len(message) < 700, "a caller's own text is not sent back whole"


def post(url: URL, body: bytes, headers: dict[str, str]) -> tuple[int, Any]:
    """With a client that still reads the answer where the node refuses a body unread."""
    link = HTTPConnection(str(url.host), url.port, timeout=60)
    try:
        link.putrequest("POST", url.raw_path_qs)
        for name, value in (headers | {"Content-Length": str(len(body))}).items():
            link.putheader(name, value)
        try:
            link.endheaders(body)
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused before all of it was read
        got = link.getresponse()
        assert got.headers["Content-Type"] == "application/json"
        return got.status, json.loads(got.read())
    finally:
        link.close()


async def test_unknown_fields_of_openai_clients_are_let_pass(node: Served) -> None:
    """Published clients send many that no model reads; the OpenAI API ignores what it knows not."""
    body = {"model": EMBED, "input": "x", "user": "me", "no_such_field": [1]}
    async with node.http.post(f"{node.url}/v1/embeddings", json=body) as got:
        assert got.status == 200


@pytest.mark.parametrize("label", ["text/plain", "application/x-www-form-urlencoded", "", "x/y"])
async def test_json_under_another_label_is_read(node: Served, label: str) -> None:
    """curl -d says form-urlencoded, fetch says text/plain."""
    url = node.url + RUN + EMBED
    async with node.http.post(url, data=b'{"text":"x"}', headers={"Content-Type": label}) as got:
        assert got.status == 200


@pytest.mark.parametrize("form", ["list", "object", "base64", "data URL", "raw"])
async def test_the_same_image_in_every_form(node: Served, form: str) -> None:
    """A picture past the size from which the node decodes it in a thread."""
    cat = CAT.read_bytes()
    coded = base64.b64encode(cat).decode()
    forms: dict[str, Any] = {
        "list": list(cat),
        "object": {str(at): byte for at, byte in enumerate(cat)},
        "base64": coded,
        "data URL": f"data:image/png;base64,{coded}",
    }
    data = cat if form == "raw" else json.dumps({"image": forms[form]}).encode()
    label = "image/png" if form == "raw" else "application/json"
    async with node.http.post(
        node.url + RUN + LABELS, data=io.BytesIO(data), headers={"Content-Type": label}
    ) as got:
        answer = await got.json()
    assert "cat" in answer["result"][0]["label"], answer
    whole = json.dumps({"model": LABELS, "input": {"image": forms.get(form, coded)}}).encode()
    async with node.http.post(node.url + RUN[:-1], data=io.BytesIO(whole)) as got:
        assert (await got.json())["result"] == answer["result"]
