"""Many writers of one D1 database, in two processes: they take turns, and none is turned away."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from skerry.storage.open import Stores

CLIENTS = 16
ROUNDS = 12
WRITER = f"""
import asyncio, sys
from pathlib import Path
from skerry.storage.d1.base import D1Statement
from skerry.storage.open import Stores

async def main():
    stores = Stores(Path(sys.argv[1]))
    d1 = stores.d1("local", "db")

    async def client(number):
        for _ in range({ROUNDS}):
            await d1.query([D1Statement("UPDATE total SET n = n + 1")])
            found = await d1.query([
                D1Statement("UPDATE total SET n = n + 1"),
                D1Statement("INSERT INTO log SELECT n FROM total RETURNING n"),
            ])
            assert len(found.results[1].rows) == 1

    await asyncio.gather(*(client(number) for number in range({CLIENTS})))
    await stores.close()

asyncio.run(main())
"""


async def test_writers_of_two_processes_take_turns(tmp_path: Path) -> None:
    stores = Stores(tmp_path)
    try:
        d1 = stores.d1("local", "db")
        await d1.script("CREATE TABLE total (n); INSERT INTO total VALUES (0)")
        await d1.script("CREATE TABLE log (n UNIQUE)")
        children = [
            await asyncio.create_subprocess_exec(
                sys.executable, "-c", WRITER, str(tmp_path), stderr=asyncio.subprocess.PIPE
            )
            for _ in range(2)
        ]
        said = await asyncio.gather(*(child.communicate() for child in children))
        assert [errors.decode() for _, errors in said] == ["", ""]
        answer = await d1.script("SELECT n FROM total; SELECT count(*) FROM log")
        wanted = 2 * CLIENTS * ROUNDS
        assert [each.rows for each in answer.results] == [[[2 * wanted]], [[wanted]]]
    finally:
        await stores.close()
