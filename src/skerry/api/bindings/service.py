"""A service binding: `env.NAME.fetch(request)` to another worker of this node."""

from __future__ import annotations

from collections.abc import Callable

import aiohttp
from aiohttp import web
from yarl import URL

from skerry.api.bindings.base import BindingFace
from skerry.api.bindings.passing import open_client, pass_on

Find = Callable[[str], tuple[str, int] | None]
"""A worker's name -> where it listens; None where it does not run here."""


class Services:
    """The way to the workers of this node."""

    def __init__(self, find: Find) -> None:
        self.find = find
        self._client: aiohttp.ClientSession | None = None

    def client(self) -> aiohttp.ClientSession:
        """The one client for all of them."""
        if self._client is None:
            self._client = open_client(aiohttp.TCPConnector(limit=256))
        return self._client

    async def close(self) -> None:
        """Close the connections that are kept."""
        if self._client is not None:
            await self._client.close()
            self._client = None


class ServiceFace(BindingFace):
    """Passes requests on to a worker, which is looked up by each."""

    def __init__(self, service: str, services: Services) -> None:
        self._service = service
        self._services = services

    async def handle(self, request: web.Request) -> web.StreamResponse:
        found = self._services.find(self._service)
        if found is None:
            return web.Response(
                status=503,
                text=f"the worker {self._service!r} does not run on this node; start it beside this"
                " one: skerry dev --with ITS_FOLDER",
            )
        host, port = found
        place = f"[{host}]" if ":" in host else host
        try:
            # The Host header goes on as it came: the worker sees the URL that it was asked for.
            url = URL(f"http://{place}:{port}{request.raw_path}", encoded=True)
            return await pass_on(self._services.client(), request, url)
        except ConnectionResetError:
            raise
        except (aiohttp.ClientError, OSError) as error:
            return web.Response(status=502, text=f"{self._service}: {error}")
