"""What goes wrong at the boundary: bad bodies, bad routes, clients that leave."""

from __future__ import annotations

import asyncio
import io
import json
import struct
import zlib

import pytest

from skerry.errors import AiError, error_table

from .conftest import Rig
from .stub import CHAT, EMBED, IMAGE, OLD, errors_of


@pytest.mark.parametrize("kind", error_table(), ids=lambda kind: kind.__name__)
async def test_every_error_in_the_envelope(rig: Rig, kind: type[AiError]) -> None:
    rig.ai.fail = errors_of(kind)
    async with rig.http.post(f"{rig.base}/run/{CHAT}", json={"prompt": "hi"}) as got:
        assert got.status == kind.status
        assert await got.json() == {
            "errors": [{"message": "AiError: what went wrong", "code": kind.code}],
            "success": False,
            "result": {},
            "messages": [],
        }
        assert got.headers.get("Retry-After") == ("3" if kind.retryable else None)
        assert got.headers["Content-Type"] == "application/json"
        assert got.headers["cf-ai-req-id"] == rig.ai.asked[0].id


def png(width: int, height: int) -> bytes:
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0d" + head + struct.pack(">I", zlib.crc32(head))


@pytest.mark.parametrize(
    ("model", "body", "status", "code"),
    [
        ("@cf/nobody/nothing", b"{}", 400, 5007),
        ("nothing", b"{}", 404, 3042),
        ("%ff", b"{}", 400, 5006),
        (CHAT, b"", 400, 3003),
        (CHAT, b"{", 400, 5006),
        (CHAT, b"null", 400, 5006),
        (CHAT, b"[1]", 400, 5006),
        (CHAT, b'"text"', 400, 5006),
        (CHAT, b"{}", 400, 5006),
        (CHAT, b'{"prompt": 1}', 400, 5006),
        (CHAT, b'{"prompt": "\xff\xfe"}', 400, 5006),
        (CHAT, b'{"prompt": "\\ud800"}', 400, 5006),
        (CHAT, b'{"prompt": "a", "temperature": NaN}', 400, 5006),
        (CHAT, b'{"prompt": "a", "temperature": 1e999}', 400, 5006),
        (CHAT, b'{"prompt": "a", "temprature": 1}', 400, 5006),
        (CHAT, b"[" * 100_000, 400, 5006),
        (CHAT, b'{"a":' * 100_000, 400, 5006),
        (CHAT, json.dumps({"prompt": "a" * 10_000_000}).encode(), 413, 3006),
        (EMBED, b'{"text": []}', 400, 5006),
        (EMBED, json.dumps({"text": ["a"] * 101}).encode(), 400, 5006),
        (IMAGE, b'{"image": "%%%not base64%%%"}', 400, 5004),
        (IMAGE, b'{"image": [1, 2, 999]}', 400, 5004),
        (IMAGE, png(20_000, 20_000), 413, 3006),
        (IMAGE, b"\xff\xd8\xff", 400, 5004),
    ],
    ids=lambda value: repr(value)[:40],
)
async def test_bad_input(rig: Rig, model: str, body: bytes, status: int, code: int) -> None:
    from yarl import URL

    url = URL(f"{rig.base}/run/{model}", encoded=True)
    async with rig.http.post(url, data=io.BytesIO(body)) as got:
        answer = await got.json()
        assert (got.status, answer["errors"][0]["code"]) == (status, code), answer
    assert answer["errors"][0]["message"].startswith("AiError: ")


async def test_no_such_model_says_what_published_code_tests_for(rig: Rig) -> None:
    async with rig.http.post(f"{rig.base}/run/@cf/no/such", json={}) as got:
        message = (await got.json())["errors"][0]["message"]
    assert "No such model" in message
    assert "Model not found" in message


async def test_length_is_refused_before_the_body_is_read(rig: Rig) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
    writer.write(
        f"POST /client/v4/accounts/a/ai/run/{CHAT} HTTP/1.1\r\nHost: x\r\n"
        "Content-Length: 99999999999\r\n\r\n".encode()
    )
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 413 ")
    writer.close()


async def test_chunks_are_counted(rig: Rig) -> None:
    async def endless() -> object:
        for _ in range(100):
            yield b"x" * (1 << 20)

    async with rig.http.post(f"{rig.base}/run/{CHAT}", data=endless()) as got:
        assert got.status == 413
    assert rig.ai.asked == []


async def test_compressed_bombs_are_counted(rig: Rig) -> None:
    bomb = zlib.compress(b" " * (64 << 20))
    headers = {"Content-Encoding": "deflate"}
    async with rig.http.post(f"{rig.base}/run/{CHAT}", data=bomb, headers=headers) as got:
        assert got.status == 413


