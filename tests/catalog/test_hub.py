"""Pulls from a hub that behaves, and from one that does not."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from skerry.catalog.progress import Progress
from skerry.catalog.store import Store
from skerry.errors import ArtifactError, DiskFull, HashMismatch, MirrorsFailed, Offline

from .hub import TOKEN, FakeHub, entry_of

BIG = os.urandom(3 << 20)
SMALL = b"{}"
MakeStore = Callable[..., Store]


def partials(store: Store) -> list[Path]:
    folder = store.root / "partial"
    return list(folder.iterdir()) if folder.is_dir() else []


async def test_a_pull_brings_the_files_under_their_names(
    hub: FakeHub, make_store: MakeStore
) -> None:
    hub.files = {"model.gguf": BIG, "sub/config.json": SMALL}
    store, entry = make_store(), entry_of(hub.files)
    assert store.ready(entry) is None
    seen: list[Progress] = []
    files = await store.pull(entry, seen.append)
    assert files.path("model.gguf").read_bytes() == BIG
    assert files.path("sub/config.json").read_bytes() == SMALL
    assert store.ready(entry) == files
    assert seen[-1].phase == "done"
    assert seen[-1].all_done == seen[-1].all_total == len(BIG) + len(SMALL)
    assert {"download", "verify"} <= {each.phase for each in seen}
    assert partials(store) == []
    assert not (store.root / "work").exists() or not list((store.root / "work").iterdir())


async def test_a_second_pull_asks_nobody(hub: FakeHub, make_store: MakeStore) -> None:
    hub.files = {"a": BIG}
    entry = entry_of(hub.files)
    await make_store().pull(entry)
    asked = len(hub.requests)
    await make_store(offline=True).pull(entry)
    assert len(hub.requests) == asked


async def test_the_token_goes_to_the_hub_only(hub: FakeHub, make_store: MakeStore) -> None:
    hub.files, hub.gated = {"a": BIG}, {"a"}
    await make_store(token=TOKEN).pull(entry_of(hub.files))
    assert hub.hub_authorization == [f"Bearer {TOKEN}"]
    assert hub.cdn_authorization == [None]


@pytest.mark.parametrize("fault", ["404", "gated", "wrong", "etag", "dead"])
async def test_the_next_mirror_is_tried(
    fault: str, hub: FakeHub, make_store: MakeStore, tmp_path: Path
) -> None:
    (tmp_path / "copy").write_bytes(BIG)
    hub.files = {"a": BIG}
    mirror = "hf:org/repo@main/a"
    if fault == "404":
        mirror = "hf:org/repo@main/nothing"
    elif fault == "gated":
        hub.gated = {"a"}
    elif fault == "wrong":
        hub.wrong = {"a"}
    elif fault == "etag":
        hub.etag = {"a": "0" * 64}
    else:
        mirror = "http://127.0.0.1:9/a"
    entry = entry_of({"a": BIG}, mirrors={"a": [mirror, f"file:{tmp_path / 'copy'}"]})
    files = await make_store().pull(entry)
    assert files.path("a").read_bytes() == BIG
    if fault == "etag":
        assert hub.requests == []  # refused before the first byte


async def test_wrong_bytes_everywhere(hub: FakeHub, make_store: MakeStore) -> None:
    hub.files, hub.wrong = {"a": BIG}, {"a"}
    store, entry = make_store(), entry_of(hub.files)
    with pytest.raises(HashMismatch, match="@test/model: a"):
        await store.pull(entry)
    assert store.ready(entry) is None
    assert partials(store) == []
    assert not list((store.root / "blobs").glob("*/*/*"))


async def test_every_mirror_and_why_is_told(hub: FakeHub, make_store: MakeStore) -> None:
    hub.files, hub.gated = {"a": BIG, "gated": SMALL}, {"gated"}
    mirrors = ["hf:org/repo@main/gated", "hf:org/repo@main/none", "ftp:x", "file:/no/such/file"]
    entry = entry_of({"a": BIG}, mirrors={"a": [*mirrors]})
    with pytest.raises(MirrorsFailed) as error:
        await make_store().pull(entry)
    said = str(error.value)
    assert all(mirror in said for mirror in mirrors)
    assert "HF_TOKEN" in said
    assert "404" in said
    assert "no such file" in said
    assert isinstance(error.value.__cause__, ArtifactError)


async def test_offline_opens_local_mirrors_only(
    hub: FakeHub, make_store: MakeStore, tmp_path: Path
) -> None:
    hub.files = {"a": BIG}
    store = make_store(offline=True)
    with pytest.raises(Offline, match="skerry models pull @test/model"):
        await store.pull(entry_of(hub.files))
    assert hub.hub_authorization == []
    (tmp_path / "copy").write_bytes(BIG)
    entry = entry_of({"a": BIG}, mirrors={"a": ["hf:o/r@m/a", f"file:{tmp_path / 'copy'}"]})
    assert (await store.pull(entry)).path("a").read_bytes() == BIG


async def test_a_cut_connection_is_continued(hub: FakeHub, make_store: MakeStore) -> None:
    hub.files, hub.cuts = {"a": BIG}, 2
    files = await make_store().pull(entry_of(hub.files))
    assert files.path("a").read_bytes() == BIG
    assert [wanted is None for _, wanted in hub.requests] == [True, False, False]


async def test_a_hub_without_range_starts_over(hub: FakeHub, make_store: MakeStore) -> None:
    hub.files, hub.cuts, hub.no_range = {"a": BIG}, 1, True
    files = await make_store().pull(entry_of(hub.files))
    assert files.path("a").read_bytes() == BIG


async def test_bytes_of_another_file_are_not_continued(hub: FakeHub, make_store: MakeStore) -> None:
    hub.files = {"a": BIG}
    store, entry = make_store(), entry_of(hub.files)
    (store.root / "partial").mkdir(parents=True)
    (store.root / "partial" / str(entry.artifacts[0].sha256)).write_bytes(bytes(1 << 20))
    assert (await store.pull(entry)).path("a").read_bytes() == BIG


async def test_a_hash_that_nobody_knew_is_pinned(hub: FakeHub, make_store: MakeStore) -> None:
    hub.files = {"a": BIG}
    store, entry = make_store(), entry_of(hub.files, pinned=False)
    await store.pull(entry)
    await store.remove(entry)
    hub.files = {"a": BIG[::-1]}
    with pytest.raises(HashMismatch):
        await store.pull(entry)
    hub.files = {"a": BIG}
    assert (await store.pull(entry)).path("a").read_bytes() == BIG


async def test_too_many_bytes_are_refused(hub: FakeHub, make_store: MakeStore) -> None:
    entry = entry_of({"a": SMALL})
    hub.files, hub.etag = {"a": BIG}, {"a": str(entry.artifacts[0].sha256)}
    with pytest.raises(MirrorsFailed, match="the catalog says 2"):
        await make_store().pull(entry)


async def test_a_model_that_does_not_fit_is_refused_before_the_first_byte(
    hub: FakeHub, make_store: MakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10, 9, 1))
    hub.files = {"a": BIG}
    with pytest.raises(DiskFull, match="@test/model: needs 3 MB"):
        await make_store().pull(entry_of(hub.files))
    assert hub.requests == []


async def test_callers_share_one_pull(hub: FakeHub, make_store: MakeStore) -> None:
    hub.files, hub.pause = {"a": BIG}, 0.005
    store, entry = make_store(), entry_of(hub.files)
    seen: list[Progress] = []
    first, second = await asyncio.gather(store.pull(entry), store.pull(entry, seen.append))
    assert first == second
    assert seen
    assert len(hub.requests) == 1


async def test_one_callers_end_does_not_end_the_others_pull(
    hub: FakeHub, make_store: MakeStore
) -> None:
    hub.files, hub.pause = {"a": BIG}, 0.01
    store, entry = make_store(), entry_of(hub.files)
    leaving = asyncio.create_task(store.pull(entry))
    staying = asyncio.create_task(store.pull(entry))
    await hub.asked.wait()
    assert store.progress(entry) is not None
    leaving.cancel()
    assert (await staying).path("a").read_bytes() == BIG
    assert len(hub.requests) == 1
    assert store.progress(entry) is None


async def test_a_cancelled_pull_stops_and_can_be_continued(
    hub: FakeHub, make_store: MakeStore
) -> None:
    hub.files, hub.pause = {"a": BIG}, 0.05
    store, entry = make_store(), entry_of(hub.files)
    arrived = asyncio.Event()

    def look(progress: Progress) -> None:
        if progress.done >= 1 << 20:
            arrived.set()

    task = asyncio.create_task(store.pull(entry, look))
    await arrived.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert store.ready(entry) is None
    [partial] = partials(store)
    assert 0 < partial.stat().st_size < len(BIG)
    hub.pause = 0
    assert (await store.pull(entry)).path("a").read_bytes() == BIG
    assert hub.requests[-1][1] is not None  # continued
