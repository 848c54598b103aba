"""The paths that are not the worker's: the node's own API, and the test of a cron handler."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from _skerry.client import Client
from _skerry.messages import Request, Response
from _skerry.outbound import pass_on
from _skerry.server import Connection

if TYPE_CHECKING:
    from _skerry.app import App

SCHEDULED = "/cdn-cgi/handler/scheduled"
TEST_SCHEDULED = "/__scheduled"


class Special:
    """Passes such a request on to the node, or delivers a cron event."""

    def __init__(self, app: App, plan: dict[str, Any]) -> None:
        self._app = app
        self._pattern = re.compile(plan["reserved"])
        self._test = bool(plan["test_scheduled"])
        self._event = float(plan["event"])
        self._api = Client(plan["api"]) if plan["api"] else None

    def takes(self, url: str) -> bool:
        return self._pattern.search(url) is not None

    async def answer(self, connection: Connection, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.path == SCHEDULED or (parts.path == TEST_SCHEDULED and self._test):
            response = await self._scheduled(parse_qs(parts.query))
        elif self._api is None:
            response = Response("Not Found", status=404)
        else:
            try:
                response = await pass_on(self._api, request)
            except OSError as error:
                response = Response(f"the node does not answer: {error}", status=502)
        await self._app.send(connection, response)

    async def _scheduled(self, query: dict[str, list[str]]) -> Response:
        """As `wrangler dev --test-scheduled`: ?cron=…&time=MILLISECONDS."""
        given = query.get("time", [""])[0]
        moment = int(given) / 1000 if given.isascii() and given.isdigit() else time.time()
        event = {"cron": query.get("cron", [""])[0], "time": moment}
        made = await self._app.event({"scheduled": event})
        if made["outcome"] == "ok":
            return Response("Ran scheduled event")
        return Response("error code: 1101", status=500)
