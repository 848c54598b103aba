"""Files and the rows that name them, through crashes of real processes."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import resource
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from skerry.storage.blobs import Blobs, Range
from skerry.storage.failures import StorageClosed, StorageFull
from skerry.storage.r2.embedded import EmbeddedR2
from skerry.storage.sessions import Sessions

PUTTER = """
import asyncio, hashlib, os, sys
from pathlib import Path
from skerry.storage.r2.embedded import EmbeddedR2

async def main():
    r2 = EmbeddedR2(Path(sys.argv[1]))
    bucket = r2.bucket("bucket", create=True)
    print("ready", flush=True)

    async def one(name):
        for at in range(10**9):
            data = os.urandom(1 + (at * 7919) % 400_000)
            key = f"{name}/{at % 5}"
            await bucket.put(key, data)
            print(key, hashlib.md5(data).hexdigest(), flush=True)

    await asyncio.gather(*[one(f"{sys.argv[2]}-{at}") for at in range(4)])

asyncio.run(main())
"""


def files(root: Path) -> set[str]:
    return {str(each.relative_to(root)) for each in root.glob("*/*/*") if each.is_file()}


async def none(names: object) -> set[str]:
    return set()


async def killed_putter(root: Path, name: str, after: int) -> dict[str, list[str]]:
    """Run a process that puts, kill it -9 after so many puts; key -> md5s, the last one last."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PUTTER, str(root), name), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    told: dict[str, list[str]] = {}
    count = 0
    async with asyncio.timeout(60):
        assert await process.stdout.readline() == b"ready\n"
        while line := await process.stdout.readline():
            if not line.endswith(b"\n"):
                break
            key, md5 = line.decode().split()
            told.setdefault(key, []).append(md5)
            count += 1
            if count == after:
                process.send_signal(signal.SIGKILL)
        await process.wait()
    return told


async def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    seed = random.Random(7)
    mine = EmbeddedR2(tmp_path)  # lives through all of it, and puts
    bucket = mine.bucket("bucket", create=True)
    for each in range(6):
        told = await killed_putter(tmp_path, f"p{each}", seed.randrange(1, 40))
        waiting = asyncio.create_task(bucket.put(f"mine/{each}", b"m" * 100_000))
        other = EmbeddedR2(tmp_path)
        found = other.bucket("bucket")
        for key, sums in told.items():
            async with found.get(key) as body:
                data = b"".join([piece async for piece in body.pieces])
            # A put that was cut off may have come after the last that was told of.
            assert body.object.etag == hashlib.md5(data).hexdigest()
            assert body.object.etag not in sums[:-1]
        await waiting
        await other.close()
    for each in range(6):
        async with bucket.get(f"mine/{each}") as body:
            assert body.length == 100_000
            assert sum([len(piece) async for piece in body.pieces]) == 100_000
    count = len((await bucket.list()).objects)
    await mine.close()
    assert len(files(tmp_path / "blobs")) == count


async def test_a_sweep_leaves_the_living_alone(tmp_path: Path) -> None:
    living, other = Blobs(tmp_path), Blobs(tmp_path)
    blob = await living.store(b"not named yet")
    assert await other.sweep(none) == 0
    assert files(tmp_path) == {blob.name}
    await living.close()
    assert await other.sweep(none) == 0  # closed in order: all that is there was named
    assert files(tmp_path) == {blob.name}
    await other.close()


async def test_a_sweep_takes_what_the_dead_left(tmp_path: Path) -> None:
    dead = Blobs(tmp_path)
    kept, orphan = await dead.store(b"named"), await dead.store(b"never named")
    (tmp_path / f"{orphan.name}7.part").write_bytes(b"half")
    dead.sessions.leave()  # as a process that ends without a word
    await dead.close()
    later = Blobs(tmp_path)

    async def named(names: object) -> set[str]:
        return {kept.name}

    assert await later.sweep(named) == 2
    assert files(tmp_path) == {kept.name}
    assert await later.sweep(none) == 0  # it is known to be clean
    await later.close()


async def test_two_sweeps_at_once(tmp_path: Path) -> None:
    for _ in range(5):
        dead = Blobs(tmp_path)
        await asyncio.gather(*[dead.store(b"x") for _ in range(20)])
        dead.sessions.leave()
        await dead.close()
    sweepers = [Blobs(tmp_path) for _ in range(4)]
    gone = await asyncio.gather(*[each.sweep(none) for each in sweepers])
    assert sum(gone) == 100
    assert files(tmp_path) == set()
    for each in sweepers:
        await each.close()


def test_a_new_session_is_not_taken_by_a_sweep(tmp_path: Path) -> None:
    sessions = Sessions(tmp_path, durable=False)
    name = sessions.name()
    other = Sessions(tmp_path, durable=False)
    assert other.others() == [name.split("/")[0]]
    assert other.take(other.others()[0]) is None
    sessions.close()
    assert other.others() == []
    with pytest.raises(StorageClosed):
        sessions.name()


async def test_folders_stay_small(tmp_path: Path) -> None:
    sessions = Sessions(tmp_path, durable=False)
    names = [sessions.name() for _ in range(1001)]
    assert {name.split("/")[1] for name in names[:-1]} == {"0"}
    assert names[-1].split("/")[1] == "1"
    sessions.close()


async def test_ranges_of_several_files(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    one, two = await blobs.store(b"0123456789"), await blobs.store(b"abc")
    wanted = [Range(one.name, 8, 2), Range(two.name, 0, 0), Range(two.name, 1, 2)]
    async with blobs.open(wanted) as pieces:
        await blobs.drop([one.name, two.name])  # they go when they were read
        assert [piece async for piece in pieces] == [b"89", b"bc"]
    assert files(tmp_path) == set()
    with pytest.raises(FileNotFoundError):
        async with blobs.open([Range(one.name, 0, 1)]):
            pass
    await blobs.close()


@contextmanager
def small_files(size: int) -> Iterator[None]:
    """Let no file grow past `size`: what a full disk is, for one process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_full_disk_is_told_and_harms_nothing(tmp_path: Path) -> None:
    r2 = EmbeddedR2(tmp_path)
    bucket = r2.bucket("bucket", create=True)
    old = await bucket.put("k", b"old")
    with small_files(2_000_000):
        with pytest.raises(StorageFull, match="full"):
            await bucket.put("k", os.urandom(5 << 20))

        async def much() -> AsyncIterator[bytes]:
            for _ in range(5):
                yield os.urandom(1 << 20)

        with pytest.raises(StorageFull):
            await bucket.put("k", much())
        assert await bucket.head("k") == old
        await bucket.put("l", b"what fits")
    assert len(files(tmp_path / "blobs")) == 2
    await bucket.put("k", os.urandom(5 << 20))
    await r2.close()
