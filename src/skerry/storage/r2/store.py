"""The file and the folder under the embedded R2."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import apsw

from skerry.storage.blob_index import BlobIndex
from skerry.storage.r2 import rows
from skerry.storage.r2.base import UPLOAD_SECONDS


class Store(BlobIndex):
    """What the buckets of an account share."""

    def __init__(self, root: Path, clock: Callable[[], float] = time.time) -> None:
        super().__init__(root, "r2", rows.SCHEMA, ("objects", "parts"))
        self._clock = clock

    def now(self) -> int:
        """Milliseconds since 1970."""
        return int(self._clock() * 1000)

    def due(self, db: apsw.Connection) -> bool:
        query = "SELECT 1 FROM uploads WHERE created < ? LIMIT 1"
        return super().due(db) or db.execute(query, (self._oldest(),)).fetchone() is not None

    def begin(self, db: apsw.Connection) -> None:
        """Abort the uploads that nobody completed, and forget those that are over."""
        oldest = (self._oldest(),)
        query = "SELECT id FROM uploads WHERE created < ? AND state = 0"
        for (upload,) in db.execute(query, oldest).fetchall():
            rows.remove_parts(db, str(upload))
        db.execute("DELETE FROM uploads WHERE created < ?", oldest)

    def _oldest(self) -> int:
        return self.now() - UPLOAD_SECONDS * 1000
