"""Several processes and one store; processes that are killed; disks that fill up."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from skerry.catalog.entry import Entry
from skerry.catalog.mirrors.hf import Hub
from skerry.catalog.progress import Progress
from skerry.catalog.store import Store
from skerry.errors import DiskFull

from .hub import FakeHub, entry_of

BIG = os.urandom(4 << 20)
SCRIPT = Path(__file__).with_name("puller.py")


async def start(root: Path, hub: FakeHub, entry: Entry, *more: str) -> Process:
    raw = msgspec.json.encode(entry).decode()
    arguments = [str(SCRIPT), str(root), hub.url, raw, *more]
    return await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=PIPE)


async def line(process: Process) -> list[str]:
    assert process.stdout is not None
    return (await process.stdout.readline()).decode().split()


async def test_a_killed_pull_leaves_nothing_half_and_is_continued(
    hub: FakeHub, tmp_path: Path
) -> None:
    hub.files, hub.pause = {"a": BIG}, 0.02
    entry, store = entry_of(hub.files), Store(tmp_path, [Hub(hub.url)])
    process = await start(tmp_path, hub, entry)
    while int((await line(process))[1]) < 1 << 20:
        pass
    process.kill()
    await process.wait()
    assert store.ready(entry) is None
    hub.pause = 0
    files = await store.pull(entry)
    assert files.path("a").read_bytes() == BIG
    wanted = hub.requests[-1][1]
    assert wanted is not None
    assert int(wanted.removeprefix("bytes=").removesuffix("-")) >= 1 << 20


async def test_two_processes_pull_once(hub: FakeHub, tmp_path: Path) -> None:
    hub.files, hub.pause = {"a": BIG}, 0.01
    entry = entry_of(hub.files)
    both = [await start(tmp_path, hub, entry) for _ in range(2)]
    said = [(await process.communicate())[0].decode() for process in both]
    assert all("pulled" in each for each in said)
    assert any(each.startswith("wait") for each in said)
    assert len(hub.requests) == 1


async def test_the_waiting_process_takes_over_when_the_holder_dies(
    hub: FakeHub, tmp_path: Path
) -> None:
    hub.files, hub.pause = {"a": BIG}, 0.05
    entry = entry_of(hub.files)
    holder = await start(tmp_path, hub, entry)
    await line(holder)
    waiting = asyncio.Event()

    def look(progress: Progress) -> None:
        if progress.phase == "wait":
            waiting.set()

    pull = asyncio.create_task(Store(tmp_path, [Hub(hub.url)]).pull(entry, look))
    await waiting.wait()
    holder.kill()
    await holder.wait()
    hub.pause = 0
    assert (await pull).path("a").read_bytes() == BIG


async def test_a_full_disk_is_told_and_the_pull_goes_on_once_there_is_room(
    hub: FakeHub, tmp_path: Path
) -> None:
    hub.files = {"a": BIG}
    entry = entry_of(hub.files)
    process = await start(tmp_path, hub, entry, str(2 << 20))
    said = (await process.communicate())[0].decode()
    assert process.returncode == 1
    assert "DiskFull" in said
    assert "SKERRY_MODELS" in said
    store = Store(tmp_path, [Hub(hub.url)])
    assert store.ready(entry) is None
    assert (await store.pull(entry)).path("a").read_bytes() == BIG
    assert hub.requests[-1][1] is not None


@pytest.fixture
async def small_disk(tmp_path: Path) -> Path:
    folder = tmp_path / "small"
    folder.mkdir()
    mount = await asyncio.create_subprocess_exec(
        *("mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)), stderr=PIPE
    )
    await mount.communicate()
    if mount.returncode:
        pytest.skip("no right to mount a small disk here")
    return folder


async def test_a_disk_that_is_really_full(hub: FakeHub, small_disk: Path) -> None:
    hub.files = {"a": BIG}
    try:
        for entry in (entry_of(hub.files), entry_of(hub.files, pinned=False)):
            with pytest.raises(DiskFull):  # told by the size; found out while writing
                await Store(small_disk, [Hub(hub.url)]).pull(entry)
    finally:
        umount = await asyncio.create_subprocess_exec("umount", str(small_disk))
        await umount.wait()


async def test_a_changed_entry_is_a_new_directory(
    hub: FakeHub, make_store: Callable[..., Store]
) -> None:
    store, data = make_store(), {"a": BIG}
    hub.files = data
    old = await store.pull(entry_of(data))
    hub.files = {"a": BIG[::-1]}
    new = await store.pull(entry_of(hub.files))
    assert old.directory != new.directory
    assert old.path("a").read_bytes() == BIG
    assert len(store.list()) == 2
    assert store.usage(entry_of(hub.files)) > 2 * len(BIG)


async def test_removal_spares_what_another_model_uses(
    hub: FakeHub, make_store: Callable[..., Store]
) -> None:
    store = make_store()
    hub.files = {"a": BIG, "b": b"small"}
    one = entry_of(hub.files, name="@test/one")
    two = entry_of({"a": BIG}, name="@test/two")
    await store.pull(one)
    await store.pull(two)
    assert len(hub.requests) == 2  # the second model found the blob
    await store.remove(one)
    assert store.ready(one) is None
    files = store.ready(two)
    assert files is not None
    assert files.path("a").read_bytes() == BIG
    assert await store.remove(two) >= len(BIG)
    assert not list((store.root / "blobs").glob("*/*/*"))


async def test_a_damaged_file_is_found_and_fetched_anew(
    hub: FakeHub, make_store: Callable[..., Store]
) -> None:
    from skerry.errors import HashMismatch

    store = make_store()
    hub.files = {"a": BIG}
    entry = entry_of(hub.files)
    files = await store.pull(entry)
    await store.verify(entry)
    files.path("a").chmod(0o644)
    with files.path("a").open("r+b") as file:
        file.write(b"x" + bytes([BIG[0] ^ 1]))
    with pytest.raises(HashMismatch, match=r"@test/model: a"):
        await store.verify(entry)
    assert store.ready(entry) is None
    assert (await store.pull(entry)).path("a").read_bytes() == BIG


async def test_a_cut_file_is_not_ready(hub: FakeHub, make_store: Callable[..., Store]) -> None:
    store = make_store()
    hub.files = {"a": BIG}
    entry = entry_of(hub.files)
    files = await store.pull(entry)
    files.path("a").chmod(0o644)
    with files.path("a").open("r+b") as file:
        file.truncate(100)
    assert store.ready(entry) is None
    assert (await store.pull(entry)).path("a").read_bytes() == BIG
