"""Hashes learned at the first pull of files whose hash the catalog does not know."""

from __future__ import annotations

from pathlib import Path

import msgspec

from skerry.catalog.files import write_durably
from skerry.errors import ArtifactError


class Pins:
    """A small JSON file: trust on first use, then never again other bytes. Blocking."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> dict[str, str]:
        """All pins. Raises ArtifactError where the file is broken."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=dict[str, str])
        except FileNotFoundError:
            return {}
        except msgspec.DecodeError as error:
            raise ArtifactError(
                f"{self._path}: not JSON; delete it to trust the next pull again"
            ) from error

    def add(self, key: str, sha256: str) -> None:
        """Pin; the caller holds the pins' lock."""
        write_durably(self._path, msgspec.json.encode(self.read() | {key: sha256}))
