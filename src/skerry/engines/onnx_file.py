"""What a graph's file is, for names of files made from it."""

from __future__ import annotations

import hashlib
from pathlib import Path


def model_digest(path: Path) -> str:
    """sha256 of the file, and of the weights beside it where it is an OpenVINO graph."""
    digest = hashlib.sha256()
    for part in (path, path.with_suffix(".bin")):
        if part.is_file():
            with part.open("rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
    return digest.hexdigest()
