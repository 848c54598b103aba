"""The runner: a child process that holds one model. `python -m skerry.inference.runner FD`

FD is one end of a socket pair; the node's first message is Load. The process ends with the
socket, and with its parent. Heavy libraries are imported by the task and the engine that Load
names, and nowhere else.
"""

from __future__ import annotations

import ctypes
import faulthandler
import gc
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import msgspec

from skerry.engines.base import CallEngine, Choice, Engine, TensorEngine
from skerry.errors import EngineError, SkerryError
from skerry.inference.calls import CallServer
from skerry.inference.jobs import Job, Send, log_failure
from skerry.inference.messages import (
    Cancel,
    Frames,
    Load,
    Progress,
    Ready,
    Refused,
    Run,
    ToRunner,
    encode,
    unpack_for_runner,
)
from skerry.inference.outbox import Outbox
from skerry.inference.rows import RowServer
from skerry.tasks.base import CallProcessor, ModelFiles, Processor, RowProcessor, Task
from skerry.types import Inputs

PR_SET_PDEATHSIG = 1
HEAVY = 32 << 10
"""Bytes or characters from which an input is prepared by a worker."""
READ = 1 << 20
"""Bytes of one read; what came in one read is prepared in one call."""


class Server(Protocol):
    """RowServer or CallServer."""

    capacity: int

    def start(self) -> None: ...
    def enter(self, run: Run, now: float) -> Job: ...
    def prepare(self, jobs: Sequence[Job]) -> None: ...
    def cancel(self, job_id: int) -> None: ...
    def close(self) -> None: ...


def _named(where: str) -> Any:
    module, _, attribute = where.partition(":")
    found: Any = import_module(module)
    for part in attribute.split("."):
        found = getattr(found, part)
    return found


def _task(load: Load) -> Task:
    if load.task_at:
        task: Task = _named(load.task_at)()
        return task
    from skerry.tasks.registry import load_tasks

    tasks = load_tasks()
    if load.task not in tasks:
        raise EngineError(f"{load.name}: no task {load.task!r} is installed")
    return tasks[load.task]


def _engine(load: Load, choice: Choice) -> type[Engine]:
    if where := load.engines_at.get(choice.engine):
        engine: type[Engine] = _named(where)
        return engine
    from skerry.engines.registry import load_engine

    return load_engine(choice.engine)


def resident_bytes() -> int:
    """This process's resident set, in bytes."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return pages * os.sysconf("SC_PAGE_SIZE")


class _Opening:
    """The task opens its processor on a thread of its own while the engine loads."""

    def __init__(self, load: Load, files: ModelFiles, calls: bool) -> None:
        self._load = load
        self._files = files
        self._calls = calls
        self._processor: Processor | None = None
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._open, name="open", daemon=True)
        self._thread.start()

    def _open(self) -> None:
        try:
            task = _task(self._load)
            open_ = task.open_calls if self._calls else task.open
            self._processor = open_(self._files)
        except Exception as error:
            self._error = error

    def processor(self) -> Processor:
        self._thread.join()
        if self._error is not None:
            raise self._error
        assert self._processor is not None
        return self._processor


def build(load: Load, send: Send, engines: list[Engine] | None = None) -> Server:
    """Load the model and make its server. Raises EngineError and what engines and tasks raise.

    The loaded engines are appended to `engines`, so that a caller can close them.
    """
    loaded: list[Engine] = [] if engines is None else engines
    loras = Path(load.loras) if load.loras else None
    files = ModelFiles(
        load.name, load.task, Path(load.directory), load.options, load.context, loras
    )
    kinds = [_engine(load, choice) for choice in load.choices]
    calls_only = bool(kinds) and not issubclass(kinds[0], TensorEngine)
    opening = _Opening(load, files, calls_only)
    if not kinds:
        raise EngineError(f"{load.name}: no engine was chosen")

    def open_engine(kind: type[Engine], choice: Choice) -> Engine:
        if missing := kind.missing():
            raise EngineError(f"{load.name}: engine {choice.engine} is not usable here: {missing}")
        engine = kind.load(files, choice)
        loaded.append(engine)
        return engine

    def open_calls(kind: type[CallEngine], choice: Choice) -> CallEngine:
        engine = open_engine(kind, choice)
        assert isinstance(engine, CallEngine)
        return engine

    choice = load.choices[0]
    send([encode(Progress(f"loading on {choice.engine} ({choice.precision})", 0.0))])
    first = open_engine(kinds[0], choice)
    processor = opening.processor()
    if isinstance(processor, RowProcessor) and isinstance(first, TensorEngine):
        return RowServer(processor, first, send, on_hang=_end_hung)
    if isinstance(processor, CallProcessor) and isinstance(first, CallEngine):
        later = [
            (partial(open_calls, kind, choice), choice)
            for kind, choice in zip(kinds[1:], load.choices[1:], strict=True)
            if issubclass(kind, CallEngine)
        ]
        return CallServer(processor, [(first, choice)], send, later)
    raise EngineError(
        f"{load.name}: the task {load.task} and the engine {load.choices[0].engine} do not fit"
    )


def _end_hung() -> None:
    """The node starts another runner and asks it again what this one owes."""
    print("a batch does not end: the engine hangs", file=sys.stderr)  # noqa: T201
    faulthandler.dump_traceback(all_threads=True)
    os._exit(os.EX_SOFTWARE)


class Reader:
    """The node's messages as they come. Ends with EOFError, ValueError or msgspec.DecodeError."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._frames = Frames()
        self._left: list[ToRunner] = []

    def read(self) -> list[ToRunner]:
        """What came together; waits for at least one message."""
        messages, self._left = self._left, []
        while not messages:
            data = self._sock.recv(READ)
            if not data:
                raise EOFError
            for body in self._frames.feed(data):
                messages += unpack_for_runner(body)
        return messages

    def first(self) -> Load:
        """The Load that every node begins with."""
        head, *self._left = self.read()
        if not isinstance(head, Load):
            raise EngineError(f"the node began with {type(head).__name__}, not Load")
        return head


