"""What a node and a runner say to each other, and how it is framed.

A frame is a 4-byte little-endian length and that many bytes of msgpack: a list of messages.
Several messages in one frame cost one system call and one wake-up. numpy arrays travel as
extension 1: msgpack [dtype, shape, bytes].
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from skerry.engines.base import Choice
from skerry.types import Timing, Usage

LENGTH = struct.Struct("<I")
MAX_FRAME = 256 << 20
ARRAY = 1


class Load(msgspec.Struct, tag="load", array_like=True):
    """Node to runner, first: load this model."""

    name: str
    task: str
    directory: str
    options: dict[str, Any]
    context: int | None
    choices: list[Choice]
    """The first answers all it can; later ones serve what it cannot (grammar)."""
    task_at: str = ""
    """"module:attribute" of the task's class, so that the runner need not scan entry points
    (75 ms) nor import the other tasks; empty: look it up by name."""
    engines_at: dict[str, str] = {}
    """The same for engines, by name."""
    loras: str = ""
    """The folder of the user's LoRA adapters for the model; it need not be there."""

    def variables(self) -> list[str]:
        """The environment variables that the engines name as holding an API key."""
        options = [choice.options for choice in self.choices]
        return [str(each["key_env"]) for each in options if each.get("key_env")]


class Run(msgspec.Struct, tag="run", array_like=True):
    """Node to runner: answer this request."""

    id: int
    inputs: dict[str, Any]
    stream: bool
    timeout: float
    """Seconds from now; the runner drops what is older."""


class Cancel(msgspec.Struct, tag="cancel", array_like=True):
    """Node to runner: nobody waits for this one any more."""

    id: int


class Progress(msgspec.Struct, tag="progress", array_like=True):
    """Runner to node: how far loading is (fraction 0 … 1)."""

    text: str
    fraction: float


class Ready(msgspec.Struct, tag="ready", array_like=True):
    """Runner to node: the model is loaded."""

    bytes: int
    """Resident set of the runner."""
    capacity: int


class Refused(msgspec.Struct, tag="refused", array_like=True):
    """Runner to node: the model cannot be loaded; the runner ends."""

    message: str


class Piece(msgspec.Struct, tag="piece", array_like=True):
    """Runner to node: a streamed piece."""

    id: int
    value: dict[str, Any]


class Done(msgspec.Struct, tag="done", array_like=True):
    """Runner to node: the answer (for a stream: the last piece)."""

    id: int
    value: Any
    usage: Usage
    timing: Timing


class Fail(msgspec.Struct, tag="fail", array_like=True):
    """Runner to node: the request failed; kind is a class name of errors.py."""

    id: int
    kind: str
    message: str
    retry_after: float | None = None


ToRunner = Load | Run | Cancel
ToNode = Progress | Ready | Refused | Piece | Done | Fail


def _encode_hook(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        array = np.ascontiguousarray(value)
        packed = msgspec.msgpack.encode((array.dtype.str, list(array.shape), array.data.cast("B")))
        return msgspec.msgpack.Ext(ARRAY, packed)
    if isinstance(value, np.generic):
        return value.item()
    raise NotImplementedError(f"cannot send a {type(value).__name__}")


def _ext_hook(code: int, data: memoryview) -> Any:
    if code != ARRAY:
        raise NotImplementedError(f"extension {code}")
    dtype, shape, raw = msgspec.msgpack.decode(data, type=tuple[str, list[int], bytes])
    return np.frombuffer(raw, np.dtype(dtype)).reshape(shape)


_encoder = msgspec.msgpack.Encoder(enc_hook=_encode_hook)
_from_node = msgspec.msgpack.Decoder(list[ToRunner], ext_hook=_ext_hook)
_from_runner = msgspec.msgpack.Decoder(list[ToNode], ext_hook=_ext_hook)


def encode(message: ToRunner | ToNode) -> bytes:
    """One message, to be put in a frame.

    Raises TypeError, ValueError, OverflowError or NotImplementedError on what msgpack cannot say.
    """
    return _encoder.encode(message)


def frame(messages: Sequence[bytes]) -> bytes:
    """A frame of encoded messages."""
    count = len(messages)
    if count < 16:
        head = bytes((0x90 | count,))
    elif count < 1 << 16:
        head = b"\xdc" + count.to_bytes(2, "big")
    else:
        head = b"\xdd" + count.to_bytes(4, "big")
    body = len(head) + sum(map(len, messages))
    return b"".join((LENGTH.pack(body), head, *messages))


def pack(messages: Sequence[ToRunner] | Sequence[ToNode]) -> bytes:
    """One frame."""
    return frame([_encoder.encode(message) for message in messages])


def unpack_for_runner(body: bytes | bytearray | memoryview) -> list[ToRunner]:
    """The messages of a frame's body. Raises msgspec.DecodeError."""
    return _from_node.decode(body)


def unpack_for_node(body: bytes | bytearray | memoryview) -> list[ToNode]:
    """The messages of a frame's body. Raises msgspec.DecodeError."""
    return _from_runner.decode(body)


class Frames:
    """Cuts a stream of bytes into the bodies of frames."""

    def __init__(self, limit: int = MAX_FRAME) -> None:
        self._limit = limit
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[memoryview]:
        """Bodies that are now whole. Raises ValueError where a length is past the limit."""
        if self._rest:
            self._rest += data
            view = memoryview(self._rest)
        else:
            view = memoryview(data)
        bodies = []
        at, end = 0, len(view)
        while end - at >= 4:
            (length,) = LENGTH.unpack_from(view, at)
            if length > self._limit:
                raise ValueError(f"a frame of {length} bytes; the bound is {self._limit}")
            if end - at - 4 < length:
                break
            bodies.append(view[at + 4 : at + 4 + length])
            at += 4 + length
        if at or not self._rest:
            self._rest = bytearray(view[at:])
        return bodies
