"""Files of the store: copying, hashing, durable renames; a full disk becomes DiskFull."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from skerry.catalog.blocking import Stop
from skerry.errors import ArtifactError, DiskFull

CHUNK = 1 << 20
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""What the system says where there is no room."""


@contextmanager
def full_disk(what: str, root: Path) -> Iterator[None]:
    """An OSError for want of room becomes DiskFull; any other, ArtifactError."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise DiskFull(
                f"{what}: no room left under {root} ({error.strerror}). Free some space, remove"
                " models (skerry models rm NAME) or move the store (SKERRY_MODELS)."
            ) from error
        raise ArtifactError(f"{what}: cannot be written under {root}: {error}") from error


def check_room(what: str, root: Path, needed: int) -> None:
    """Raise DiskFull where `needed` bytes do not fit."""
    free = shutil.disk_usage(root).free
    if needed > free:
        raise DiskFull(
            f"{what}: needs {needed / 1e6:.0f} MB under {root}, where {free / 1e6:.0f} MB are free."
            " Free some space, remove models (skerry models rm NAME) or move the store"
            " (SKERRY_MODELS)."
        )


def pour(
    source: BinaryIO,
    sink: BinaryIO,
    stop: Stop,
    *,
    limit: int | None = None,
    at: Callable[[int], None] | None = None,
) -> int:
    """Copy; the bytes copied. Raises ArtifactError past `limit` bytes."""
    done = 0
    while chunk := source.read(CHUNK):
        stop.check()
        done += len(chunk)
        if limit is not None and done > limit:
            raise ArtifactError(f"has more than the {limit} bytes that it may have")
        sink.write(chunk)
        if at is not None:
            at(done)
    return done


def sha256(path: Path, stop: Stop, at: Callable[[int], None] | None = None) -> str:
    """The file's hash in hex."""
    digest = hashlib.sha256()
    done = 0
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(CHUNK):
            stop.check()
            digest.update(chunk)
            done += len(chunk)
            if at is not None:
                at(done)
    return digest.hexdigest()


def sync(path: Path) -> None:
    """Have the file or folder on the disk itself before going on."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_durably(path: Path, data: bytes) -> None:
    """The whole file or none of it, also after a power loss."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync(path.parent)


def tree_size(folder: Path) -> int:
    """Bytes of all files under it; a file that vanishes meanwhile counts nothing."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(root) / name).stat().st_size
            except FileNotFoundError:
                continue
    return total
