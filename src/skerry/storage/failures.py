"""What can go wrong with a file under a store, whichever store it is."""

from __future__ import annotations

import errno
from pathlib import Path

import apsw

from skerry.errors import StorageError


class StorageFull(StorageError):
    """The disk is full; nothing of this write was kept."""

    def __init__(self, message: str) -> None:
        super().__init__(message, status=507)


class StorageBusy(StorageError):
    """The store could not take this within its deadline; the same may work later."""

    def __init__(self, message: str) -> None:
        super().__init__(message, status=503)


class StorageBroken(StorageError):
    """The file cannot be read or written: damaged, or its disk fails."""

    def __init__(self, message: str) -> None:
        super().__init__(message, status=500)


class StorageClosed(StorageError):
    """The store was closed."""

    def __init__(self, message: str) -> None:
        super().__init__(message, status=503)


_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def translated(error: Exception, path: Path) -> Exception:
    """The error of a store for what SQLite or the system says of the file; others unchanged."""
    known = _known(error, path)
    if known is not None:
        known.__cause__ = error
        return known
    return error


def _known(error: Exception, path: Path) -> StorageError | None:
    number = error.errno if isinstance(error, OSError) else None
    extended = getattr(error, "extendedresult", None)
    if (
        isinstance(error, apsw.FullError)
        or number in _NO_ROOM
        or extended == apsw.SQLITE_IOERR_SHMSIZE
    ):
        return StorageFull(f"the disk under {path.parent} is full; nothing was written")
    if isinstance(error, apsw.BusyError | apsw.LockedError):
        return StorageBusy(f"{path.name} was held by another process for too long; try again")
    if isinstance(error, apsw.CorruptError | apsw.NotADBError):
        return StorageBroken(f"{path} is damaged: {error}")
    if isinstance(error, apsw.IOError | apsw.CantOpenError | apsw.ReadOnlyError | OSError):
        return StorageBroken(f"{path} cannot be used: {error}")
    return None
