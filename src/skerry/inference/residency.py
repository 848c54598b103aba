"""Which models are resident: loaded on demand, kept warm, evicted by bytes."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from skerry.errors import OutOfCapacity
from skerry.inference.messages import Load
from skerry.inference.process import runner_command
from skerry.inference.resident import Resident

log = logging.getLogger("skerry.inference")

BASE = 64 << 20
"""Bytes of a runner that holds nothing: Python, numpy, an engine's library."""
SHARE = 0.6
"""Of the machine's memory, where the setting memory is 0."""
FORGET = 600.0
"""Seconds after which a model that failed is no longer shown."""


def machine_memory() -> int:
    """Bytes of memory of this machine, or of the control group that bounds this process."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            total = min(total, int(Path(path).read_text()))
        except (OSError, ValueError):  # not there, or "max"
            continue
    return total


def estimate(directory: Path) -> int:
    """Bytes that a model will take, from the sizes of its files; replaced once it is measured.

    A directory may hold the same weights in several forms (safetensors, ONNX): the largest counts.
    What an engine keeps there in a folder called *-cache does not: compiled graphs, one for each
    way of running.
    """
    forms: dict[str, int] = defaultdict(int)
    for path in directory.rglob("*"):
        folders = path.relative_to(directory).parts[:-1]
        if path.is_file() and not any(name.endswith("-cache") for name in folders):
            forms[path.suffix] += path.stat().st_size
    return BASE + max(forms.values(), default=0)


class Residency:
    """The resident models of a node, within `memory` bytes.

    memory: bytes that they may hold together; 0: 60 % of the machine's.
    keep_warm: seconds after which an idle model is unloaded.
    """

    def __init__(
        self,
        *,
        memory: int,
        keep_warm: float,
        queue: int,
        command: Sequence[str] | None = None,
        start_timeout: float = 300.0,
    ) -> None:
        self.memory = memory or int(machine_memory() * SHARE)
        self._keep_warm = keep_warm
        self._queue = queue
        self._command = list(command or runner_command())
        self._start_timeout = start_timeout
        self._residents: dict[str, Resident] = {}
        self._known: dict[str, int] = {}
        """Bytes that a model took when it was last resident."""
        self._room = asyncio.Lock()
        self._news = asyncio.Event()
        self._waiters: list[asyncio.Future[None]] = []
        self._sweeper: asyncio.Task[None] | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._closed = False

    def find(self, name: str) -> Resident | None:
        """The model if it is resident and not on its way out."""
        resident = self._residents.get(name)
        return None if resident is None or resident.state == "draining" else resident

    def all(self) -> list[Resident]:
        """Every resident model, by name."""
        return [self._residents[name] for name in sorted(self._residents)]

    @property
    def used(self) -> int:
        """Bytes that the resident models hold."""
        return sum(each.bytes for each in self._residents.values())

    async def bring(self, load: Load, deadline: float, *, pinned: bool = False) -> Resident:
        """Make the model resident (its runner may still be starting), evicting idle ones.

        Raises OutOfCapacity where it does not fit, or nothing became idle by the deadline.
        """
        self._sweep_from_now_on()
        try:
            async with asyncio.timeout_at(deadline):
                async with self._room:
                    return await self._bring(load, pinned)
        except TimeoutError as error:
            raise OutOfCapacity(
                f"{load.name}: no room; the models that are loaded are all busy"
                f" ({_size(self.used)} of {_size(self.memory)}, setting memory)",
                retry_after=5,
            ) from error

    async def unload(self, name: str, grace: float) -> bool:
        """Take a model out of memory; False if it is not resident."""
        resident = self._residents.get(name)
        if resident is None:
            return False
        await self._close(resident, grace)
        return True

    async def close(self, grace: float) -> None:
        """Let what runs end within `grace` seconds, then end every runner."""
        self._closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.wait({self._sweeper})
        async with asyncio.TaskGroup() as group:
            for resident in list(self._residents.values()):
                group.create_task(self._close(resident, grace))
        if self._closing:
            await asyncio.wait(set(self._closing))

    async def _bring(self, load: Load, pinned: bool) -> Resident:
        while (resident := self._residents.get(load.name)) is not None:
            if resident.state != "draining":
                resident.pinned = resident.pinned or pinned
                return resident
            await self._change()
        guess = await asyncio.to_thread(estimate, Path(load.directory))
        needed = self._known.get(load.name, guess)
        if needed > self.memory:
            raise OutOfCapacity(
                f"{load.name} needs about {_size(needed)}; models may take {_size(self.memory)}"
                " together (setting memory)"
            )
        while self.used + needed > self.memory:
            victim = self._victim(load.name)
            if victim is None:
                await self._change()
            else:
                log.info("evicting %s to make room for %s", victim.name, load.name)
                await self._close(victim, 0.0)
        if self._closed:
            raise OutOfCapacity(f"{load.name}: the node is stopping", retry_after=5)
        resident = Resident(
            load,
            estimate=needed,
            bound=self._queue,
            command=self._command,
            changed=self._notify,
            pinned=pinned,
            start_timeout=self._start_timeout,
        )
        self._residents[load.name] = resident
        return resident

    async def _change(self) -> None:
        """Wait until a model became idle, ready, failed or gone."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        await waiter

    def _notify(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._news.set()

    def _victim(self, but: str) -> Resident | None:
        """What to evict: large, long unused and quick to load again; only what is idle."""
        now = time.monotonic()
        idle = [
            each
            for each in self._residents.values()
            if each.idle and not each.pinned and each.bytes and each.name != but
            and each.state != "draining"
        ]  # fmt: skip
        return max(
            idle,
            key=lambda each: each.bytes * (now - each.last_used) / max(each.reload_time, 0.01),
            default=None,
        )

    async def _close(self, resident: Resident, grace: float) -> None:
        """Close it in a task of its own: whoever asked may give up, the closing goes on."""
        task = asyncio.get_running_loop().create_task(self._remove(resident, grace))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
        await asyncio.shield(task)

    async def _remove(self, resident: Resident, grace: float) -> None:
        await resident.close(grace)
        if self._residents.get(resident.name) is resident:
            del self._residents[resident.name]
        self._notify()

    def _sweep_from_now_on(self) -> None:
        if self._sweeper is None and not self._closed:
            self._sweeper = asyncio.get_running_loop().create_task(self._sweep(), name="residency")

    async def _sweep(self) -> None:
        """Unload what nobody uses, and shrink to the budget where an estimate was wrong."""
        while True:
            try:
                async with asyncio.timeout(min(5.0, max(0.05, self._keep_warm / 4))):
                    await self._news.wait()
            except TimeoutError:
                pass  # nothing happened; models grow and age all the same
            self._news.clear()
            for resident in self._leaving():
                log.info("unloading %s", resident.name)
                await self._close(resident, 0.0)

    def _leaving(self) -> list[Resident]:
        now = time.monotonic()
        leaving = []
        for each in self._residents.values():
            each.measure()
            if each.state == "ready":
                self._known[each.name] = each.bytes
            limit = FORGET if each.state == "failed" else self._keep_warm
            if each.idle and not each.pinned and now - each.last_used > limit:
                leaving.append(each)
        if not leaving and self.used > self.memory:
            victim = self._victim("")
            if victim is not None:
                leaving.append(victim)
        return [each for each in leaving if each.state != "draining"]


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
