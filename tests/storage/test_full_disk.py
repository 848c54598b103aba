"""A disk that is really full: clear errors, nothing lost or damaged, and it goes on afterwards."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import apsw
import pytest

from skerry.storage.d1.base import D1Statement
from skerry.storage.failures import StorageFull
from skerry.storage.open import Stores
from skerry.storage.queues.base import Outgoing

SIZE = "6m"
BALLAST = 2 << 20
VALUE = 60_000
"""Bytes of a write: the disk takes some ten of them."""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few MB with room for little, and a ballast that can be thrown off."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no right to mount a small disk here")
    (folder / "ballast").write_bytes(bytes(BALLAST))
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
async def stores(small_disk: Path) -> AsyncIterator[Stores]:
    made = Stores(small_disk)
    yield made
    await made.close()


class Kv:
    def __init__(self, stores: Stores) -> None:
        self._kv = stores.kv("local", "ns")

    async def write(self, key: str) -> None:
        await self._kv.put(key, key.encode() * (VALUE // len(key)))

    async def keys(self) -> set[str]:
        page = await self._kv.list("", 1000, "")
        for each in page.keys:
            entry = await self._kv.get(each.name)
            assert entry is not None
            assert entry.value == each.name.encode() * (VALUE // len(each.name))
        return {each.name for each in page.keys}


class D1:
    def __init__(self, stores: Stores) -> None:
        self._d1 = stores.d1("local", "db")

    async def write(self, key: str) -> None:
        """One transaction over two tables."""
        await self._d1.query(
            [
                D1Statement("CREATE TABLE IF NOT EXISTS a (k TEXT PRIMARY KEY, v TEXT)"),
                D1Statement("CREATE TABLE IF NOT EXISTS b (k TEXT PRIMARY KEY)"),
                D1Statement("INSERT INTO b VALUES (?)", [key]),
                D1Statement("INSERT INTO a VALUES (?, ?)", [key, "x" * VALUE]),
            ]
        )

    async def keys(self) -> set[str]:
        answer = await self._d1.query(
            [
                D1Statement("SELECT k FROM a WHERE length(v) = ?", [VALUE]),
                D1Statement("SELECT k FROM b"),
            ]
        )
        found, other = ({str(row[0]) for row in each.rows} for each in answer.results)
        assert found == other
        return found


class R2:
    def __init__(self, stores: Stores) -> None:
        self._r2 = stores.r2("local", "bucket")

    async def write(self, key: str) -> None:
        await self._r2.put(key, key.encode() * (VALUE // len(key)))

    async def keys(self) -> set[str]:
        page = await self._r2.list()
        for each in page.objects:
            async with self._r2.get(each.key) as found:
                data = b"".join([piece async for piece in found.pieces])
            assert data == each.key.encode() * (VALUE // len(each.key))
        return {each.key for each in page.objects}


class Queue:
    def __init__(self, stores: Stores) -> None:
        self._queue = stores.queue("local", "q")

    async def write(self, key: str) -> None:
        await self._queue.send([Outgoing(body=key.encode() * (VALUE // len(key)))])

    async def keys(self) -> set[str]:
        found = await self._queue.peek(1000)
        assert (await self._queue.metrics()).backlog_count == len(found)
        assert {len(each.body) // (VALUE // 6) for each in found} <= {6}
        return {each.body[:6].decode() for each in found}


Store = Kv | D1 | R2 | Queue
KINDS: dict[str, Callable[[Stores], Store]] = {"kv": Kv, "d1": D1, "r2": R2, "queue": Queue}


async def fill(store: Store, start: int) -> list[str]:
    """Write until the disk is full; what was acknowledged."""
    told: list[str] = []
    for number in range(start, start + 200):
        key = f"k{number:05}"
        try:
            await store.write(key)
        except StorageFull as error:
            assert "the disk under" in str(error)
            assert "is full" in str(error)
            assert error.status == 507
            return told
        told.append(key)
    raise AssertionError("the disk is never full")


def sound(folder: Path) -> None:
    files = list(folder.rglob("*.sqlite"))
    assert files
    for path in files:
        connection = apsw.Connection(str(path))
        assert connection.pragma("integrity_check") == "ok"
        connection.close()


@pytest.mark.parametrize("kind", KINDS)
async def test_full_is_an_error_that_passes(kind: str, stores: Stores, small_disk: Path) -> None:
    store = KINDS[kind](stores)
    told = await fill(store, 0)
    assert told
    for _ in range(3):
        with pytest.raises(StorageFull):
            await store.write("never0")
        assert await store.keys() == set(told)
    (small_disk / "ballast").unlink()
    more = await fill(store, 1000)
    assert more
    assert await store.keys() == {*told, *more}
    sound(small_disk)


async def test_many_at_once_on_a_disk_that_fills_up(stores: Stores, small_disk: Path) -> None:
    made = {kind: make(stores) for kind, make in KINDS.items()}

    async def try_to(write: Callable[[str], Awaitable[None]], key: str) -> str | None:
        try:
            await write(key)
        except StorageFull:
            return None
        return key

    for store in made.values():
        await store.write("first0")
    told: dict[str, set[str]] = {}
    waiting = {
        kind: asyncio.gather(*(try_to(store.write, f"k{number:05}") for number in range(60)))
        for kind, store in made.items()
    }
    for kind, each in waiting.items():
        answers = await each
        assert None in answers
        told[kind] = {"first0", *(key for key in answers if key is not None)}
    for kind, store in made.items():
        assert await store.keys() == told[kind], kind
    (small_disk / "ballast").unlink()
    for kind, store in made.items():
        await store.write("after0")
        assert await store.keys() == told[kind] | {"after0"}, kind
    sound(small_disk)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_node_that_starts_on_a_full_disk(kind: str, small_disk: Path) -> None:
    before = Stores(small_disk)
    told = await fill(KINDS[kind](before), 0)
    await before.close()
    rest = small_disk / "rest"
    with pytest.raises(OSError), rest.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    after = Stores(small_disk)
    try:
        store = KINDS[kind](after)
        with pytest.raises(StorageFull):
            await store.write("never0")
        rest.unlink()
        assert await store.keys() == set(told)
        (small_disk / "ballast").unlink()
        await store.write("after0")
        assert await store.keys() == {*told, "after0"}
    finally:
        await after.close()
    sound(small_disk)
