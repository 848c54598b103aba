"""What of a project's files changed: real files, real events."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest

from skerry.workers.project import Project
from skerry.workers.watch import Changes, Watcher, is_temporary

DEADLINE = 20.0


class Seen:
    """Collects the sets of changes; waits for what is to come."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.sets: list[Changes] = []
        self.came = asyncio.Event()

    def names(self) -> set[str]:
        return {
            f"{sign}{os.path.relpath(path, self.root)}"
            for each in self.sets
            for sign, paths in (("+", each.added), ("~", each.modified), ("-", each.removed))
            for path in paths
        }

    async def wait(self, *names: str) -> None:
        async with asyncio.timeout(DEADLINE):
            while not set(names) <= self.names():
                self.came.clear()
                await self.came.wait()


@asynccontextmanager
async def watching(watcher: Watcher, root: Path) -> AsyncIterator[Seen]:
    """The changes from when the watches are set to the end of the block."""
    seen = Seen(root)
    ready = root / "ready"

    async def follow() -> None:
        async with aclosing(watcher.changes()) as sets:
            async for changes in sets:
                seen.sets.append(changes)
                seen.came.set()

    task = asyncio.create_task(follow())
    try:
        async with asyncio.timeout(DEADLINE):
            while "+ready" not in seen.names():  # not before the watches are set
                ready.unlink(missing_ok=True)
                await asyncio.sleep(0.02)
                ready.touch()
                await asyncio.sleep(0.1)
        seen.sets.clear()
        yield seen
    finally:
        task.cancel()
        await asyncio.wait([task])
    assert task.cancelled()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path.resolve() / "project"
    for name in ("src/index.ts", "src/deep/a.ts", "node_modules/x/i.js", "dist/out.js"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("1")
    return root


async def test_files_that_come_change_and_go(root: Path) -> None:
    async with watching(Watcher(root), root) as seen:
        (root / "src/index.ts").write_text("22")
        await seen.wait("~src/index.ts")
        (root / "src/new.ts").write_text("1")
        (root / "src/deep/a.ts").unlink()
        await seen.wait("+src/new.ts", "-src/deep/a.ts")
        assert seen.names() == {"~src/index.ts", "+src/new.ts", "-src/deep/a.ts"}


async def test_what_an_editor_does_to_save_is_told_as_the_file_s_change(root: Path) -> None:
    async with watching(Watcher(root), root) as seen:
        file = root / "src/index.ts"
        (root / "src/4913").touch()
        (root / "src/4913").unlink()
        (root / "src/.index.ts.swp").write_text("x")
        file.rename(root / "src/index.ts~")
        file.write_text("saved")
        (root / "src/.index.ts.tmp").write_text("again")
        (root / "src/.index.ts.tmp").replace(file)
        (root / "src/last").touch()
        await seen.wait("+src/last")
        assert {name[1:] for name in seen.names()} == {"src/index.ts", "src/last"}


async def test_what_is_not_looked_at(root: Path) -> None:
    async with watching(Watcher(root), root) as seen:
        (root / "node_modules/x/i.js").write_text("22")
        (root / "node_modules/y").mkdir()
        (root / "dist/out.js").write_text("22")
        (root / ".git").mkdir()
        (root / ".git/HEAD").write_text("x")
        (root / ".wrangler/state").mkdir(parents=True)
        os.utime(root / "src/deep/a.ts", ns=((root / "src/deep/a.ts").stat().st_mtime_ns,) * 2)
        (root / "src/index.ts").chmod(0o600)
        (root / "last").touch()
        await seen.wait("+last")
        assert seen.names() == {"+last"}


async def test_a_folder_that_comes_with_its_files(root: Path, tmp_path: Path) -> None:
    other = tmp_path / "other/one/two"
    other.mkdir(parents=True)
    (other / "a.ts").write_text("1")
    async with watching(Watcher(root), root) as seen:
        (tmp_path / "other").rename(root / "src/other")
        await seen.wait("+src/other/one/two/a.ts")
        (root / "src/other/one/two/b.ts").write_text("1")  # the new folders are watched, too
        await seen.wait("+src/other/one/two/b.ts")
        (root / "made/at/once").mkdir(parents=True)
        (root / "made/at/once/c.ts").write_text("1")
        await seen.wait("+made/at/once/c.ts")
        shutil.rmtree(root / "src/other")
        await seen.wait("-src/other/one/two/a.ts", "-src/other/one/two/b.ts")
        (root / "src/index.ts").write_text("still")
        await seen.wait("~src/index.ts")


async def test_a_project_s_own_files_count_wherever_they_are(root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "shared.ts"
    outside.write_text("1")
    project = Project(
        root=root, name="x", main=root / "dist/out.js", language="javascript", files=(outside,)
    )
    async with watching(Watcher.of(project), root) as seen:
        (root / "dist/other.js").write_text("1")
        (tmp_path / "not-of-it").write_text("1")
        (root / "dist/out.js").write_text("22")
        outside.write_text("22")
        await seen.wait("~dist/out.js", "~../shared.ts")
        assert seen.names() == {"~dist/out.js", "~../shared.ts"}


async def test_many_writes_are_few_sets(root: Path) -> None:
    async with watching(Watcher(root), root) as seen:
        for number in range(200):
            (root / f"src/{number}.ts").write_text("1")
        await seen.wait(*(f"+src/{number}.ts" for number in range(200)))
        assert len(seen.sets) < 20


@pytest.mark.parametrize("name", ["a.ts~", ".a.ts.swp", "4913", ".#a", "#a#", "x.tmp", "m.pyc"])
def test_temporary_names(name: str) -> None:
    assert is_temporary(name)
    assert not is_temporary("index.ts")
    assert not is_temporary(".dev.vars")
