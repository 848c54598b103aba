"""kill -9 at random moments, two processes at once: what was acknowledged is there."""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path

from skerry.storage.open import Stores

ROUNDS = 12
WRITER = str(Path(__file__).with_name("acknowledger.py"))


async def killed(folder: Path, name: str, after: int) -> list[str]:
    """Run a writer until it has acknowledged `after` writes or so; all that it said."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, WRITER, str(folder), name, stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout
    said: list[str] = []
    while len(said) <= after:
        line = await child.stdout.readline()
        assert line, "the writer ended by itself"
        said.append(line.decode())
    child.kill()
    said += (await child.stdout.read()).decode().splitlines(keepends=True)
    await child.wait()
    return [line.strip() for line in said if line.endswith("\n") and line != "ready\n"]


async def test_every_acknowledged_write_survives_kill_9(tmp_path: Path) -> None:
    chance = random.Random(7)
    said: list[str] = []
    for round_ in range(ROUNDS // 2):
        both = await asyncio.gather(
            *(killed(tmp_path, f"{round_}{name}", chance.randrange(0, 120)) for name in "xy")
        )
        said += [line for each in both for line in each]
    puts = [line[3:] for line in said if line.startswith("kv ")]
    commits = [line[3:] for line in said if line.startswith("d1 ")]
    assert puts
    assert commits
    stores = Stores(tmp_path)
    try:
        kv, d1 = stores.kv("local", "ns"), stores.d1("local", "db")
        for key in puts:
            entry = await kv.get(key)
            assert entry is not None, key
            assert entry.value == key.encode() * 20
        answer = await d1.script("SELECT k FROM t")
        there = {row[0] for row in answer.results[0].rows}
        assert {key + end for key in commits for end in "ab"} <= there
        assert {key[:-1] for key in there if key.endswith("a")} == {
            key[:-1] for key in there if key.endswith("b")
        }
        assert (await d1.script("PRAGMA quick_check")).results[0].rows == [["ok"]]
        await kv.put("after", b"all")
    finally:
        await stores.close()
