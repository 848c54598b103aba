"""A helper that puts keys into the KV store itself, many at a time; see serving.Helper."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

from bench.serving import serve_lines
from skerry.storage.open import Stores

VALUE = b"value " * 20


async def _rate(folder: Path, seconds: float, clients: int) -> dict[str, Any]:
    stores = Stores(folder)
    kv = stores.kv("local", "rate")
    count = 0
    until = time.perf_counter() + seconds

    async def client() -> None:
        nonlocal count
        while time.perf_counter() < until:
            await kv.put(uuid4().hex, VALUE)
            count += 1

    begun = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    took = time.perf_counter() - begun
    await stores.close()
    return {"rate": count / took}


if __name__ == "__main__":
    where = Path(sys.argv[1])
    serve_lines(lambda asked: asyncio.run(_rate(where, asked["seconds"], asked["clients"])), {})
