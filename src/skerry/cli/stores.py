"""What the commands on stores share: the account, and the stores of a data directory.

They open the files themselves: a running node sees what they write, and needs not run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

if TYPE_CHECKING:
    from skerry.settings import Settings
    from skerry.storage.open import Stores
    from skerry.workers.project import Project

T = TypeVar("T")

Account = Annotated[str, typer.Option(help="The account whose stores are meant.")]
LOCAL = "local"


def project_here() -> Project | None:
    """The project of this folder, whose names a command may use. Raises ProjectError."""
    from skerry.workers.project import load_project
    from skerry.workers.wrangler.load import NAMES

    folder = Path.cwd()
    there = any((folder / name).is_file() for name in NAMES)
    return load_project(folder) if there else None


def with_stores(settings: Settings, work: Callable[[Stores], Awaitable[T]]) -> T:
    """`work(stores)` in an event loop of its own; the stores are closed at its end."""

    async def run() -> T:
        from skerry.storage.open import Stores

        stores = Stores(settings.data_dir.expanduser(), cache_bytes=settings.cache_size)
        try:
            return await work(stores)
        finally:
            await stores.close()

    return asyncio.run(run())
