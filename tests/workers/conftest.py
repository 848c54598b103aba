"""What the tests of workers share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from skerry.workers.toolchain import Toolchain

from .rig import WorkerRig


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
