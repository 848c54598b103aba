"""Cuts a worker off that holds its event loop or grows past its memory.

A thread of its own: it runs beside a loop in Python code, sees where that loop is, answers the
callers that wait, and ends the process. Code that holds the interpreter's lock, in C, stops this
thread too: for that the node asks for signs of life and kills the process from outside.
"""

from __future__ import annotations

import contextlib
import os
import resource
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from typing import Any

from _skerry.logs import Log, _internal
from _skerry.server import Connection

TICK = 0.05
"""Seconds between two looks."""
SLACK = 2 << 30
"""Bytes that may be asked for and never touched: stacks of threads, arenas of libraries."""
LIMIT_STATUS = 70
"""Exit status of a worker that was cut off; the node starts it anew."""


class Watchdog(threading.Thread):
    """cpu: seconds of CPU that one turn of the loop may take. wall: seconds it may take at all.
    memory: bytes by which it may grow, once the project is loaded."""

    def __init__(
        self, log: Log, connections: Iterable[Connection],
        alive: Callable[[Callable[[], None]], Any], *, cpu: float, wall: float, memory: int,
    ) -> None:  # fmt: skip
        super().__init__(name="skerry-watchdog", daemon=True)
        self._log = log
        self._connections = connections
        self._alive = alive
        self._cpu, self._wall, self._memory = cpu, wall, memory
        self._loop_thread = threading.get_ident()
        self._clock = time.pthread_getcpuclockid(self._loop_thread)
        self._turned = True
        self._base = 0
        self._page = os.sysconf("SC_PAGE_SIZE")

    def run(self) -> None:
        since, spent = time.monotonic(), time.clock_gettime(self._clock)
        with open("/proc/self/statm", "rb", buffering=0) as statm:  # noqa: PTH123
            while True:
                time.sleep(TICK)
                if self._turned:
                    self._turned = False
                    since, spent = time.monotonic(), time.clock_gettime(self._clock)
                    try:
                        self._alive(self._turn)
                    except RuntimeError:
                        return  # the loop has ended
                elif time.clock_gettime(self._clock) - spent > self._cpu:
                    self._end("exceededCpu", f"exceeded its CPU time limit of {self._cpu:g} s")
                elif time.monotonic() - since > self._wall:
                    self._end("exceededWallTime", f"blocked its event loop for {self._wall:g} s")
                grown = self._own(statm) - self._base
                if self._base and grown > self._memory:
                    grew, most = grown >> 20, self._memory >> 20
                    words = f"exceeded its memory limit: it grew by {grew} MiB, {most} are allowed"
                    self._end("exceededMemory", words)

    def _own(self, statm: Any) -> int:
        """Resident bytes that are this process's own, not its programs'."""
        statm.seek(0)
        resident, shared = statm.read(100).split()[1:3]
        return (int(resident) - int(shared)) * self._page

    def loaded(self) -> None:
        """The project is loaded: memory counts from here."""
        with open("/proc/self/statm", "rb", buffering=0) as statm:  # noqa: PTH123
            self._base = self._own(statm)
        bound_memory(self._memory)

    def _turn(self) -> None:
        self._turned = True

    def _end(self, outcome: str, words: str) -> None:
        frame = sys._current_frames().get(self._loop_thread)
        stack = traceback.extract_stack(frame) if frame is not None else []
        own = [each for each in stack if not _internal(each.filename)]
        where = "".join(traceback.format_list(own)).rstrip("\n")
        text = f"Worker {words}." + (f" It was here:\n{where}" if where else "")
        with contextlib.suppress(OSError):
            self._log.write("error", text, kind=outcome)
        for connection in list(self._connections):
            if connection.request is not None and not connection.started:
                with contextlib.suppress(OSError):
                    os.write(connection.transport.get_extra_info("socket").fileno(), EXCEEDED)
        os._exit(LIMIT_STATUS)


def bound_memory(memory: int) -> None:
    """Let the kernel refuse what is far past the bound, so that it raises MemoryError at once."""
    with open("/proc/self/status", encoding="ascii") as status:  # noqa: PTH123
        lines = dict(line.split(":", 1) for line in status if ":" in line)
    held = int(lines["VmData"].split()[0]) << 10
    most = held + memory + SLACK
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def limit_answer(status: int, code: int) -> bytes:
    """Cloudflare's own answer for a worker that was cut off."""
    text = f"error code: {code}\nWorker exceeded resource limits\n".encode()
    reason = {500: "Internal Server Error", 503: "Service Unavailable"}[status]
    return (
        f"HTTP/1.1 {status} {reason}\r\ncontent-type: text/plain; charset=UTF-8\r\n"
        f"content-length: {len(text)}\r\nconnection: close\r\n\r\n"
    ).encode() + text


EXCEEDED = limit_answer(503, 1102)
