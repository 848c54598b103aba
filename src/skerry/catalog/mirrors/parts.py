"""A file that is the concatenation of several mirrors' files, or a member of such a zip."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from skerry.catalog.blocking import Stop, run_blocking
from skerry.catalog.entry import Parts
from skerry.catalog.failures import first_error
from skerry.catalog.files import full_disk, pour
from skerry.catalog.mirrors.base import Fetch
from skerry.catalog.mirrors.pypi import take
from skerry.catalog.workspace import At
from skerry.errors import ArtifactError

PARALLEL = 3
"""Parts fetched at once."""

FetchOne = Callable[[str, Fetch], Awaitable[None]]


async def fetch_parts(mirror: Parts, want: Fetch, fetch: FetchOne) -> None:
    """Fetch the parts, join them, and take the member where one is named."""
    joined = "|".join(mirror.parts)

    async def make(path: Path, tell: At) -> None:
        done = dict.fromkeys(mirror.parts, 0)
        slots = asyncio.Semaphore(PARALLEL)

        async def one(part: str) -> Path:
            def at(count: int) -> None:
                done[part] = max(done[part], count)
                tell(sum(done.values()))

            async with slots:
                return await _part(part, want, fetch, at)

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(part)) for part in mirror.parts]
        except* ArtifactError as errors:
            first = first_error(errors)
            raise first from first.__cause__
        parts = [task.result() for task in tasks]
        await run_blocking(lambda stop: _join(parts, path, stop))

    whole = await want.work.once(f"joined:{joined}", make, want.at)
    if mirror.member is not None:
        await take(whole, mirror.member, want)
    else:
        # a link: another artifact may be about to read the same joined file
        await asyncio.to_thread(_link, whole, want.path)


async def _part(part: str, want: Fetch, fetch: FetchOne, at: At) -> Path:
    """One part as a file of the workspace, where a killed pull finds it again."""

    async def make(path: Path, tell: At) -> None:
        one = Fetch(
            path=path, size=None, sha256=None, work=want.work, at=tell, sized=lambda total: None
        )
        await fetch(part, one)

    return await want.work.once(f"part:{part}", make, at)


def _join(parts: Sequence[Path], whole: Path, stop: Stop) -> None:
    with full_disk(whole.name, whole.parent), whole.open("wb") as sink:
        for part in parts:
            with part.open("rb") as source:
                pour(source, sink, stop)


def _link(whole: Path, target: Path) -> None:
    temporary = target.with_name(target.name + ".joined")
    temporary.unlink(missing_ok=True)
    with full_disk(target.name, target.parent):
        try:
            os.link(whole, temporary)
        except OSError:  # no hard links on this file system
            shutil.copyfile(whole, temporary)
        temporary.replace(target)
