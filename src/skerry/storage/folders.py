"""Folders whose entries survive a power loss."""

from __future__ import annotations

import os
from pathlib import Path


def make_folders(path: Path, *, durable: bool) -> None:
    """Make a folder and those above it; where it must last, each before what it holds."""
    if path.is_dir():
        return
    make_folders(path.parent, durable=durable)
    path.mkdir(exist_ok=True, mode=0o700)
    if durable:
        sync(path.parent)


def sync(folder: Path) -> None:
    """Have a folder's entries on the disk itself."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
