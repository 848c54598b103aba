"""Bytes in files beside a database that says which of them count.

A file is written whole and then named in a transaction of the database; until then nobody sees
it. What a crash leaves is a file that no row names: `sweep` deletes those of processes that are no
more (sessions.py tells), and never touches what a live process is about to name.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Sequence,
)
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import msgspec

from skerry.storage.failures import translated
from skerry.storage.folders import sync
from skerry.storage.sessions import FOLDER, Sessions
from skerry.storage.threads import in_thread

T = TypeVar("T")

CHUNK = 1 << 20
"""Bytes that are gathered before they are written."""
PIECE = 1 << 18
"""Bytes of a piece that is read."""

Body = bytes | AsyncIterable[bytes]


class Blob(msgspec.Struct, frozen=True):
    """A file that was written whole."""

    name: str
    size: int
    digests: dict[str, bytes]
    """hashlib's name of an algorithm -> digest."""


class Range(msgspec.Struct, frozen=True):
    """A part of a file."""

    name: str
    offset: int
    length: int


class Blobs:
    """The files of one store. `durable`: on the disk itself before `store` returns."""

    def __init__(self, root: Path, *, durable: bool = True) -> None:
        self.root = root
        self.durable = durable
        self.sessions = Sessions(root, durable=durable)
        self._held: Counter[str] = Counter()
        self._doomed: set[str] = set()

    async def store(
        self, body: Body, *, hashes: Iterable[str] = (), check: Callable[[int], None] | None = None
    ) -> Blob:
        """Write a file. `check(size)` is asked as it grows, and may raise.

        Whatever goes wrong leaves no file behind. Raises StorageFull, StorageBroken.
        """
        writer = _Writer(self, hashes)
        try:
            waiting: list[bytes] = []
            size = gathered = 0
            async for piece in _pieces(body):
                size += len(piece)
                gathered += len(piece)
                if check is not None:
                    check(size)
                waiting.append(piece)
                if gathered >= CHUNK:
                    await self._work(writer.writing(waiting))
                    waiting, gathered = [], 0
            return await self._work(writer.finishing(waiting))
        except BaseException:
            await in_thread(writer.discard)
            raise

    @asynccontextmanager
    async def open(self, ranges: Sequence[Range]) -> AsyncGenerator[AsyncIterator[bytes], None]:
        """The bytes of ranges of files, one after the other.

        The first file is open on entry; none is deleted before the exit, by this process.
        Raises FileNotFoundError where the first is gone, OSError and EOFError where the bytes end
        before their time.
        """
        names = [each.name for each in ranges]
        self._held.update(names)
        reader = _Reader(self.root, ranges)
        try:
            await in_thread(reader.begin)
            yield reader
        finally:
            reader.close()
            await self._release(names)

    async def drop(self, names: Iterable[str]) -> None:
        """Delete files; one that is being read, when it was read."""
        now: list[str] = []
        for name in names:
            if name in self._held:
                self._doomed.add(name)
            else:
                now.append(name)
        if now:
            await in_thread(lambda: self._unlink(now))

    async def sweep(self, named: Callable[[Sequence[str]], Awaitable[set[str]]]) -> int:
        """Delete what processes left that are no more; `named` tells which of some names count.

        Answers how many files went. Call it when the store is opened.
        """
        gone = 0
        for session in await in_thread(self.sessions.others):
            handle = await in_thread(lambda given=session: self.sessions.take(given))  # type: ignore[misc]
            if handle is None:
                continue
            try:
                gone += await self._sweep(session, named)
            finally:
                os.close(handle)
        return gone

    async def close(self) -> None:
        """End the session. What was stored must have been named or dropped by then."""
        await in_thread(self.sessions.close)

    async def _sweep(
        self, session: str, named: Callable[[Sequence[str]], Awaitable[set[str]]]
    ) -> int:
        gone = 0
        files = await in_thread(lambda: list(self.sessions.files(session)))
        for at in range(0, len(files), FOLDER):
            some = files[at : at + FOLDER]
            orphans = sorted(set(some) - await named(some))
            await self._drop_all(orphans)
            gone += len(orphans)
        await in_thread(lambda: self.sessions.forget(session))
        return gone

    async def _drop_all(self, names: list[str]) -> None:
        await in_thread(lambda: self._unlink(names))

    async def _release(self, names: Iterable[str]) -> None:
        free: list[str] = []
        for name in names:
            self._held[name] -= 1
            if self._held[name] <= 0:
                del self._held[name]
                if name in self._doomed:
                    self._doomed.discard(name)
                    free.append(name)
        await self.drop(free)

    async def _work(self, work: Callable[[], T]) -> T:
        try:
            return await in_thread(work)
        except OSError as error:
            raise translated(error, self.root / "blobs") from error

    def _unlink(self, names: Iterable[str]) -> None:
        for name in names:
            (self.root / name).unlink(missing_ok=True)


