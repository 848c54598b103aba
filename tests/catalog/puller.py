"""A process that pulls and prints its progress: puller.py ROOT HUB ENTRY-JSON [LARGEST-FILE]."""

from __future__ import annotations

import asyncio
import resource
import sys
from pathlib import Path

import msgspec

from skerry.catalog.entry import Entry
from skerry.catalog.mirrors.hf import Hub
from skerry.catalog.progress import Progress
from skerry.catalog.store import Store
from skerry.errors import ArtifactError


async def main() -> int:
    root, hub, raw = sys.argv[1:4]
    if len(sys.argv) > 4:
        limit = int(sys.argv[4])
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    entry = msgspec.json.decode(raw, type=Entry)

    def tell(progress: Progress) -> None:
        print(progress.phase, progress.all_done, flush=True)

    try:
        files = await Store(Path(root), [Hub(hub)]).pull(entry, tell)
    except ArtifactError as error:
        print(type(error).__name__, error, flush=True)
        return 1
    print("pulled", files.directory, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
