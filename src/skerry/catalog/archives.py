"""One member out of a zip or tar, and nothing else: no path of the archive is ever used."""

from __future__ import annotations

import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from skerry.catalog.blocking import Stop
from skerry.catalog.files import FULL, pour
from skerry.errors import ArtifactError

LIMIT = 16 << 30
"""Bytes that a member may have where the catalog does not say."""
TAR_LIMIT = 32 << 30
"""Bytes that a tar may unpack to before the member is found."""

_BROKEN = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, struct.error),
    *(NotImplementedError, ValueError, RuntimeError, OverflowError),
)
"""What broken bytes make zipfile and tarfile raise."""


def check_member(member: str) -> None:
    """Raise ArtifactError where a member's name would lead out of a folder."""
    path = PurePosixPath(member)
    if not member or path.is_absolute() or ".." in path.parts or "\\" in member or "\0" in member:
        raise ArtifactError(f"{member!r} is not a safe name for a member of an archive")


def extract(
    archive: Path,
    member: str,
    target: Path,
    stop: Stop,
    *,
    limit: int | None = None,
    at: Callable[[int], None] | None = None,
) -> None:
    """Write `member` of a .zip, .whl, .tar or .tgz to `target`.

    Raises ArtifactError: no such member, not a regular file, larger than `limit`, broken archive.
    Blocking.
    """
    check_member(member)
    bound = LIMIT if limit is None else limit
    try:
        if zipfile.is_zipfile(archive):
            _from_zip(archive, member, target, stop, bound, at)
        elif tarfile.is_tarfile(archive):
            _from_tar(archive, member, target, stop, bound, at)
        else:
            raise ArtifactError("is neither a zip nor a tar archive")
    except _BROKEN as error:
        raise ArtifactError(f"is a broken archive: {error}") from error
    except OSError as error:
        if error.errno in FULL:
            raise
        raise ArtifactError(f"is a broken archive, or cannot be read: {error}") from error


def _check_size(member: str, size: int, bound: int) -> None:
    if size > bound:
        raise ArtifactError(f"member {member} has {size} bytes, more than the {bound} it may have")


def _from_zip(
    archive: Path,
    member: str,
    target: Path,
    stop: Stop,
    bound: int,
    at: Callable[[int], None] | None,
) -> None:
    with zipfile.ZipFile(archive) as file:
        try:
            info = file.getinfo(member)
        except KeyError as error:
            raise ArtifactError(f"has no member {member}") from error
        mode = info.external_attr >> 16
        if info.is_dir() or (mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG)):
            raise ArtifactError(f"member {member} is not a regular file")
        if info.flag_bits & 1:
            raise ArtifactError(f"member {member} is encrypted")
        _check_size(member, info.file_size, bound)
        with file.open(info) as source, target.open("wb") as sink:
            pour(source, sink, stop, limit=bound, at=at)  # type: ignore[arg-type]


def _from_tar(
    archive: Path,
    member: str,
    target: Path,
    stop: Stop,
    bound: int,
    at: Callable[[int], None] | None,
) -> None:
    seen = 0
    with tarfile.open(archive, "r:*") as file:
        for info in file:
            stop.check()
            seen += info.size
            if seen > TAR_LIMIT:
                raise ArtifactError(f"unpacks to more than {TAR_LIMIT} bytes")
            if info.name != member:
                continue
            if not info.isreg():
                raise ArtifactError(f"member {member} is not a regular file")
            _check_size(member, info.size, bound)
            source = file.extractfile(info)
            assert source is not None  # a regular file
            with source, target.open("wb") as sink:
                pour(source, sink, stop, limit=bound, at=at)  # type: ignore[arg-type]
            return
    raise ArtifactError(f"has no member {member}")
