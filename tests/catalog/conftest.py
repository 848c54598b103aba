"""A local hub and stores that use it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from skerry.catalog.mirrors.hf import Hub
from skerry.catalog.mirrors.https import PlainWeb
from skerry.catalog.mirrors.local import LocalFile, PackagedData
from skerry.catalog.store import Store

from .hub import FakeHub


@pytest.fixture
async def hub() -> AsyncIterator[FakeHub]:
    server = FakeHub()
    await server.start()
    yield server
    await server.close()


@pytest.fixture
def make_store(tmp_path: Path, hub: FakeHub) -> Callable[..., Store]:
    """A store in tmp_path/models that knows the local hub."""

    def make(*, token: str | None = None, offline: bool = False, root: str = "models") -> Store:
        mirrors = [Hub(hub.url, token), PlainWeb(), LocalFile(), PackagedData()]
        return Store(tmp_path / root, mirrors, offline=offline)

    return make
