"""Sending events to clients that go away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from skerry.api.errors import cloudflare_form
from skerry.api.sse import send


class Source:
    """A run's pieces, which notes that it was closed."""

    def __init__(self) -> None:
        self.closed = asyncio.Event()

    def __aiter__(self) -> Source:
        return self

    async def __anext__(self) -> dict[str, Any]:
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self.closed.set()


async def test_a_client_that_has_gone_is_no_fault(caplog: pytest.LogCaptureFixture) -> None:
    """The write that meets a closed connection ends the run; nothing is logged as an error."""
    source = Source()

    async def handle(request: web.Request) -> web.StreamResponse:
        async def events() -> AsyncIterator[bytes]:
            yield b"data: 1\n\n"
            assert request.transport is not None
            request.transport.close()
            yield b"data: 2\n\n"

        return await send(request, events(), [source], {}, cloudflare_form, 10)

    app = web.Application()
    app.router.add_get("/", handle)
    runner = web.AppRunner(app, handler_cancellation=False)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
        async with aiohttp.ClientSession() as http, http.get(url) as got:
            with pytest.raises(aiohttp.ClientPayloadError):
                await got.read()
        await asyncio.wait_for(source.closed.wait(), 5)
        await asyncio.sleep(0)
    finally:
        await runner.cleanup()
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
