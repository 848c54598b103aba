"""R2 and the Cache API, used by a real worker on workerd."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from pathlib import Path

from skerry.workers import bindings as kinds

from .rig import WorkerRig

SOURCE = Path(__file__).with_name("r2_and_cache.js").read_text()


async def test_r2_and_the_cache(run: Callable[..., Awaitable[WorkerRig]]) -> None:
    rig = await run(
        SOURCE,
        file="index.js",
        bindings=[kinds.R2Binding(name="R2", bucket="bucket")],
        compatibility_date="2026-01-01",
    )
    routes = re.findall(r"^  async (\w+)\(", SOURCE, re.MULTILINE)
    assert "cache" in routes
    for route in routes:
        if route != "fetch":
            assert await rig.get(f"/{route}") == (200, "ok"), route
