"""Which files of a project changed: told in sets, once an editor has done writing.

The kernel says that something happened (watchfiles); what changed is then found by looking, so
that nothing is missed in a folder that is only just there, and nothing is told that is as it was.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from skerry.workers.project import Project

if TYPE_CHECKING:
    from watchfiles._rust_notify import RustNotify

IGNORED = frozenset(
    {
        "node_modules", ".git", ".hg", ".svn", ".wrangler", ".skerry", "dist", "__pycache__",
        ".venv", "venv", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".idea", ".vscode",
    }
)  # fmt: skip
"""Folders that are not looked into, wherever they are."""
_TEMPORARY = ("~", ".swp", ".swo", ".swx", ".swpx", ".tmp", ".part", ".pyc", "___jb_tmp___")
_MARKED = (".#", "#", ".goutputstream-", ".~lock.")
QUIET = 0.03
"""Seconds without a further event after which a set is whole."""
LONGEST = 0.25
"""Seconds that a set may grow while events keep coming."""
_TURN = 0.5
"""Seconds that the watching thread waits at most before it looks whether it is still wanted."""

Snapshot = Mapping[Path, tuple[int, int, int]]


class Changes(msgspec.Struct, frozen=True):
    """Files that came, that are others now, and that went; absolute paths, in order."""

    added: tuple[Path, ...] = ()
    modified: tuple[Path, ...] = ()
    removed: tuple[Path, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.modified or self.removed)

    def __iter__(self) -> Iterator[Path]:
        return iter((*self.added, *self.modified, *self.removed))


def is_temporary(name: str) -> bool:
    """Whether an editor, not a person, made a file of this name."""
    # vim writes 4913 to learn what it may do in a folder
    return name.endswith(_TEMPORARY) or name.startswith(_MARKED) or name == "4913"


class Watcher:
    """Watches folders, and single files elsewhere.

    `async with aclosing(watcher.changes()) as sets: async for changes in sets: …`

    root: a project's folder. also: files and folders outside it that count too.
    """

    def __init__(self, root: Path, also: Iterable[Path] = ()) -> None:
        self._root = root.resolve()
        more = [path.resolve() for path in also]
        self._folders = [self._root, *(path for path in more if path.is_dir())]
        self._files = [path for path in more if not path.is_dir()]

    @classmethod
    def of(cls, project: Project) -> Watcher:
        """All that a project is made of, its entry module and configuration wherever they are."""
        named = (project.main, project.tsconfig, *project.files)
        return cls(project.root, [path for path in named if path is not None])

    async def changes(self) -> AsyncGenerator[Changes, None]:
        """Each set of changes from now on; ends when it is closed.

        Raises OSError where the kernel watches no more (its limit is fs.inotify.max_user_watches).
        """
        stop = threading.Event()
        eyes = await asyncio.to_thread(_Eyes, self._folders, self._files)
        try:
            while True:
                changes = await asyncio.to_thread(eyes.wait, stop)
                if changes:
                    yield changes
        finally:
            stop.set()
            await asyncio.to_thread(eyes.close)


class _Eyes:
    """The blocking half."""

    def __init__(self, folders: list[Path], files: list[Path]) -> None:
        self._folders = folders
        self._files = files
        self._watched: frozenset[Path] = frozenset()
        self._rust: RustNotify | None = None
        self._lock = threading.Lock()
        """Held while a thread waits or looks: nothing is closed under it."""
        self._seen: Snapshot = {}
        self._look()

    def wait(self, stop: threading.Event) -> Changes:
        """What has changed since the last call; nothing when there was nothing for a while."""
        with self._lock:
            if self._rust is None or stop.is_set():
                return Changes()
            raw = self._rust.watch(int(LONGEST * 1000), int(QUIET * 1000), int(_TURN * 1000), stop)
            if not isinstance(raw, set) or not any(self._counts(Path(path)) for _, path in raw):
                return Changes()
            before = self._seen
            self._look()
            return _difference(before, self._seen)

    def _counts(self, path: Path) -> bool:
        """Whether an event may be of a file that is looked at."""
        if is_temporary(path.name):
            return False
        if any(path == file for file in self._files):
            return True
        for folder in self._folders:
            if path.is_relative_to(folder):
                return IGNORED.isdisjoint(path.relative_to(folder).parts)
        return False

    def _look(self) -> None:
        """Take a new snapshot, and watch the folders there are now.

        The folders are watched before the files are read, and read again where a folder has come:
        a file that is written meanwhile is in the snapshot or gives an event.
        """
        while True:
            self._seen, folders = _snapshot(self._folders, self._files)
            if folders == self._watched and self._rust is not None:
                return
            self._watch(folders)

    def _watch(self, folders: frozenset[Path]) -> None:
        from watchfiles._rust_notify import RustNotify

        self._let_go()
        # not recursive: node_modules alone would take more watches than many a kernel has
        try:
            self._rust = RustNotify([str(path) for path in folders], False, False, 100, False, True)
        except FileNotFoundError:  # a folder went since it was seen: look again
            return
        self._watched = folders

    def _let_go(self) -> None:
        if self._rust is not None:
            self._rust.close()
        self._rust, self._watched = None, frozenset()

    def close(self) -> None:
        """Let the kernel's watches go, once no thread waits."""
        with self._lock:
            self._let_go()


def _snapshot(folders: Iterable[Path], files: Iterable[Path]) -> tuple[Snapshot, frozenset[Path]]:
    """Every file that counts with what tells it from another, and the folders they are in."""
    seen: dict[Path, tuple[int, int, int]] = {}
    within: set[Path] = set()
    for root in folders:
        for folder, names, found in os.walk(root):
            names[:] = [name for name in names if name not in IGNORED]
            within.add(Path(folder))
            _note(seen, (Path(folder, name) for name in found if not is_temporary(name)))
    _note(seen, files)
    within |= {file.parent for file in files if file.parent.is_dir()}
    return seen, frozenset(within)


def _note(seen: dict[Path, tuple[int, int, int]], files: Iterable[Path]) -> None:
    for file in files:
        try:
            info = file.stat()
        except OSError:  # it went while we looked
            continue
        seen[file] = (info.st_mtime_ns, info.st_size, info.st_ino)


def _difference(before: Snapshot, now: Snapshot) -> Changes:
    return Changes(
        added=tuple(sorted(now.keys() - before.keys())),
        modified=tuple(sorted(path for path in now if before.get(path, now[path]) != now[path])),
        removed=tuple(sorted(before.keys() - now.keys())),
    )
