"""Is the node alive, is it ready, what is it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from aiohttp import web

from skerry.api.answers import reply
from skerry.settings import Settings

if TYPE_CHECKING:
    from skerry.api.app import ModelStates


class Health:
    """/healthz, /readyz and /version, for load balancers and service managers."""

    def __init__(self, inference: ModelStates, settings: Settings, version: str) -> None:
        self._inference = inference
        self._settings = settings
        self._version = version

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/healthz", self.live),
            web.get("/readyz", self.ready),
            web.get("/version", self.version),
        ]

    async def live(self, request: web.Request) -> web.Response:
        """200 while the process answers at all."""
        return reply(msgspec.json.encode({"status": "ok"}), {})

    async def ready(self, request: web.Request) -> web.Response:
        """200 once every model of `preload` is resident, else 503 and what is missing."""
        states = {each.model: each.state for each in self._inference.status()}
        missing = {
            name: states.get(name, "not loaded")
            for name in self._settings.preload
            if states.get(name) != "ready"
        }
        body = {"status": "waiting" if missing else "ok", "waiting_for": missing}
        if not missing:
            return reply(msgspec.json.encode(body), {})
        return reply(msgspec.json.encode(body), {"Retry-After": "1"}, 503)

    async def version(self, request: web.Request) -> web.Response:
        """The version of Skerry."""
        return reply(msgspec.json.encode({"name": "skerry", "version": self._version}), {})
