"""What the artifacts of one pull share: downloaded packages, unpacked archives, one HTTP client."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType

import aiohttp

from skerry.catalog.files import sync

At = Callable[[int], None]
Make = Callable[[Path, At], Awaitable[None]]


class Workspace:
    """A folder of one pull. What is whole in it survives a kill -9 and is used by the next pull of
    the same entry; `finish` empties it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._locks: dict[str, asyncio.Lock] = {}
        self._listeners: dict[str, list[At]] = {}
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Workspace:
        await asyncio.to_thread(self._open)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=60)
        self._session = aiohttp.ClientSession(
            timeout=timeout, trust_env=True, auto_decompress=False
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._session is not None
        await self._session.close()

    def _open(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        for stale in self.folder.glob("try-*"):
            # a child of a killed process may still write there: what cannot go now goes next time
            shutil.rmtree(stale, ignore_errors=True)

    @property
    def session(self) -> aiohttp.ClientSession:
        """The pull's HTTP client; honours the proxy variables of the environment."""
        assert self._session is not None, "the workspace is not open"
        return self._session

    def fresh(self) -> Path:
        """A new empty folder for one try."""
        folder = self.folder / f"try-{os.getpid()}-{os.urandom(4).hex()}"
        folder.mkdir(parents=True)
        return folder

    async def once(self, key: str, make: Make, at: At | None = None) -> Path:
        """The file called `key`, made by `make(path, tell)` unless it is there; made once however
        many artifacts ask. `tell(bytes)` reaches the `at` of everyone who waits for it."""
        path = self.folder / hashlib.sha256(key.encode()).hexdigest()[:32]
        lock = self._locks.setdefault(key, asyncio.Lock())
        listeners = self._listeners.setdefault(key, [])
        if at is not None:
            listeners.append(at)

        def tell(done: int) -> None:
            for listener in list(listeners):
                listener(done)

        try:
            async with lock:
                if not await asyncio.to_thread(path.is_file):
                    await self._make(path, make, tell)
        finally:
            if at is not None:
                listeners.remove(at)
        return path

    async def _make(self, path: Path, make: Make, tell: At) -> None:
        folder = await asyncio.to_thread(self.fresh)
        try:
            await make(folder / "file", tell)
            await asyncio.to_thread(_publish, folder / "file", path)
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, True)

    async def finish(self) -> None:
        """The pull is whole: nothing here is needed any more."""
        await asyncio.to_thread(shutil.rmtree, self.folder, True)


def _publish(made: Path, path: Path) -> None:
    sync(made)
    made.replace(path)
