"""What several rooms' tests share: the store with real weights."""

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
