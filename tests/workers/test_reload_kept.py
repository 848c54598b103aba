"""A reload under load: connections are kept, and no request on one of them is lost."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import aiohttp
import pytest

CLIENTS = 8
RELOADS = 4
OBJECT = "export default {{ async fetch(r) {{ await r.text(); return new Response('{0}'); }} }}"
CLASS = """
import {{ WorkerEntrypoint }} from "cloudflare:workers";
export default class extends WorkerEntrypoint {{
  async fetch(r) {{ await r.text(); return new Response('{0}'); }}
}}
"""


@pytest.mark.parametrize("source", [OBJECT, CLASS], ids=["object", "class"])
async def test_busy_connections_lose_nothing(run: Any, source: str) -> None:
    rig = await run(source.format(0))
    over = asyncio.Event()
    answers: Counter[str] = Counter()

    async def client() -> None:
        # A POST is not sent again by the client, whatever becomes of its connection.
        connector = aiohttp.TCPConnector(limit=1)
        async with aiohttp.ClientSession(rig.url, connector=connector) as http:
            while not over.is_set():
                async with http.post("/", data=b"x") as answer:
                    assert answer.status == 200
                    answers[await answer.text()] += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(CLIENTS):
            group.create_task(client())
        for version in range(1, RELOADS + 1):
            before = answers.total()
            while answers.total() < before + 10 * CLIENTS:  # noqa: ASYNC110 (others count)
                await asyncio.sleep(0.01)
            assert await rig.change(source.format(version))
            assert await rig.get("/") == (200, str(version))
        over.set()
    assert set(answers) >= {str(version) for version in range(RELOADS)}


async def test_no_client_can_make_requests_wait(run: Any) -> None:
    rig = await run("export default { fetch: (r) => new Response(new URL(r.url).pathname) }")
    for path in ("/hold", "/skerry:hold", "/?ms=60000"):
        assert (await rig.get(path))[0] == 200
    async with asyncio.timeout(10):
        assert await rig.get("/after") == (200, "/after")
