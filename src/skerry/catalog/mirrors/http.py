"""Download over HTTP into a file that may hold the first bytes already."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import aiohttp
from yarl import URL

from skerry.catalog.blocking import run_blocking
from skerry.catalog.files import CHUNK, full_disk
from skerry.catalog.mirrors.base import Fetch
from skerry.errors import ArtifactError

REDIRECTS = 10
RETRIES = 3
"""Tries to continue after a connection was cut, as long as each brought bytes."""
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")
_SECRET = {"authorization", "cookie", "proxy-authorization"}

Look = Callable[[Mapping[str, str]], None]
"""Sees the headers of each response of the first host, redirects included."""


async def download(
    url: str,
    want: Fetch,
    *,
    headers: Mapping[str, str] | None = None,
    look: Look | None = None,
    explain: Callable[[int], str | None] | None = None,
) -> None:
    """GET `url` into want.path, continuing behind the bytes that are there (Range).

    Secret headers are sent to the URL's own origin only, never to where it redirects. `explain`
    turns an HTTP status into a sentence. Raises ArtifactError, DiskFull.
    """
    tries = RETRIES
    while True:
        before = await asyncio.to_thread(_length, want.path)
        try:
            await _attempt(url, want, dict(headers or {}), look, explain)
            return
        except (aiohttp.ClientError, TimeoutError) as error:
            tries -= 1
            if tries == 0 or await asyncio.to_thread(_length, want.path) <= before:
                raise ArtifactError(_reason(error)) from error
            await asyncio.sleep(0.2)


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "sent nothing for too long"
    return str(error) or type(error).__name__


def _length(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


async def _attempt(
    url: str,
    want: Fetch,
    headers: dict[str, str],
    look: Look | None,
    explain: Callable[[int], str | None] | None,
) -> None:
    have = await asyncio.to_thread(_length, want.path)
    if want.size is not None and have > want.size:
        await asyncio.to_thread(want.path.unlink)
        have = 0
    if want.size is not None and have == want.size and have:
        return
    origin = URL(url).origin()
    target = URL(url)
    for _ in range(REDIRECTS):
        sent = {k: v for k, v in headers.items() if target.origin() == origin or not _secret(k)}
        if have:
            sent["Range"] = f"bytes={have}-"
        sent["Accept-Encoding"] = "identity"
        async with want.work.session.get(target, headers=sent, allow_redirects=False) as response:
            if look is not None and target.origin() == origin:
                look(response.headers)
            if response.status in {301, 302, 303, 307, 308}:
                target = _next(target, response.headers.get("Location"))
                continue
            if response.status != 416 or not have:
                await _receive(response, want, have, explain)
                return
            # what an earlier try left cannot be continued: from the start
            await asyncio.to_thread(want.path.unlink)
            have = 0
    raise ArtifactError(f"redirects more than {REDIRECTS} times")


def _secret(name: str) -> bool:
    return name.lower() in _SECRET


def _next(target: URL, location: str | None) -> URL:
    if not location:
        raise ArtifactError("redirects to nowhere")
    following = target.join(URL(location))
    if following.scheme not in {"http", "https"} or (
        target.scheme == "https" and following.scheme != "https"
    ):
        raise ArtifactError(f"redirects from {target.scheme} to {following.scheme}")
    return following


async def _receive(
    response: aiohttp.ClientResponse,
    want: Fetch,
    have: int,
    explain: Callable[[int], str | None] | None,
) -> None:
    if response.status not in {200, 206}:
        said = explain(response.status) if explain else None
        raise ArtifactError(said or f"answered HTTP {response.status} {response.reason}")
    start = 0
    length = response.content_length
    if response.status == 206:
        match = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if match is None or int(match[1]) != have:
            raise ArtifactError("sent another range than was asked for")
        start = have
    total = None if length is None else start + length
    if total is not None:
        if want.size is not None and total != want.size:
            raise ArtifactError(f"has {total} bytes where the catalog says {want.size}")
        want.sized(total)
    await _write(response, want, start, total)


async def _write(
    response: aiohttp.ClientResponse, want: Fetch, start: int, total: int | None
) -> None:
    done = start
    pending = bytearray()
    with full_disk(want.path.name, want.path.parent):
        file = await asyncio.to_thread(want.path.open, "r+b" if start else "wb")
    try:

        async def flush() -> None:
            nonlocal pending
            data, pending = pending, bytearray()
            with full_disk(want.path.name, want.path.parent):
                await run_blocking(lambda _: file.write(data))

        try:
            await asyncio.to_thread(file.seek, start)
            async for data in response.content.iter_any():
                pending += data
                done += len(data)
                if want.size is not None and done > want.size:
                    raise ArtifactError(f"sends more than the {want.size} bytes of the catalog")
                if len(pending) >= CHUNK:
                    await flush()
                want.at(done)
        finally:
            if pending:
                await flush()
    finally:
        with full_disk(want.path.name, want.path.parent):
            await asyncio.to_thread(file.close)
    if total is not None and done < total:
        raise aiohttp.ClientPayloadError(f"the connection was cut after {done} of {total} bytes")
