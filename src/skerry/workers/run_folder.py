"""Where a node keeps its workers' sockets and bundles while it runs.

A folder of the system's temporary one, since the path of a unix socket may have 107 bytes. A lock
in it ends with the process, however that ends, so that the next node can remove what a killed one
has left.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
import time
from pathlib import Path

PREFIX = "skerry-run-"
YOUNG = 60.0
"""Seconds for which a folder may still lack its lock."""


class RunFolder:
    """A folder of this process's own. All methods block."""

    def __init__(self, root: Path | None = None) -> None:
        """Make it, and remove those that killed processes of this user have left."""
        root = root or Path(tempfile.gettempdir())
        _sweep(root)
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=root))
        self._lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def remove(self) -> None:
        """Remove it with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def _sweep(root: Path) -> None:
    for path in root.glob(f"{PREFIX}*"):
        try:
            about = path.lstat()
            if stat.S_ISDIR(about.st_mode) and about.st_uid == os.geteuid():
                _remove_dead(path, time.time() - about.st_mtime)
        except OSError:
            continue  # another node removes it, too


def _remove_dead(path: Path, age: float) -> None:
    try:
        lock = os.open(path / "lock", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        if age > YOUNG:
            shutil.rmtree(path, ignore_errors=True)
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return  # its node lives
    else:
        shutil.rmtree(path, ignore_errors=True)
    finally:
        os.close(lock)
