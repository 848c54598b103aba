"""`env.ASSETS` over HTTP: whole bodies from real sockets, under either event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import uvloop
from aiohttp import web

from skerry.api.bindings.assets import AssetsFace
from skerry.api.bindings.base import BINDING_HEADER, bindings_app
from skerry.workers.assets import StaticSite
from skerry.workers.project import Assets

LARGE = bytes(range(256)) * 8192
"""2 MiB: more than one piece, and more than a socket takes at once."""

Ask = Callable[..., Coroutine[Any, Any, tuple[int, dict[str, str], bytes]]]


async def with_face(root: Path, talk: Callable[[Ask], Coroutine[Any, Any, None]]) -> None:
    """Serves the folder on a unix socket as a worker's bindings are, and talks to it."""
    face = AssetsFace(StaticSite(Assets(directory=root / "site", binding="ASSETS")))
    runner = web.AppRunner(bindings_app({"ASSETS": face}, 1024))
    await runner.setup()
    await web.UnixSite(runner, str(root / "socket")).start()
    connector = aiohttp.UnixConnector(str(root / "socket"))
    async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:

        async def ask(
            path: str, method: str = "GET", **headers: str
        ) -> tuple[int, dict[str, str], bytes]:
            async with session.request(
                method,
                f"http://assets.local{path}",
                headers={BINDING_HEADER: "ASSETS", **headers},
                allow_redirects=False,
            ) as response:
                found = {name.lower(): value for name, value in response.headers.items()}
                return response.status, found, await response.read()

        try:
            await talk(ask)
        finally:
            await runner.cleanup()


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Coroutine[Any, Any, None]], None]:
    def go(work: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(asyncio.wait_for(work, 30))

    return go


@pytest.fixture
def root(tmp_path: Path) -> Path:
    site = tmp_path / "site"
    site.mkdir()
    (site / "large.bin").write_bytes(LARGE)
    (site / "page.html").write_text("<p>page")
    (site / "empty.txt").write_text("")
    (site / "_headers").write_text("/*\n X-From: file\n Content-Length: 3\n")
    return tmp_path


def test_files_come_whole(run: Callable[..., None], root: Path) -> None:
    async def talk(ask: Ask) -> None:
        for _ in range(2):  # the second time on the same connection
            status, headers, body = await ask("/large.bin")
            assert (status, headers["x-from"]) == (200, "file")
            assert body == LARGE
        status, headers, body = await ask("/empty.txt")
        assert (status, body, headers["content-length"]) == (200, b"", "0")
        status, headers, body = await ask("/page?x=1")
        assert (status, body) == (200, b"<p>page")
        assert headers["content-type"] == "text/html; charset=utf-8"
        etag = headers["etag"]
        status, headers, body = await ask("/page", **{"If-None-Match": etag})
        assert (status, body, headers["etag"]) == (304, b"", etag)
        status, headers, body = await ask("/large.bin", "HEAD")
        assert (status, body, headers["content-length"]) == (200, b"", str(len(LARGE)))
        status, headers, body = await ask("/page.html?x=1")
        assert (status, headers["location"], body) == (307, "/page?x=1", b"")
        assert (await ask("/none"))[0] == 404
        assert (await ask("/%2e%2e/socket"))[0] == 404
        assert (await ask("/page", "DELETE"))[0] == 405

    run(with_face(root, talk))


def test_many_at_once(run: Callable[..., None], root: Path) -> None:
    async def talk(ask: Ask) -> None:
        answers = await asyncio.gather(*(ask("/large.bin") for _ in range(8)))
        assert all(body == LARGE for _, _, body in answers)

    run(with_face(root, talk))


def test_a_file_that_is_cut_while_it_is_sent_ends_the_connection(
    run: Callable[..., None], root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = len(LARGE)

    def opened(path: Path) -> tuple[Any, int]:
        source = path.open("rb")
        (root / "site" / "large.bin").write_bytes(LARGE[: size // 2])
        return source, size

    monkeypatch.setattr("skerry.api.bindings.assets._open", opened)

    async def talk(ask: Ask) -> None:
        with pytest.raises(aiohttp.ClientError):
            await ask("/large.bin")

    run(with_face(root, talk))
