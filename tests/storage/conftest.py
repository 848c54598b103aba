"""Stores on an empty folder, served over REST, and the clients that ask them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from cloudflare import AsyncCloudflare

from skerry.storage.open import Stores

from .faces import Now, rest


@pytest.fixture
async def stores(tmp_path: Path) -> AsyncIterator[Stores]:
    made = Stores(tmp_path, clock=Now())
    yield made
    await made.close()


@pytest.fixture
async def base(stores: Stores) -> AsyncIterator[str]:
    async with rest(stores) as url:
        yield url


@pytest.fixture
async def cf(base: str) -> AsyncIterator[AsyncCloudflare]:
    async with AsyncCloudflare(api_token="t", base_url=base, max_retries=0) as client:
        yield client


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session