def heavy(inputs: Inputs) -> bool:
    """Whether preparing this may take long: an image or a sound to decode, a very long text."""
    return any(isinstance(value, bytes | str) and len(value) > HEAVY for value in inputs.values())


def serve(reader: Reader, server: Server, workers: Executor) -> None:
    """Pass messages on until the node closes the socket.

    What is quick to prepare is prepared here, all that came together in one call; what is not,
    by `workers`, so that it holds up nothing behind it.
    """
    while True:
        messages = reader.read()
        now = time.monotonic()
        runs = [server.enter(message, now) for message in messages if isinstance(message, Run)]
        light = [job for job in runs if not heavy(job.inputs)]
        if light:
            server.prepare(light)
        if len(light) < len(runs):
            for job in runs:
                if heavy(job.inputs):
                    workers.submit(server.prepare, [job])
        if len(runs) < len(messages):
            for message in messages:
                if isinstance(message, Cancel):
                    server.cancel(message.id)


def _settle() -> None:
    """End with the parent, be the first to go when memory runs out, write a stack on a crash."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    faulthandler.enable()
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        try:
            Path("/proc/self/oom_score_adj").write_text("500")
        except OSError as error:
            sys.stderr.write(f"oom_score_adj: {error}\n")


def main(arguments: list[str]) -> int:
    """Serve until the socket ends. Answers the process's exit status."""
    _settle()
    sock = socket.socket(fileno=int(arguments[0]))
    outbox = Outbox(sock)
    reader = Reader(sock)
    engines: list[Engine] = []
    try:
        load = reader.first()
        try:
            server = build(load, outbox.send, engines)
        except Exception as error:
            log_failure(f"{load.name} cannot be loaded", error)
            text = (
                str(error) if isinstance(error, SkerryError) else f"{type(error).__name__}: {error}"
            )
            outbox.send([encode(Refused(text[:1000]))])
            return 1
        # What loading made lives as long as the process: spare every collection the walk.
        gc.collect()
        gc.freeze()
        server.start()
        outbox.send([encode(Ready(resident_bytes(), server.capacity))])
        serve(reader, server, ThreadPoolExecutor(min(4, os.cpu_count() or 1), "prepare"))
    except (EOFError, ConnectionError):
        return 0
    except (ValueError, msgspec.DecodeError) as error:
        log_failure("the node sent what is no message", error)
        return 2
    return 0


if __name__ == "__main__":
    # No interpreter teardown: engines' own threads may still be at work; the memory goes anyway.
    status = main(sys.argv[1:])
    sys.stderr.flush()
    os._exit(status)
