"""Who wrote a file: one folder for each process, and a lock that ends with it.

    live/SESSION     locked (flock) while the process lives, however it ends
    SESSION/         what it wrote

Whoever can take the lock of a session knows that nothing more will come from it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections.abc import Iterable
from pathlib import Path

from skerry.storage.failures import StorageClosed
from skerry.storage.folders import make_folders, sync

FOLDER = 1000
"""Files of one folder."""


class Sessions:
    """The sessions under one root, and this process's own. All methods block."""

    def __init__(self, root: Path, *, durable: bool) -> None:
        self._root = root
        self._live = root / "live"
        self._durable = durable
        self._lock = threading.Lock()
        self._session = ""
        self._handle = -1
        self._count = 0
        self._closed = False
        self._clean = True

    def name(self) -> str:
        """A new file's name, SESSION/N/NUMBER; its folder is there."""
        with self._lock:
            if self._closed:
                raise StorageClosed("the store was closed")
            if self._handle < 0:
                self._begin()
            number = self._count
            name = f"{self._session}/{number // FOLDER}/{number}"
            make_folders((self._root / name).parent, durable=self._durable)
            self._count += 1
            return name

    def others(self) -> list[str]:
        """The sessions that ended without `close`, and those that have not ended."""
        try:
            return sorted(path.name for path in self._live.iterdir())
        except FileNotFoundError:
            return []

    def take(self, session: str) -> int | None:
        """The lock of a session whose process is no more; None where it lives. Close it."""
        path = self._live / session
        try:
            handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        if _locked(handle) and _is(path, handle):
            return handle
        os.close(handle)
        return None

    def files(self, session: str) -> Iterable[str]:
        """The names of a session's files, those that were never finished too."""
        for folder, _, names in os.walk(self._root / session):
            for name in names:
                yield str((Path(folder) / name).relative_to(self._root))

    def forget(self, session: str) -> None:
        """Nothing of this session is in question any more; call with its lock."""
        for folder, _, _ in os.walk(self._root / session, topdown=False):
            with contextlib.suppress(OSError):  # not empty: its files count
                Path(folder).rmdir()
        (self._live / session).unlink(missing_ok=True)

    def leave(self) -> None:
        """Let a later sweep look at this process's files: one may be named, or not."""
        self._clean = False

    def close(self) -> None:
        """End this process's session: all that it wrote is named somewhere, or deleted."""
        with self._lock:
            self._closed = True
            if self._handle >= 0:
                if self._clean:
                    self.forget(self._session)
                os.close(self._handle)
                self._handle = -1

    def _begin(self) -> None:
        make_folders(self._live, durable=self._durable)
        while True:
            session = os.urandom(8).hex()
            path = self._live / session
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            # Before this lock a sweep may have taken it: then the name is gone or will be.
            if _locked(handle) and _is(path, handle):
                break
            os.close(handle)
        if self._durable:
            sync(self._live)
        self._session, self._handle, self._count = session, handle, 0


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is(path: Path, handle: int) -> bool:
    """Whether the open file is still the one at `path`."""
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False
