"""A project's static files for public requests: asked before the worker is."""

from __future__ import annotations

import asyncio

from aiohttp import web

from skerry.api.bindings.assets import asked, send
from skerry.api.bindings.base import BindingFace
from skerry.workers.assets import StaticSite

TO_WORKER = "x-skerry-to-worker"
"""Header of the answer that means: no file, ask the worker."""


class PublicAssetsFace(BindingFace):
    """Answers with the file, or tells the worker's host to ask the worker."""

    def __init__(self, site: StaticSite) -> None:
        self._site = site

    async def handle(self, request: web.Request) -> web.StreamResponse:
        answer = await asyncio.to_thread(self._site.public, asked(request))
        if answer is None:
            return web.Response(status=204, headers={TO_WORKER: "1"})
        return await send(request, answer)
