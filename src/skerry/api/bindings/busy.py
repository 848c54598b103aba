"""Whether a request of this worker waits at the node: how the entry module tells slow from hung."""

from __future__ import annotations

from aiohttp import web

from skerry.api.bindings.base import BindingFace


class BusyFace(BindingFace):
    """200 while another binding of the same worker is at work, else 204."""

    def __init__(self) -> None:
        self._count = 0

    def watching(self, face: BindingFace) -> BindingFace:
        """`face`, with its requests counted."""
        return _Counted(self, face)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        return web.Response(status=200 if self._count else 204)

    def add(self, step: int) -> None:
        """One more, or one less."""
        self._count += step


class _Counted(BindingFace):
    def __init__(self, busy: BusyFace, face: BindingFace) -> None:
        self._busy = busy
        self._face = face

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self._busy.add(1)
        try:
            return await self._face.handle(request)
        finally:
            self._busy.add(-1)
