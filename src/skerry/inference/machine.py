"""What a measurement depends on: the processor, its cores, and the versions of the engines."""

from __future__ import annotations

import hashlib
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec

_FLAGS = (
    "avx2",
    "avx512f",
    "avx512_vnni",
    "avx_vnni",
    "avx512_bf16",
    "amx_bf16",
    "amx_int8",
    "asimddp",
    "i8mm",
    "bf16",
    "sve",
)
"""The processor features that decide which arithmetic is fast."""


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a machine that a measurement holds for."""

    cpu: str
    flags: tuple[str, ...]
    cores: int
    packages: dict[str, str]
    """Distribution -> version, for the packages of the engines."""

    @property
    def bf16(self) -> bool:
        """The processor multiplies bfloat16 itself (AVX512-BF16, AMX, or Arm's)."""
        return not {"avx512_bf16", "amx_bf16", "bf16"}.isdisjoint(self.flags)

    @property
    def key(self) -> str:
        """16 hexadecimal digits, the same for machines that measure alike."""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()[:16]


def cores() -> int:
    """Cores that this process may use: its affinity, bounded by a cgroup's CPU quota."""
    try:
        count = len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        count = os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        if quota != "max":
            count = min(count, max(1, round(int(quota) / int(period))))
    except (OSError, ValueError):  # no cgroup v2, or not one with a quota
        return count
    return count


def parse_cpuinfo(text: str) -> tuple[str, tuple[str, ...]]:
    """The model's name and its features of interest, from the text of /proc/cpuinfo.

    Family and model numbers are added to the name: hypervisors give many processors one name.
    """
    fields: dict[str, str] = {}
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        if colon and name.strip() not in fields:
            fields[name.strip()] = value.strip()
    words = set((fields.get("flags") or fields.get("Features") or "").split())
    parts = [
        fields.get("model name") or fields.get("CPU part") or "",
        fields.get("cpu family", ""),
        fields.get("model", ""),
    ]
    return "/".join(p for p in parts if p), tuple(f for f in _FLAGS if f in words)


def this_machine(packages: tuple[str, ...] = (), threads: int = 0) -> Machine:
    """This machine; `packages` are distributions whose version matters, `threads` bounds cores."""
    try:
        cpu, flags = parse_cpuinfo(Path("/proc/cpuinfo").read_text(errors="replace"))
    except OSError:  # not Linux
        cpu, flags = "", ()
    found: dict[str, str] = {}
    for name in sorted(set(packages)):
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # then its engines are not candidates either
            continue
    return Machine(
        cpu=cpu or platform.processor() or platform.machine(),
        flags=flags,
        cores=min(cores(), threads) if threads else cores(),
        packages=found,
    )
