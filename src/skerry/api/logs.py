"""What the node's workers say, as it happens: the stream behind `skerry tail`."""

from __future__ import annotations

import asyncio

import msgspec
from aiohttp import web

from skerry.api.errors import cloudflare_form
from skerry.api.guard import guarded
from skerry.workers.logs import LogHub

PATH = "/client/v4/accounts/{account}/workers/logs"
BEAT = 15.0
"""Seconds of silence after which a comment shows that the stream is alive."""


class LogsFace:
    """GET workers/logs: server-sent events, one LogEvent each."""

    def __init__(self, logs: LogHub) -> None:
        self._logs = logs

    def routes(self) -> list[web.RouteDef]:
        return [web.get(PATH, guarded(self.follow, cloudflare_form))]

    async def follow(self, request: web.Request) -> web.StreamResponse:
        """Events of all workers, or of ?worker=NAME; ?recent=N first tells the last N."""
        worker = request.query.get("worker") or None
        recent = request.query.get("recent", "0")
        count = min(int(recent), 200) if recent.isascii() and recent.isdigit() else 0
        response = web.StreamResponse(
            headers={
                "Content-Type": "text/event-stream",
                "Cache-Control": "no-cache",
                "X-Accel-Buffering": "no",
            }
        )
        await response.prepare(request)
        await response.write(b": the node's workers\n\n")
        with self._logs.subscribe() as subscription:
            past = [each for each in self._logs.recent() if worker in (None, each.worker)]
            for told in past[len(past) - count :]:
                await response.write(_data(told))
            while True:
                try:
                    event = await asyncio.wait_for(subscription.get(), BEAT)
                except TimeoutError:
                    await response.write(b": still here\n\n")
                    continue
                if event is None:
                    break
                if worker in (None, event.worker):
                    await response.write(_data(event))
        await response.write_eof()
        return response


def _data(event: object) -> bytes:
    return b"data: " + msgspec.json.encode(event) + b"\n\n"
