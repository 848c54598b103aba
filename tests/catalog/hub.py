"""A hub on this machine that speaks the real protocol."""

from __future__ import annotations

import asyncio
import hashlib

from aiohttp import web

from skerry.catalog.entry import Artifact, Entry, Parts

TOKEN = "hf_secret"


class FakeHub:
    """GET /{org}/{repo}/resolve/{revision}/{path}: redirects to a second host, which serves bytes
    with Range. Faults are set by the tests."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.gated: set[str] = set()
        self.wrong: set[str] = set()
        self.etag: dict[str, str] = {}
        self.cuts = 0
        """Connections still to be cut in the middle."""
        self.pause = 0.0
        """Seconds between two pieces of 64 KB."""
        self.no_range = False
        self.requests: list[tuple[str, str | None]] = []
        """(path, Range) of each request for bytes."""
        self.cdn_authorization: list[str | None] = []
        self.hub_authorization: list[str | None] = []
        self.asked = asyncio.Event()
        self.url = ""
        self.cdn = ""
        self._runners: list[web.AppRunner] = []

    async def start(self) -> None:
        for route, handler in (
            ("/{org}/{repo}/resolve/{revision}/{path:.+}", self._resolve),
            ("/bytes/{path:.+}", self._bytes),
        ):
            app = web.Application()
            app.router.add_get(route, handler)
            runner = web.AppRunner(app, shutdown_timeout=0.1)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            port = runner.addresses[0][1]
            if self.url:
                self.cdn = f"http://127.0.0.1:{port}"
            else:
                self.url = f"http://127.0.0.1:{port}"
            self._runners.append(runner)

    async def close(self) -> None:
        for runner in self._runners:
            await runner.cleanup()

    async def _resolve(self, request: web.Request) -> web.Response:
        path = request.match_info["path"]
        self.hub_authorization.append(request.headers.get("Authorization"))
        if path in self.gated and request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.Response(status=401, text="gated")
        if path not in self.files:
            return web.Response(status=404, text="Entry not found")
        digest = self.etag.get(path) or hashlib.sha256(self.files[path]).hexdigest()
        headers = {"X-Linked-Etag": f'"{digest}"', "Location": f"{self.cdn}/bytes/{path}"}
        return web.Response(status=302, headers=headers)

    async def _bytes(self, request: web.Request) -> web.StreamResponse:
        path = request.match_info["path"]
        wanted = request.headers.get("Range")
        self.requests.append((path, wanted))
        self.asked.set()
        self.cdn_authorization.append(request.headers.get("Authorization"))
        data = self.files[path]
        if path in self.wrong:
            data = bytes(len(data))
        start = 0
        if wanted and not self.no_range:
            start = int(wanted.removeprefix("bytes=").partition("-")[0])
            if start >= len(data):
                return web.Response(status=416)
        response = web.StreamResponse(status=206 if start else 200)
        if start:
            response.headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        response.content_length = len(data) - start
        await response.prepare(request)
        cut = None
        if self.cuts:
            self.cuts -= 1
            cut = start + (len(data) - start) // 2
        for at in range(start, len(data), 1 << 16):
            if cut is not None and at >= cut:
                assert request.transport is not None
                request.transport.abort()
                return response
            await response.write(data[at : at + (1 << 16)])
            if self.pause:
                await asyncio.sleep(self.pause)
        return response


def entry_of(
    files: dict[str, bytes],
    *,
    mirrors: dict[str, list[str | Parts]] | None = None,
    pinned: bool = True,
    name: str = "@test/model",
) -> Entry:
    """An entry whose artifacts are `files`, on the hub unless `mirrors` says otherwise."""
    artifacts = [
        Artifact(
            name=each,
            sha256=hashlib.sha256(data).hexdigest() if pinned else None,
            size=len(data) if pinned else None,
            mirrors=(mirrors or {}).get(each) or [f"hf:org/repo@main/{each}"],
        )
        for each, data in files.items()
    ]
    return Entry(
        name=name,
        id="x",
        task="text-generation",
        description="t",
        licence="MIT",
        artifacts=artifacts,
    )
