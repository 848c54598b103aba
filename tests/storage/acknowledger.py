"""Writes to KV and D1 until it is killed, and tells on stdout what was acknowledged."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from skerry.storage.d1.base import D1Statement
from skerry.storage.open import Stores


def say(line: str) -> None:
    """Straight to the pipe: what was said survives this process."""
    os.write(1, line.encode() + b"\n")


async def main(folder: Path, round_: str) -> None:
    stores = Stores(folder)
    kv, d1 = stores.kv("local", "ns"), stores.d1("local", "db")
    await d1.script("CREATE TABLE IF NOT EXISTS t (k TEXT PRIMARY KEY, v)")
    say("ready")

    async def put(worker: int) -> None:
        for number in range(10_000):
            key = f"{round_}-{worker}-{number}"
            if worker % 2:
                await kv.put(key, key.encode() * 20)
                say(f"kv {key}")
            else:
                # Both rows or none.
                insert = "INSERT INTO t VALUES (?, ?)"
                await d1.query([D1Statement(insert, [key + end, "x" * 100]) for end in ("a", "b")])
                say(f"d1 {key}")

    await asyncio.gather(*(put(worker) for worker in range(8)))


asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
