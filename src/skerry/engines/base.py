"""The engine: what executes a model. One small abstract class, found by entry point.

An engine is loaded in a runner process, once, for one model. `run` blocks; the runner calls it
from up to `capacity` threads at once. An engine that batches continuously inside (llama.cpp,
OpenVINO GenAI) has a large capacity and lets the calls wait on its own loop.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import msgspec

from skerry.tasks.base import Call, Feeds, ModelFiles, Outcome


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """How a model is to be run: what `tune` chose, or the catalog's first guess."""

    engine: str
    precision: str = "fp32"
    """fp32, bf16, int8; for GGUF files the file's own quantisation ("gguf")."""
    streams: int = 1
    """Batches executed at once (tensor engines), or slots (generating engines)."""
    threads: int = 0
    """CPU threads for all streams together; 0: all that the process may use."""
    options: dict[str, Any] = {}
    up_to: int = 0
    """Calls under way in the runner up to which this choice is preferred to the next one (the
    other engine is better at many streams); 0: no bound."""


class Sink(ABC):
    """Where an engine's pieces go while a call runs."""

    streaming: bool
    """False: nobody looks at the pieces; an engine may skip them."""

    @property
    @abstractmethod
    def cancelled(self) -> bool:
        """The caller has gone: stop soon, return what there is."""

    @abstractmethod
    def emit(self, text: str) -> None:
        """A piece of text; thread-safe, never blocks for long."""


class Engine(ABC):
    """A loaded model."""

    name: ClassVar[str]
    precisions: ClassVar[tuple[str, ...]] = ("fp32",)
    """What `tune` may try."""
    default_streams: ClassVar[int] = 1
    """`Choice.streams` where nothing was measured: batches at once, or slots."""
    distributions: ClassVar[tuple[str, ...]] = ()
    """Packages whose version a measurement of this engine depends on."""
    capacity: int = 1
    """Calls of `run` or `infer` that may be under way at once."""

    @classmethod
    @abstractmethod
    def missing(cls) -> str | None:
        """None if the engine can be used here, else what to install ("pip install skerry[onnx]").

        Must not import the engine's package."""

    @classmethod
    def convert(cls, files: ModelFiles, choice: Choice) -> None:
        """Write the engine's own form of the model beside its files, once, before `load`.

        The default has none. Writes to a temporary name and renames. May take minutes (int8
        calibration); runs in a process of its own at pull, never in the node."""

    @classmethod
    @abstractmethod
    def load(cls, files: ModelFiles, choice: Choice) -> Engine:
        """Load the model. Blocking. Raises EngineError."""

    def close(self) -> None:
        """Free everything."""


class TensorEngine(Engine):
    """Executes a graph: arrays in, arrays out."""

    @abstractmethod
    def infer(self, feeds: Feeds, stream: int) -> Feeds:
        """Run one batch on stream 0 … capacity-1 (no two calls share a stream at once)."""


class CallEngine(Engine):
    """Generates: text, transcripts, speech."""

    def serves(self, call: Call) -> bool:
        """Whether `run` can do this call; False hands it to the model's next choice. Cheap."""
        return True

    @abstractmethod
    def run(self, call: Call, sink: Sink) -> Outcome:
        """Execute one call. Raises AiError for what the caller did wrong (context too long)."""
