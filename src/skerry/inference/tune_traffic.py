"""A steady number of requests in flight through the runner's own RowServer.

Beside the runner there is always a node, which takes a part of the cores for each request; an
engine whose threads wait for each other loses far more by it than one with a thread per stream
(MiniLM int8, two cores, 32 at once: alone 1060 and 1054 rows/s, behind HTTP 817 and 1037). So a
process takes the node's part while a throughput is measured.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from skerry.engines.base import TensorEngine
from skerry.errors import EngineError
from skerry.inference.messages import Run
from skerry.inference.rows import RowServer
from skerry.tasks.base import RowProcessor
from skerry.types import Inputs

STUCK = 30.0
"""Seconds without an answer after which a candidate hangs."""


NODE = 250e-6
"""Seconds of CPU that the node and the client take for a request, about."""
_CALLERS = """
import sys, time
for line in sys.stdin.buffer:
    end = time.process_time() + int(line) * float(sys.argv[1])
    while time.process_time() < end:
        pass
    sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()
"""


class Callers:
    """A process that uses the CPU as the node would for so many answers. A context manager."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _CALLERS, str(NODE)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        return self

    def take(self, answers: int) -> None:
        """Return when the work for them is done. Raises EngineError where the process has ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"%d\n" % answers)
        self._process.stdin.flush()
        if not self._process.stdout.readline():
            raise EngineError("the process that stands for the node has ended")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._process as process:
            process.kill()


class Traffic:
    """Sends requests to a loaded engine and counts the answers. A context manager.

    inputs: what is asked, in turn.
    """

    def __init__(
        self, processor: RowProcessor, engine: TensorEngine, inputs: Sequence[Inputs]
    ) -> None:
        self._server = RowServer(processor, engine, self._hear)
        self._inputs = inputs
        self._sent = 0
        self._answered = 0
        self._failure: bytes | None = None
        self._news = threading.Condition()

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.close()

    def run(self, at_once: int, seconds: float, callers: Callers | None = None) -> float:
        """Answers a second with `at_once` in flight. Raises EngineError where one fails."""
        begun = self._answered
        start = time.perf_counter()
        self._send(at_once)
        while (now := time.perf_counter()) - start < seconds:
            count = self._wait(self._sent - at_once)
            if callers is not None:
                callers.take(count)
            self._send(count)
        rate = (self._answered - begun) / (now - start)
        while self._answered < self._sent:
            self._wait(self._answered)
        return rate

    def _send(self, count: int) -> None:
        inputs = self._inputs
        runs = [
            Run(number, inputs[number % len(inputs)], False, 300.0)
            for number in range(self._sent, self._sent + count)
        ]
        self._sent += count
        self._server.accept(runs)

    def _wait(self, known: int) -> int:
        """Wait until more than `known` are answered; how many more."""
        with self._news:
            if not self._news.wait_for(lambda: self._answered > known or self._failure, STUCK):
                raise EngineError(f"no answer within {STUCK:.0f} s")
            if self._failure is not None:
                raise EngineError(f"failed: {self._failure[:300].decode(errors='replace')}")
            return self._answered - known

    def _hear(self, messages: Sequence[bytes]) -> None:
        """Called by the server's threads with encoded messages."""
        with self._news:
            self._answered += len(messages)
            for message in messages:
                if b"fail" in message[:8]:  # the tag is the first element
                    self._failure = bytes(message)
            self._news.notify_all()
