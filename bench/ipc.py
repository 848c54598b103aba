"""What the way node -> runner -> node costs: `python bench/ipc.py [--profile]`.

Round trips of one trivial call, and CPU of the node per request with 32 callers. The runner's
task and engine are the stub of tests/inference; no weights.
"""

from __future__ import annotations

import asyncio
import cProfile
import os
import pstats
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PLUGIN = ROOT / "tests" / "inference" / "plugin"
sys.path[:0] = [str(ROOT), str(PLUGIN)]
os.environ["PYTHONPATH"] = str(PLUGIN)

from tests.inference.rig import Bench, entry  # noqa: E402


async def _round_trips(node: Bench, model: Any, count: int) -> list[float]:
    times = []
    for _ in range(count):
        begun = time.perf_counter()
        await node.answer(model, text="four")
        times.append(time.perf_counter() - begun)
    return times


async def _load(node: Bench, model: Any, callers: int, count: int) -> tuple[float, float]:
    """(requests a second, CPU seconds of the node per request)"""

    async def caller() -> None:
        for _ in range(count):
            await node.answer(model, text="four")

    begun, cpu = time.perf_counter(), time.process_time()
    async with asyncio.TaskGroup() as group:
        for _ in range(callers):
            group.create_task(caller())
    done = callers * count
    return done / (time.perf_counter() - begun), (time.process_time() - cpu) / done


async def _main(folder: Path) -> None:
    node = Bench(folder)
    for kind in ("stub-tensor", "stub-call"):
        model = entry(kind, kind)
        begun = time.perf_counter()
        await node.answer(model, text="four")
        cold = time.perf_counter() - begun
        await _round_trips(node, model, 200)
        times = sorted(await _round_trips(node, model, 2000))
        rate, cpu = await _load(node, model, 32, 300)
        print(
            f"{kind}: first answer {cold * 1e3:.0f} ms;"
            f" 1 caller p50 {statistics.median(times) * 1e3:.3f}"
            f" p99 {times[int(len(times) * 0.99)] * 1e3:.3f} ms; 32 callers {rate:.0f}/s,"
            f" node CPU {cpu * 1e6:.0f} us a request"
        )
        if "--profile" in sys.argv:
            profile = cProfile.Profile()
            profile.enable()
            await _load(node, model, 32, 100)
            profile.disable()
            pstats.Stats(profile).sort_stats("tottime").print_stats(18)
    await node.inference.close(0)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        if "--asyncio" in sys.argv:
            asyncio.run(_main(Path(folder)))
        else:
            import uvloop

            uvloop.run(_main(Path(folder)))
