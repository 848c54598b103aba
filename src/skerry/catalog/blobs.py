"""Whole files by their hash. A blob that is there is right."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from skerry.catalog.blocking import Stop
from skerry.catalog.files import full_disk, sync
from skerry.catalog.layout import Layout


class Blobs:
    """The content-addressed part of the store. All methods block."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def find(self, sha256: str, size: int | None = None) -> Path | None:
        """The blob, if it is there (and of the size that it should have)."""
        path = self._layout.blob(sha256)
        try:
            found = path.stat().st_size
        except FileNotFoundError:
            return None
        if size is not None and found != size:
            path.unlink(missing_ok=True)  # cut or grown behind our back: not this blob
            return None
        return path

    def keep(self, file: Path, sha256: str) -> Path:
        """Move a file whose hash was just computed into the store, durably."""
        path = self._layout.blob(sha256)
        with full_disk(sha256[:12], self._layout.root):
            path.parent.mkdir(parents=True, exist_ok=True)
            sync(file)
            file.chmod(0o444)
            file.replace(path)
            sync(path.parent)
        return path

    def link(self, sha256: str, target: Path, stop: Stop) -> int:
        """Put the blob at `target`: a hard link, else a symbolic one, else a copy. Its size."""
        stop.check()
        path = self._layout.blob(sha256)
        try:
            os.link(path, target)
        except OSError:
            with contextlib.suppress(FileExistsError):
                try:
                    target.symlink_to(os.path.relpath(path, target.parent))
                except NotImplementedError:
                    shutil.copyfile(path, target)
        return path.stat().st_size

    def drop_unused(self, used: set[str]) -> int:
        """Delete every blob that no model directory names; the bytes freed."""
        freed = 0
        folder = self._layout.root / "blobs" / "sha256"
        for path in folder.glob("*/*"):
            if path.name not in used:
                freed += path.stat().st_size
                path.unlink(missing_ok=True)
        return freed
