"""The file under every store: group commit, its failures, several processes."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import apsw
import pytest

from skerry.errors import StorageError
from skerry.storage.failures import StorageBroken, StorageBusy, StorageClosed, StorageFull
from skerry.storage.sqlite import Database

SCHEMA = ["CREATE TABLE t(k TEXT PRIMARY KEY, v BLOB)"]


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    made = Database(tmp_path / "deep" / "er" / "x.sqlite", SCHEMA, wait=1.0)
    yield made
    await made.close()


def insert(connection: apsw.Connection, key: str, value: object = b"v") -> int:
    connection.execute("INSERT INTO t VALUES (?, ?)", (key, value))
    return connection.last_insert_rowid()


def keys(connection: apsw.Connection) -> list[str]:
    return [row[0] for row in connection.execute("SELECT k FROM t ORDER BY k")]


async def test_writes_that_come_together_share_a_commit(database: Database) -> None:
    commits = 0

    def count() -> bool:
        nonlocal commits
        commits += 1
        return False

    await database.write(lambda connection: connection.set_commit_hook(count))
    commits = 0
    names = [f"{number:03}" for number in range(200)]
    await asyncio.gather(*(database.write(lambda c, n=n: insert(c, n)) for n in names))  # type: ignore[misc]
    assert await database.read(keys) == names
    assert commits < 20


async def test_one_that_fails_undoes_only_itself(database: Database) -> None:
    def bad(connection: apsw.Connection) -> None:
        insert(connection, "half")
        raise ValueError("no more")

    results = await asyncio.gather(
        database.write(lambda c: insert(c, "a")),
        database.write(bad),
        database.write(lambda c: insert(c, "b")),
        return_exceptions=True,
    )
    assert isinstance(results[1], ValueError)
    assert await database.read(keys) == ["a", "b"]


async def test_a_reader_cannot_write_and_sees_one_state(database: Database) -> None:
    await database.write(lambda c: insert(c, "a"))
    with pytest.raises(StorageBroken, match="readonly"):
        await database.read(lambda c: insert(c, "b"))
    assert await database.read(keys) == ["a"]


async def test_closed_is_closed(database: Database) -> None:
    waiting = [asyncio.ensure_future(database.write(lambda c: insert(c, "a")))]
    await asyncio.sleep(0)
    await database.close()
    await database.close()
    await asyncio.gather(*waiting)  # what was accepted was done
    for ask in (database.write, database.read):
        with pytest.raises(StorageClosed):
            await ask(keys)


async def test_a_cancelled_caller_harms_nobody(database: Database) -> None:
    first = asyncio.ensure_future(database.write(lambda c: insert(c, "a")))
    second = asyncio.ensure_future(database.write(lambda c: insert(c, "b")))
    await asyncio.sleep(0)
    first.cancel()
    await second
    with pytest.raises(asyncio.CancelledError):
        await first
    assert "b" in await database.read(keys)


async def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    path.write_bytes(b"not a database at all" * 100)
    database = Database(path, SCHEMA)
    with pytest.raises(StorageBroken, match="damaged"):
        await database.write(keys)
    with pytest.raises(StorageBroken, match="damaged"):
        await database.read(keys)
    await database.close()
    assert path.read_bytes() == b"not a database at all" * 100


async def test_a_newer_file_is_left_alone(tmp_path: Path) -> None:
    newer = Database(tmp_path / "x.sqlite", [*SCHEMA, "CREATE TABLE u(x)"])
    await newer.write(lambda c: insert(c, "a"))
    await newer.close()
    older = Database(tmp_path / "x.sqlite", SCHEMA)
    with pytest.raises(StorageError, match="newer version"):
        await older.read(keys)
    await older.close()
    again = Database(tmp_path / "x.sqlite", [*SCHEMA, "CREATE TABLE u(x)", "DROP TABLE u"])
    assert await again.read(keys) == ["a"]
    await again.close()


async def test_a_full_file_fails_what_does_not_fit_and_keeps_the_rest(database: Database) -> None:
    """max_page_count is SQLite's own full disk: the same code path as ENOSPC."""
    await database.write(lambda c: c.execute("PRAGMA max_page_count=200").fetchall())
    results = await asyncio.gather(
        database.write(lambda c: insert(c, "a")),
        database.write(lambda c: insert(c, "big", b"x" * 4_000_000)),
        database.write(lambda c: insert(c, "b")),
        return_exceptions=True,
    )
    assert isinstance(results[1], StorageFull)
    assert [type(each) for each in results[::2]] == [int, int]
    assert await database.read(keys) == ["a", "b"]
    assert await database.read(lambda c: c.pragma("integrity_check")) == "ok"


async def test_another_process_in_a_transaction_is_waited_for(database: Database) -> None:
    await database.write(keys)
    other = apsw.Connection(str(database.path))
    other.execute("BEGIN IMMEDIATE; INSERT INTO t VALUES ('other', 'x')")
    waiting = asyncio.ensure_future(database.write(lambda c: insert(c, "mine")))
    done, _ = await asyncio.wait([waiting], timeout=0.2)
    assert not done
    other.execute("COMMIT")
    await waiting
    assert await database.read(keys) == ["mine", "other"]
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageBusy, match="held by another process"):
        await database.write(lambda c: insert(c, "late"))
    other.execute("ROLLBACK")
    other.close()
    await database.write(lambda c: insert(c, "after"))


WRITER = """
import asyncio, sys
from pathlib import Path
from skerry.storage.sqlite import Database

async def main():
    database = Database(Path(sys.argv[1]), ["CREATE TABLE t(k TEXT PRIMARY KEY, v BLOB)"])
    def put(key):
        return lambda c: c.execute("INSERT INTO t VALUES (?, 1)", (key,)).fetchall()
    for round in range(20):
        keys = [f"{sys.argv[2]}-{round}-{n}" for n in range(5)]
        await asyncio.gather(*(database.write(put(key)) for key in keys))
    await database.close()

asyncio.run(main())
"""


async def test_processes_write_at_once_from_the_first_moment(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    children = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", WRITER, str(path), str(number))
        for number in range(4)
    ]
    assert [await child.wait() for child in children] == [0] * 4
    database = Database(path, SCHEMA)
    assert len(await database.read(keys)) == 400
    await database.close()


async def test_a_file_can_be_first_opened_for_reading_while_a_write_takes_long(
    database: Database, tmp_path: Path
) -> None:
    """The reader finds no tables yet and must not wait for the write, only for the tables."""
    free, started = threading.Event(), threading.Event()

    def busy(connection: apsw.Connection) -> None:
        started.set()
        free.wait(20)

    reading = asyncio.ensure_future(database.read(keys))
    writing = asyncio.ensure_future(database.write(busy))
    await asyncio.to_thread(started.wait, 20)
    assert await reading == []
    free.set()
    await writing