@pytest.mark.parametrize(
    ("call", "says"),
    [
        ({}, "model"),
        ({"model": 1, "input": {}}, "model"),
        ({"model": CHAT}, "input"),
        ({"model": CHAT, "input": "hi"}, "input"),
        ({"model": CHAT, "input": {"prompt": "a"}, "options": 1}, "options"),
        ({"model": CHAT, "input": {"prompt": "a"}, "options": {"rejectIfBusy": 1}}, "rejectIfBusy"),
        ({"model": CHAT, "input": {"prompt": "a"}, "options": {"queueRequest": True}}, "batch"),
    ],
)
async def test_bad_calls_with_the_model_in_the_body(
    rig: Rig, call: dict[str, object], says: str
) -> None:
    async with rig.http.post(f"{rig.base}/run", json=call) as got:
        assert got.status == 400
        assert says in (await got.json())["errors"][0]["message"]


async def test_batches_are_not_there_yet(rig: Rig) -> None:
    url = f"{rig.base}/run/{CHAT}?queueRequest=true"
    async with rig.http.post(url, json={"requests": []}) as got:
        assert got.status == 400
        assert "queueRequest" in (await got.json())["errors"][0]["message"]


async def test_retired_models_are_not_listed(rig: Rig) -> None:
    async with rig.http.get(f"{rig.base}/models/search?per_page=1000") as got:
        names = [each["name"] for each in (await got.json())["result"]]
    assert OLD not in names
    async with rig.http.get(
        f"{rig.base}/models/search?per_page=1000&include_deprecated=true"
    ) as got:
        assert OLD in [each["name"] for each in (await got.json())["result"]]


@pytest.mark.parametrize("query", ["page=0", "page=-1", "page=x", "per_page=1001", "page=٣"])
async def test_bad_pages(rig: Rig, query: str) -> None:
    async with rig.http.get(f"{rig.base}/models/search?{query}") as got:
        assert got.status == 400


async def test_unknown_routes(rig: Rig) -> None:
    async with rig.http.get(f"{rig.url}/client/v4/nothing") as got:
        assert (got.status, (await got.json())["errors"][0]["code"]) == (404, 7003)
    async with rig.http.get(f"{rig.url}/v1/nothing") as got:
        assert (got.status, (await got.json())["error"]["code"]) == (404, "not_found")


async def test_wrong_methods(rig: Rig) -> None:
    async with rig.http.get(f"{rig.base}/run/{CHAT}") as got:
        assert (got.status, (await got.json())["errors"][0]["code"]) == (405, 10405)
        assert got.headers["Allow"] == "OPTIONS, POST"
    async with rig.http.delete(f"{rig.url}/v1/models") as got:
        assert got.status == 405
        assert got.headers["Allow"] == "GET, HEAD, OPTIONS"
    async with rig.http.head(f"{rig.url}/v1/models") as got:
        assert got.status == 200


async def test_foreign_pages_are_refused(rig: Rig) -> None:
    foreign = {"Origin": "https://evil.example"}
    for url in (f"{rig.base}/run/{CHAT}", f"{rig.url}/v1/chat/completions"):
        async with rig.http.post(url, data=b'{"prompt":"hi"}', headers=foreign) as got:
            assert got.status == 403
            assert "Access-Control-Allow-Origin" not in got.headers
    assert rig.ai.asked == []


async def test_pages_of_this_machine_are_answered(rig: Rig) -> None:
    page = {"Origin": "http://localhost:3000"}
    asked = page | {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    url = f"{rig.base}/run/{CHAT}"
    async with rig.http.options(url, headers=asked) as got:
        assert got.status == 204
        assert got.headers["Access-Control-Allow-Headers"] == "authorization,content-type"
        assert "POST" in got.headers["Access-Control-Allow-Methods"]
        assert got.headers["Access-Control-Allow-Origin"] == "http://localhost:3000"
    async with rig.http.post(url, json={"prompt": "hi"}, headers=page) as got:
        assert got.headers["Access-Control-Allow-Origin"] == "http://localhost:3000"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_leaves_cancels_its_run(rig: Rig, stream: bool) -> None:
    rig.ai.hang, rig.ai.pause = not stream, 0.05
    body = json.dumps({"prompt": "word " * 2000, "stream": stream})
    reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
    writer.write(
        f"POST /client/v4/accounts/a/ai/run/{CHAT} HTTP/1.1\r\nHost: x\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
    )
    if stream:
        await reader.readuntil(b"data: ")
    else:
        await asyncio.wait_for(rig.ai.begun.wait(), 10)
    assert not rig.ai.cancelled.is_set()
    writer.transport.abort()
    await asyncio.wait_for(rig.ai.cancelled.wait(), 10)


async def test_health(rig: Rig) -> None:
    from skerry.inference.status import ModelStatus

    async with rig.http.get(f"{rig.url}/healthz") as got:
        assert (got.status, await got.json()) == (200, {"status": "ok"})
    async with rig.http.get(f"{rig.url}/readyz") as got:
        assert got.status == 503
        assert (await got.json())["waiting_for"] == {CHAT: "not loaded"}
    rig.status.models = [ModelStatus(model=CHAT, state="ready")]
    async with rig.http.get(f"{rig.url}/readyz") as got:
        assert got.status == 200
    async with rig.http.get(f"{rig.url}/version") as got:
        assert await got.json() == {"name": "skerry", "version": "1.2.3"}
