"""`env.ASSETS.fetch(request)`: static files over HTTP; the same for public requests."""

from __future__ import annotations

import asyncio
from io import BufferedReader
from pathlib import Path

from aiohttp import web
from multidict import CIMultiDict

from skerry.api.bindings.base import BindingFace
from skerry.workers.assets import AssetAnswer, AssetRequest, StaticSite

CHUNK = 256 * 1024
"""Bytes read at once where the kernel cannot send the file itself."""


class AssetsFace(BindingFace):
    """Answers from one project's assets folder."""

    def __init__(self, site: StaticSite) -> None:
        self._site = site

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """The file, redirect or 404 for the request's path."""
        answer = await asyncio.to_thread(self._site.answer, asked(request))
        return await send(request, answer)


def asked(request: web.Request) -> AssetRequest:
    """The request as the site reads it."""
    host = request.headers.get("Host", "localhost")
    path, _, query = request.raw_path.partition("?")
    if not path.startswith("/"):  # the absolute form: http://host/path
        path = request.rel_url.raw_path
    return AssetRequest(
        method=request.method,
        host=host.rsplit(":", 1)[0] if not host.endswith("]") else host,
        path=path.partition("#")[0] or "/",
        query=query.partition("#")[0],
        headers={name.lower(): value for name, value in request.headers.items()},
    )


async def send(request: web.Request, answer: AssetAnswer) -> web.StreamResponse:
    """Sends an answer of a static site."""
    headers = CIMultiDict(answer.headers)
    if answer.path is None:
        return web.Response(status=answer.status, headers=headers)
    try:
        source, size = await asyncio.to_thread(_open, answer.path)
    except OSError:  # it went between the look and the opening
        return web.Response(status=404)
    with source:
        response = web.StreamResponse(status=answer.status, headers=headers)
        response.content_length = size
        await response.prepare(request)
        if size and request.method != "HEAD":
            await _body(request, response, source, size)
        await response.write_eof()
    return response


def _open(path: Path) -> tuple[BufferedReader, int]:
    source = path.open("rb")
    return source, source.seek(0, 2) + source.seek(0)


async def _body(
    request: web.Request, response: web.StreamResponse, source: BufferedReader, size: int
) -> None:
    """Exactly `size` bytes: by the kernel where the loop can ask it to, else in pieces."""
    transport = request.transport
    if transport is None:
        raise ConnectionResetError("the client went away")
    try:
        loop = asyncio.get_running_loop()
        left = size - await loop.sendfile(transport, source, 0, size, fallback=False)
    except (NotImplementedError, asyncio.SendfileNotAvailableError):
        source.seek(0)  # uvloop, or a transport without a socket
        left = await _pieces(response, source, size)
    if left:  # the file was cut: end the connection, the length was promised
        transport.abort()
        raise ConnectionResetError(f"the file ended {left} bytes early")


async def _pieces(response: web.StreamResponse, source: BufferedReader, size: int) -> int:
    """Writes `size` bytes; how many of them the file did not have."""
    while size:
        piece = await asyncio.to_thread(source.read, min(CHUNK, size))
        if not piece:
            break
        await response.write(piece)
        size -= len(piece)
    return size
