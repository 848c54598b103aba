"""Engines for the tests of tuning: right and slow, wrong and fast, crashing, hanging."""

from __future__ import annotations

import hashlib
import os
import signal
import threading
import time
from typing import ClassVar

import numpy as np

from skerry.engines.base import CallEngine, Choice, Engine, Sink, TensorEngine
from skerry.tasks.base import Call, Feeds, Generate, Generated, ModelFiles, Outcome


class Exact(TensorEngine):
    """Right: a vector that the ids alone decide. Slow: 4 ms a batch."""

    name = "stub-exact"
    seconds: ClassVar[float] = 0.004
    salt: ClassVar[bytes] = b""

    @classmethod
    def missing(cls) -> str | None:
        return None

    @classmethod
    def load(cls, files: ModelFiles, choice: Choice) -> Engine:
        engine = cls()
        engine.capacity = choice.streams
        return engine

    def infer(self, feeds: Feeds, stream: int) -> Feeds:
        time.sleep(self.seconds)
        ids, mask = feeds["input_ids"], feeds["attention_mask"]
        rows = [
            _vector(self.salt + row[kept > 0].tobytes())
            for row, kept in zip(ids, mask, strict=True)
        ]
        return {"sentence_embedding": np.stack(rows)}


class Wrong(Exact):
    """Fast, and wrong at every text."""

    name = "stub-wrong"
    precisions: ClassVar[tuple[str, ...]] = ("int8",)
    seconds: ClassVar[float] = 0.0
    salt: ClassVar[bytes] = b"wrong"


class NotANumber(Exact):
    """Fast, and NaN."""

    name = "stub-nan"
    precisions: ClassVar[tuple[str, ...]] = ("int8",)
    seconds: ClassVar[float] = 0.0

    def infer(self, feeds: Feeds, stream: int) -> Feeds:
        return {"sentence_embedding": np.full((len(feeds["input_ids"]), 16), np.nan, np.float32)}


class Crash(Exact):
    """Takes its process down."""

    name = "stub-crash"

    def infer(self, feeds: Feeds, stream: int) -> Feeds:
        os.kill(os.getpid(), signal.SIGSEGV)
        raise AssertionError


class Hang(Exact):
    """Never loads."""

    name = "stub-hang"

    @classmethod
    def load(cls, files: ModelFiles, choice: Choice) -> Engine:
        threading.Event().wait()
        raise AssertionError


class Absent(Exact):
    """Its library is not installed."""

    name = "stub-absent"

    @classmethod
    def missing(cls) -> str | None:
        return "pip install stub-absent"


class Makes(Exact):
    """Writes a file of its own for each precision; its int8 is right, and the fastest."""

    name = "stub-makes"
    precisions: ClassVar[tuple[str, ...]] = ("fp32", "int8")

    @classmethod
    def convert(cls, files: ModelFiles, choice: Choice) -> None:
        files.path(f"made-{choice.precision}.bin").write_bytes(b"x")

    @classmethod
    def load(cls, files: ModelFiles, choice: Choice) -> Engine:
        engine = super().load(files, choice)
        engine.seconds = 0.0005 if choice.precision == "int8" else 0.02  # type: ignore[attr-defined]
        return engine


class Few(CallEngine):
    """Generates: fast for one, no faster for many."""

    name = "stub-few"
    precisions: ClassVar[tuple[str, ...]] = ("gguf",)
    default_streams: ClassVar[int] = 8
    pause: ClassVar[float] = 0.02
    exclusive: ClassVar[bool] = True

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.capacity = 8

    @classmethod
    def missing(cls) -> str | None:
        return None

    @classmethod
    def load(cls, files: ModelFiles, choice: Choice) -> Engine:
        return cls()

    def run(self, call: Call, sink: Sink) -> Outcome:
        assert isinstance(call, Generate)
        if self.exclusive:
            with self._lock:
                time.sleep(self.pause)
        else:
            time.sleep(self.pause)
        return Generated(text="x", finish_reason="stop", prompt_tokens=1, completion_tokens=10)


class Many(Few):
    """Generates: slow for one, as fast for each of many."""

    name = "stub-many"
    pause: ClassVar[float] = 0.06
    exclusive: ClassVar[bool] = False


def _vector(data: bytes) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    seed = int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")
    vector = np.random.default_rng(seed).normal(size=16).astype(np.float32)
    return vector / np.linalg.norm(vector)