async def _pieces(body: Body) -> AsyncIterator[bytes]:
    if isinstance(body, bytes):
        yield body
        return
    async for piece in body:
        yield piece


class _Writer:
    """One file on its way: NUMBER.part, until it is whole."""

    def __init__(self, blobs: Blobs, hashes: Iterable[str]) -> None:
        self._blobs = blobs
        self._digests = {name: hashlib.new(name, usedforsecurity=False) for name in hashes}
        self._path: Path | None = None
        self._name = ""
        self._handle = -1
        self._size = 0

    def writing(self, pieces: list[bytes]) -> Callable[[], None]:
        """The blocking work of writing some pieces."""
        return lambda: self._write(pieces)

    def finishing(self, pieces: list[bytes]) -> Callable[[], Blob]:
        """The blocking work of writing the last pieces and having the whole on the disk."""
        return lambda: self._finish(pieces)

    def discard(self) -> None:
        """Leave nothing behind. Blocks."""
        self._close()
        if self._path is not None:
            self._part().unlink(missing_ok=True)
            self._path.unlink(missing_ok=True)

    def _write(self, pieces: list[bytes]) -> None:
        if self._path is None:
            self._name = self._blobs.sessions.name()
            self._path = self._blobs.root / self._name
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self._handle = os.open(self._part(), flags, 0o600)
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        for digest in self._digests.values():
            digest.update(data)
        left = memoryview(data)
        while left:
            left = left[os.write(self._handle, left) :]
        self._size += len(data)

    def _finish(self, pieces: list[bytes]) -> Blob:
        self._write(pieces)
        assert self._path is not None
        if self._blobs.durable:
            os.fsync(self._handle)
        self._close()
        self._part().rename(self._path)
        if self._blobs.durable:
            sync(self._path.parent)
        digests = {name: digest.digest() for name, digest in self._digests.items()}
        return Blob(self._name, self._size, digests)

    def _part(self) -> Path:
        assert self._path is not None
        return self._path.with_name(f"{self._path.name}.part")

    def _close(self) -> None:
        handle, self._handle = self._handle, -1
        if handle >= 0:
            os.close(handle)


class _Reader(AsyncIterator[bytes]):
    """The bytes of ranges, a piece at a time."""

    def __init__(self, root: Path, ranges: Sequence[Range]) -> None:
        self._root = root
        self._left = [each for each in ranges if each.length]
        self._handle = -1
        self._done = 0

    def begin(self) -> None:
        """Open the first file. Blocks."""
        if self._left:
            self._open()

    async def __anext__(self) -> bytes:
        while self._left and self._done == self._left[0].length:
            self.close()
            self._left.pop(0)
            self._done = 0
        if not self._left:
            raise StopAsyncIteration
        piece = await in_thread(self._read)
        if not piece:
            raise EOFError(f"{self._left[0].name} is shorter than it was")
        self._done += len(piece)
        return piece

    def close(self) -> None:
        """Close the file that is open."""
        handle, self._handle = self._handle, -1
        if handle >= 0:
            os.close(handle)

    def _open(self) -> None:
        flags = os.O_RDONLY | os.O_CLOEXEC
        self._handle = os.open(self._root / self._left[0].name, flags)

    def _read(self) -> bytes:
        if self._handle < 0:
            self._open()
        part = self._left[0]
        size = min(PIECE, part.length - self._done)
        return os.pread(self._handle, size, part.offset + self._done)
