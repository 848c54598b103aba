"""What the tests of workers share: workerd and esbuild, fetched once for this user."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from skerry.workers.toolchain import Toolchain

from .rig import WorkerRig


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


@pytest.fixture
async def run(tools: Toolchain, tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    """`await run(source, **project)`: a worker that runs; stopped with the test."""
    rigs: list[WorkerRig] = []

    async def start(source: str, **fields: Any) -> WorkerRig:
        rig = WorkerRig(tmp_path / f"w{len(rigs)}", tools, source, **fields)
        rigs.append(rig)
        await rig.start()
        return rig

    yield start
    for rig in rigs:
        await rig.stop()
