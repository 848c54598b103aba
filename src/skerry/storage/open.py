"""The stores of a node: opened when first asked for, closed together."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import apsw

from skerry.errors import StorageError
from skerry.storage.sqlite import Database

Clock = Callable[[], float]
"""Unix time in seconds."""

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}")


def folder_name(name: str) -> str:
    """A name from outside as one part of a path: `name` itself where it is harmless.

    Raises StorageError for what could lead elsewhere.
    """
    if _NAME.fullmatch(name) is None:
        raise StorageError(
            f"{name[:100]!r} cannot name a store: use letters, digits, '-', '_' and '.'"
        )
    return name


class Stores:
    """Hands out stores by account and name: `<data_dir>/accounts/<account>/<kind>/…`.

    Holds nothing of record: another process may have the same folder open.
    """

    def __init__(self, data_dir: Path, *, clock: Clock = time.time) -> None:
        self._accounts = data_dir / "accounts"
        self.clock = clock
        self._databases: dict[Path, Database] = {}

    def folder(self, account: str, kind: str) -> Path:
        """Where the stores of one kind of an account are; it may not exist yet."""
        return self._accounts / folder_name(account) / kind

    def database(
        self,
        path: Path,
        schema: Sequence[str],
        *,
        readers: int = 2,
        setup: Callable[[apsw.Connection], None] | None = None,
    ) -> Database:
        """The one Database of this file in this process; `close` closes it."""
        known = self._databases.get(path)
        if known is None:
            known = Database(path, schema, readers=readers, setup=setup)
            self._databases[path] = known
        return known

    async def forget(self, path: Path) -> None:
        """Close the Database of this file, before the file is deleted."""
        known = self._databases.pop(path, None)
        if known is not None:
            await known.close()

    async def close(self) -> None:
        """Do what waits, and close every file."""
        for path in list(self._databases):
            await self.forget(path)
