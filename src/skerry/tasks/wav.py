"""WAV files, read and written by hand: the common case needs no decoder."""

from __future__ import annotations

import struct

import msgspec
import numpy as np

from skerry.errors import InvalidData
from skerry.tasks.base import Array

PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE
MAX_CHUNKS = 1000


class Wave(msgspec.Struct, frozen=True):
    """What a WAV file says of itself."""

    kind: int
    """1 PCM, 3 float; others are compressed."""
    channels: int
    rate: int
    """Frames a second."""
    bits: int
    start: int
    """Where its samples begin …"""
    size: int
    """… and how many bytes of them there are in the file."""

    @property
    def frames(self) -> int:
        return self.size // max(1, self.channels * self.bits // 8)

    @property
    def seconds(self) -> float:
        return self.frames / self.rate


def is_wav(data: bytes) -> bool:
    return data[:4] in (b"RIFF", b"RIFX", b"RF64") and data[8:12] == b"WAVE"


def read_header(data: bytes, field: str = "audio") -> Wave:
    """Raises InvalidData for a header that is cut short or says what cannot be."""
    if data[:4] != b"RIFF":
        raise InvalidData(f"{field} is a {data[:4].decode('latin-1')} file. Send a plain WAV")
    fmt: tuple[int, int, int, int] | None = None
    at = 12
    for _ in range(MAX_CHUNKS):
        if at + 8 > len(data):
            break
        name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        body = at + 8
        if name == b"fmt ":
            fmt = _format(data[body : body + size], field)
        elif name == b"data":
            if fmt is None:
                raise InvalidData(f"{field}: the WAV has its data before its format")
            # Writers that stream leave 0 or 0xFFFFFFFF as the size: what is there counts.
            there = len(data) - body
            return Wave(*fmt, body, there if size in (0, 0xFFFFFFFF) else min(size, there))
        at = body + size + (size & 1)
    missing = "data" if fmt else "format"
    raise InvalidData(f"{field}: the WAV has no {missing}; is it cut short? Send the whole file")


def _format(body: bytes, field: str) -> tuple[int, int, int, int]:
    try:
        kind, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", body)
    except struct.error as error:
        raise InvalidData(f"{field}: the WAV's format is cut short. Send the whole file") from error
    if kind == EXTENSIBLE and len(body) >= 26:
        kind = int.from_bytes(body[24:26], "little")
    if not 1 <= channels <= 64:
        raise InvalidData(f"{field}: the WAV says that it has {channels} channels")
    if not 100 <= rate <= 768_000:
        raise InvalidData(f"{field}: the WAV says that it has {rate} samples a second")
    return kind, channels, rate, bits


def read_samples(data: bytes, wave: Wave) -> Array | None:
    """float32 mono [n], -1 … 1, at the file's own rate; None for a compressed kind.

    An odd byte at the end is left out; not-a-number counts as silence.
    """
    width = wave.bits // 8
    if (wave.kind, wave.bits) not in {
        (PCM, 8),
        (PCM, 16),
        (PCM, 24),
        (PCM, 32),
        (FLOAT, 32),
        (FLOAT, 64),
    }:
        return None
    count = wave.frames * wave.channels
    raw = data[wave.start : wave.start + count * width]
    values: Array
    if wave.kind == FLOAT:
        values = np.frombuffer(raw, f"<f{width}").astype(np.float32)
        values = np.clip(np.nan_to_num(values), -1, 1)
    elif wave.bits == 8:
        values = (np.frombuffer(raw, np.uint8).astype(np.float32) - 128) / 128
    elif wave.bits == 24:
        wide = np.zeros((count, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(raw, np.uint8).reshape(count, 3)
        values = wide.reshape(-1).view("<i4").astype(np.float32) / 2**31
    else:
        values = np.frombuffer(raw, f"<i{width}").astype(np.float32) / 2 ** (wave.bits - 1)
    mono: Array = values.reshape(-1, wave.channels).mean(axis=1, dtype=np.float32)
    return mono


def write_wav(samples: Array, rate: int) -> bytes:
    """A 16-bit mono WAV of float samples, -1 … 1, clipped."""
    whole = np.clip(np.nan_to_num(samples), -1, 1) * 32767
    body = np.round(whole).astype("<i2").tobytes()
    head = struct.pack("<HHIIHH", PCM, 1, rate, rate * 2, 2, 16)
    return b"".join(
        (
            b"RIFF",
            struct.pack("<I", 36 + len(body)),
            b"WAVEfmt ",
            struct.pack("<I", len(head)),
            head,
            b"data",
            struct.pack("<I", len(body)),
            body,
        )
    )
