"""Web streams over async iterators: ReadableStream, its reader, TransformStream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from typing import Any

from _skerry.values import Result, Uint8Array

HIGH_WATER = 16
"""Chunks that a TransformStream holds before its writer waits."""


class ReadableStream:
    """Chunks in order, for one reader.

    Iterate it (`async for chunk in stream`), read it (`await stream.getReader().read()`), or hand
    it on whole: to a Response, to R2, to another request.
    """

    def __init__(self, source: AsyncIterable[Any] | Iterable[Any]) -> None:
        self._chunks = chunks_of(source)
        self._cancel = getattr(source, "cancel", None)
        self.locked = False
        self.disturbed = False

    @classmethod
    def new(cls, source: Any = None, *_: Any) -> ReadableStream:
        """As `new ReadableStream({start(controller), pull(controller)})`, or over an iterator."""
        if source is None:
            return cls(())
        if hasattr(source, "__aiter__") or isinstance(source, list | tuple):
            return cls(source)
        return cls(_underlying(source))

    def __aiter__(self) -> AsyncIterator[Any]:
        self.disturbed = True
        return self._chunks

    def getReader(self, *_: Any) -> Reader:
        if self.locked:
            raise TypeError("This ReadableStream is currently locked to a reader.")
        self.locked = True
        return Reader(self)

    async def cancel(self, *_: Any) -> None:
        self.disturbed = True
        close = getattr(self._chunks, "aclose", None)
        if close is not None:
            await close()
        if self._cancel is not None:
            await self._cancel()

    def tee(self) -> list[ReadableStream]:
        """Two streams of the same chunks; what one of them has not read yet is kept."""
        self.locked = self.disturbed = True
        source, kept = self._chunks, (asyncio.Queue[Any](), asyncio.Queue[Any]())
        lock = asyncio.Lock()
        end = object()

        async def branch(mine: asyncio.Queue[Any]) -> AsyncIterator[Any]:
            while True:
                async with lock:
                    if mine.empty():
                        chunk = await anext(source, end)
                        for queue in kept:
                            queue.put_nowait(chunk)
                chunk = mine.get_nowait()
                if chunk is end:
                    return
                yield chunk

        return [ReadableStream(branch(kept[0])), ReadableStream(branch(kept[1]))]

    def pipeThrough(self, transform: Any, *_: Any) -> ReadableStream:
        from _skerry.context import wait_until

        wait_until(self.pipeTo(transform.writable))
        readable: ReadableStream = transform.readable
        return readable

    async def pipeTo(self, writable: Any, *_: Any) -> None:
        writer = writable.getWriter()
        try:
            async for chunk in self:
                await writer.write(chunk)
        except BaseException as error:
            await writer.abort(error)
            raise
        await writer.close()

    @property
    def js_object(self) -> ReadableStream:
        return self


class Reader:
    """`await reader.read()` gives `{done, value}`."""

    def __init__(self, stream: ReadableStream) -> None:
        self._stream = stream

    async def read(self, *_: Any) -> Result:
        try:
            return Result(done=False, value=await anext(aiter(self._stream)))
        except StopAsyncIteration:
            return Result(done=True, value=None)

    async def cancel(self, *_: Any) -> None:
        await self._stream.cancel()

    def releaseLock(self) -> None:
        self._stream.locked = False


class WritableStream:
    """The end of a TransformStream that takes chunks."""

    def __init__(self, put: Any) -> None:
        self._put = put
        self.locked = False

    def getWriter(self) -> Writer:
        if self.locked:
            raise TypeError("This WritableStream is currently locked to a writer.")
        self.locked = True
        return Writer(self, self._put)


class Writer:
    """`await writer.write(chunk)`, `await writer.close()`."""

    def __init__(self, stream: WritableStream, put: Any) -> None:
        self._stream = stream
        self._put = put

    async def write(self, chunk: Any) -> None:
        await self._put("chunk", chunk)

    async def close(self) -> None:
        await self._put("end", None)

    async def abort(self, reason: Any = None) -> None:
        await self._put("error", reason)

    def releaseLock(self) -> None:
        self._stream.locked = False


class TransformStream:
    """What is written to `writable` is read from `readable`."""

    def __init__(self, transformer: Any = None) -> None:
        self._queue: asyncio.Queue[tuple[str, Any]] = asyncio.Queue(HIGH_WATER)
        self._transform = getattr(transformer, "transform", None)
        self.readable = ReadableStream(self._read())
        self.writable = WritableStream(self._write)

    @classmethod
    def new(cls, transformer: Any = None, *_: Any) -> TransformStream:
        return cls(transformer)

    async def _write(self, kind: str, value: Any) -> None:
        if kind == "chunk" and self._transform is not None:
            made: list[Any] = []
            done = self._transform(value, Result(enqueue=made.append))
            if hasattr(done, "__await__"):
                await done
            for each in made:
                await self._queue.put(("chunk", each))
            return
        await self._queue.put((kind, value))

    async def _read(self) -> AsyncIterator[Any]:
        while True:
            kind, value = await self._queue.get()
            if kind == "end":
                return
            if kind == "error":
                raise value if isinstance(value, BaseException) else OSError(str(value))
            yield value


async def _underlying(source: Any) -> AsyncIterator[Any]:
    """The chunks of an object with `start` and `pull`, as ReadableStream's constructor takes."""
    made: list[Any] = []
    closed = []
    controller = Result(enqueue=made.append, close=lambda: closed.append(True))
    for name in ("start", "pull"):
        call = source.get(name) if isinstance(source, dict) else getattr(source, name, None)
        while call is not None and not closed:
            done = call(controller)
            if hasattr(done, "__await__"):
                await done
            if name == "pull" and not made and not closed:
                return
            while made:
                yield made.pop(0)
            if name == "start":
                break


async def chunks_of(source: Any) -> AsyncIterator[Any]:
    """The chunks of an async or plain iterable; bytes get JavaScript's names."""
    if hasattr(source, "__aiter__"):
        async for chunk in source:
            yield Uint8Array(chunk) if type(chunk) in (bytes, bytearray) else chunk
    else:
        for chunk in source:
            yield Uint8Array(chunk) if type(chunk) in (bytes, bytearray) else chunk


def as_bytes(chunk: Any) -> bytes:
    """A chunk of a body as bytes; text as UTF-8. Raises TypeError for anything else."""
    if isinstance(chunk, bytes):
        return chunk
    if isinstance(chunk, str):
        return chunk.encode()
    if isinstance(chunk, bytearray | memoryview):
        return bytes(chunk)
    try:
        return memoryview(chunk).tobytes()
    except TypeError:
        raise TypeError(
            f"a body is made of bytes and text, not of {type(chunk).__name__}"
        ) from None
