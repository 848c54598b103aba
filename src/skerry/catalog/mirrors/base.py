"""A mirror: a place that a file of weights can be had from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import msgspec

from skerry.catalog.workspace import Workspace


class Fetch(msgspec.Struct, kw_only=True):
    """One file, as a mirror is asked for it."""

    path: Path
    """Where the bytes go. May hold the first bytes already, from an earlier try or another
    mirror: a mirror that can continue does so, any other replaces the file in one step."""
    size: int | None
    sha256: str | None
    work: Workspace
    at: Callable[[int], None]
    """Tell how many bytes there are."""
    sized: Callable[[int], None]
    """Tell how many there will be."""


class Mirror(ABC):
    """One kind of mirror, by the scheme before the colon."""

    scheme: ClassVar[str]
    local: ClassVar[bool] = False
    """Needs no network: stays open when offline."""

    @abstractmethod
    async def fetch(self, address: str, want: Fetch) -> None:
        """Write the file. `address` is what stands behind "scheme:".

        Raises ArtifactError saying why it cannot be had here, HashMismatch where the mirror
        itself says that it has other bytes, DiskFull. The store checks the hash afterwards.
        """
