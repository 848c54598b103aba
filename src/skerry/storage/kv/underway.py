"""The keys whose writes are on their way to the disk: a read waits for those before it.

Published code answers with what it computed and puts it into KV by waitUntil. Its next request
finds the value only if the put, which came first, is not overtaken while it waits for its commit.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Iterator

Key = tuple[str, bytes]
"""Namespace and key."""


class Underway:
    """Writes of this process to one account. Writes are committed in the order they come in, so
    that the last one of a key stands for all before it."""

    def __init__(self) -> None:
        self._last: dict[Key, asyncio.Future[None]] = {}

    @contextlib.contextmanager
    def writing(self, keys: Iterable[Key]) -> Iterator[None]:
        """Reads of these keys that begin within the block end after it."""
        done = asyncio.get_running_loop().create_future()
        own = list(keys)
        for key in own:
            self._last[key] = done
        try:
            yield
        finally:
            done.set_result(None)
            for key in own:
                if self._last.get(key) is done:
                    del self._last[key]

    async def before(self, keys: Iterable[Key]) -> None:
        """Wait for the writes of these keys that have begun, whether or not they succeed."""
        if self._last:
            await _all({self._last[key] for key in keys if key in self._last})

    async def before_all(self, namespace: str) -> None:
        """Wait for the writes of a whole namespace that have begun."""
        await _all({done for key, done in self._last.items() if key[0] == namespace})


async def _all(waiting: set[asyncio.Future[None]]) -> None:
    if waiting:
        await asyncio.wait(waiting)
