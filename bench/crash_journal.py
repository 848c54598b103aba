"""What clients were told: the journal of a crash run, kept where nothing is killed."""

from __future__ import annotations

import hashlib
import random
from collections import Counter

import msgspec

SIZES = ((0.7, 2_000), (0.95, 60_000), (1.0, 1_500_000))
"""How large the objects are: up to which share of them, how many bytes at most."""


class Slot(msgspec.Struct):
    """A key of KV or R2, written by one client: what may be found in it. None is nothing."""

    told: str | None = None
    """What the last acknowledged write left."""
    open: str | None = None
    """What an unanswered write may have left instead; nothing is written after such a one."""
    unsure: bool = False

    def fits(self, found: str | None) -> bool:
        """Whether a found version is what was told, or the write whose answer never came."""
        return found == self.told or (self.unsure and found == self.open)


class Journal(msgspec.Struct):
    """Of one client thread, which alone writes it; its names carry the client's number."""

    client: int
    kv: dict[str, Slot] = {}
    r2: dict[str, Slot] = {}
    told: dict[str, dict[str, int]] = {}
    """Kind -> name -> its number; what was acknowledged of the kinds that are written once."""
    unsure: dict[str, dict[str, int]] = {}
    counted: int = 0
    """Acknowledged additions to this client's counter."""
    maybe: int = 0
    """Those without an answer."""
    statuses: Counter[str] = msgspec.field(default_factory=Counter)
    """Answers but 200, by store and status, and broken connections."""
    acknowledged: Counter[str] = msgspec.field(default_factory=Counter)

    def note(self, kind: str, name: str, number: int, *, sure: bool) -> None:
        """A write that is made once: acknowledged, or without an answer."""
        (self.told if sure else self.unsure).setdefault(kind, {})[name] = number

    def put(self, kind: str, name: str, version: str | None, *, sure: bool) -> None:
        """A write to a key: what it now holds, or may hold."""
        slots = self.kv if kind == "kv" else self.r2
        slot = slots.setdefault(name, Slot())
        if sure:
            slot.told = version
        else:
            slot.open, slot.unsure = version, True


def text_of(version: str) -> str:
    """The KV value of a version: the version, then what follows from it."""
    rng = random.Random(version)
    size = rng.randrange(10, 4000)
    return f"{version}:{rng.randbytes(size // 2).hex()}"


def bytes_of(version: str) -> bytes:
    """The R2 object of a version."""
    rng = random.Random(version)
    share = rng.random()
    most = next(size for upto, size in SIZES if share <= upto)
    return f"{version}:".encode() + rng.randbytes(rng.randrange(1, most))


def version_of_text(text: str) -> str:
    """Which version a value is; raises ValueError where it is none, as half a value would be."""
    version, _, _ = text.partition(":")
    if text != text_of(version):
        raise ValueError(f"{len(text)} characters that begin with {text[:40]!r}")
    return version


def version_of_bytes(data: bytes) -> str:
    """Likewise for an object."""
    version = data.partition(b":")[0][:100].decode(errors="replace")
    if hashlib.sha256(data).digest() != hashlib.sha256(bytes_of(version)).digest():
        raise ValueError(f"{len(data)} bytes that begin with {data[:40]!r}")
    return version
