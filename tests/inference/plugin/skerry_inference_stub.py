"""A task and an engine of each kind, whose behaviour the input steers. Found by entry point.

Fields of the input: texts (rows, one per text) or text; sleep: seconds in the engine; do: a fault.
Engine options: load_sleep, load_do, hog (bytes), capacity, log (a file: one line per event).
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from skerry.engines.base import CallEngine, Choice, Sink, TensorEngine
from skerry.errors import ContextTooLong, EngineError, InvalidInput
from skerry.tasks.base import (
    Call,
    CallProcessor,
    Feeds,
    Generate,
    Generated,
    ModelFiles,
    Outcome,
    Processor,
    Row,
    RowProcessor,
    Task,
)
from skerry.types import Inputs, Usage


def fault(what: str) -> None:
    if what == "segfault":
        ctypes.string_at(0)
    elif what == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif what == "exit":
        sys.stderr.write("the stub was told to exit\n")
        os._exit(7)
    elif what == "fail":
        raise RuntimeError("the stub was told to fail")
    elif what == "context":
        raise ContextTooLong("too long for the stub")
    elif what == "hang":
        time.sleep(3600)
    elif what == "garbage":
        for descriptor in [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]:
            try:
                with socket.socket(fileno=os.dup(descriptor)) as sock:
                    sock.sendall(b"\x05\x00\x00\x00\xc1\xc1\xc1\xc1\xc1")
            except OSError:
                continue
        time.sleep(3600)


class Words(Task):
    name = "stub-rows"
    title = "Stub"
    input_schema: ClassVar[dict[str, Any]] = {}
    output_schema: ClassVar[dict[str, Any]] = {}

    def open(self, files: ModelFiles) -> Processor:
        if files.options.get("open_fails"):
            raise EngineError("the stub's processor cannot be opened")
        return WordRows(files)


class WordRows(RowProcessor):
    max_rows = 8
    max_length = 64
    spare = 10_000

    def __init__(self, files: ModelFiles) -> None:
        self.max_rows = files.options.get("max_rows", 8)
        self.max_length = files.options.get("max_length", 64)

    def prepare(self, inputs: Inputs) -> list[Row]:
        if inputs.get("do") == "refuse":
            raise InvalidInput("the stub does not take this")
        if inputs.get("do") == "prepare":
            raise RuntimeError("the stub's preparation failed")
        while gate := inputs.get("prepare_until"):
            if Path(gate).exists():
                break
            time.sleep(0.01)
        return [
            Row({"text": text, **inputs}, len(text))
            for text in inputs.get("texts", [inputs.get("text", "")])
        ]

    def collate(self, rows: Sequence[Row]) -> Feeds:
        data = np.empty(len(rows), dtype=object)
        data[:] = [row.data for row in rows]
        return {"rows": data}

    def split(self, outputs: Feeds, count: int) -> list[Any]:
        return list(outputs["lengths"])

    def finish(
        self, inputs: Inputs, rows: Sequence[Row], results: Sequence[Any]
    ) -> tuple[Any, Usage]:
        if inputs.get("do") == "finish":
            raise RuntimeError("the stub's finish failed")
        if inputs.get("do") == "unsendable":
            return {"value": object()}, Usage()
        if inputs.get("size"):
            return {"data": np.ones(inputs["size"], np.uint8)}, Usage()
        value = {
            "lengths": np.array([result[0] for result in results], np.int32),
            "batches": [int(result[1]) for result in results],
            "pid": os.getpid(),
        }
        return value, Usage(prompt_tokens=sum(row.length for row in rows))


class Lengths(TensorEngine):
    """The length of each text; results are [length, rows of the batch]."""

    name = "stub-tensor"

    def __init__(self, choice: Choice) -> None:
        self.capacity = choice.streams
        self._log = choice.options.get("log")
        self._ballast = b"\1" * int(choice.options.get("hog", 0))

    @classmethod
    def missing(cls) -> str | None:
        return None

    @classmethod
    def load(cls, files: ModelFiles, choice: Choice) -> Lengths:
        time.sleep(float(choice.options.get("load_sleep", 0)))
        once = choice.options.get("load_once")
        if once and not Path(once).exists():
            Path(once).touch()
            fault(choice.options["load_do"])
        elif not once:
            fault(choice.options.get("load_do", ""))
        return cls(choice)

    def infer(self, feeds: Feeds, stream: int) -> Feeds:
        rows = feeds["rows"]
        if self._log:
            with Path(self._log).open("a") as file:
                file.write(f"{stream} {' '.join(str(len(row['text'])) for row in rows)}\n")
        for row in rows:
            if row.get("once") and not Path(row["once"]).exists():
                Path(row["once"]).touch()
                fault(row["do"])
            elif not row.get("once"):
                fault(row.get("do", ""))
        if seconds := max(row.get("sleep", 0) for row in rows):
            time.sleep(seconds)
        return {"lengths": np.array([[len(row["text"]), len(rows)] for row in rows])}


class Talk(Task):
    name = "stub-calls"
    title = "Stub"
    input_schema: ClassVar[dict[str, Any]] = {}
    output_schema: ClassVar[dict[str, Any]] = {}

    def open(self, files: ModelFiles) -> Processor:
        return TalkCalls()


class TalkCalls(CallProcessor):
    def prepare(self, inputs: Inputs) -> Call:
        if inputs.get("do") == "refuse":
            raise InvalidInput("the stub does not take this")
        messages = [{"do": inputs.get("do", ""), "sleep": inputs.get("sleep", 0)}]
        return Generate(
            prompt=inputs.get("text", ""), messages=messages, json_schema=inputs.get("schema")
        )

    def finish(self, inputs: Inputs, outcome: Outcome) -> tuple[Any, Usage]:
        assert isinstance(outcome, Generated)
        value = {"response": outcome.text, "by": outcome.finish_reason, "pid": os.getpid()}
        return value, Usage(outcome.prompt_tokens, outcome.completion_tokens)


class Echo(CallEngine):
    """Says the prompt's words one by one, `sleep` seconds before each; faults after the first."""

    name = "stub-call"

    def __init__(self, choice: Choice) -> None:
        self.capacity = choice.streams
        self._log = choice.options.get("log")

    @classmethod
    def missing(cls) -> str | None:
        return None

    @classmethod
    def load(cls, files: ModelFiles, choice: Choice) -> Echo:
        fault(choice.options.get("load_do", ""))
        return cls(choice)

    def serves(self, call: Call) -> bool:
        return isinstance(call, Generate) and call.json_schema is None

    def run(self, call: Call, sink: Sink) -> Outcome:
        assert isinstance(call, Generate)
        assert call.messages is not None
        how = call.messages[0]
        words = (call.prompt or "").split()
        self._tell(f"begin {words[0] if words else ''}")
        for at, word in enumerate(words):
            if how["sleep"]:
                time.sleep(how["sleep"])
            if sink.cancelled:
                self._tell(f"cancelled {words[0]}")
                break
            if at == 1:
                fault(how["do"])
            sink.emit(word)
        self._tell(f"end {words[0] if words else ''}")
        return Generated(
            text=" ".join(words), finish_reason=self.name, prompt_tokens=len(words),
            completion_tokens=len(words),
        )  # fmt: skip

    def _tell(self, line: str) -> None:
        if self._log:
            with Path(self._log).open("a") as file:
                file.write(line + "\n")


class Other(Echo):
    """Serves every call."""

    name = "stub-other"

    def serves(self, call: Call) -> bool:
        return True
