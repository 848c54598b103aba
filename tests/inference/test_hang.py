"""An engine that never comes back from a batch."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from skerry.engines.base import Choice, TensorEngine
from skerry.inference.messages import Run
from skerry.inference.rows import RowServer
from skerry.tasks.base import Feeds, Row, RowProcessor
from skerry.types import Inputs, ModelFiles, Usage


class Stuck(TensorEngine):
    """Hangs on rows of 1 until it is let go."""

    name = "stuck"

    def __init__(self) -> None:
        self.go = threading.Event()

    @classmethod
    def missing(cls) -> str | None:
        return None

    @classmethod
    def load(cls, files: ModelFiles, choice: Choice) -> Stuck:
        return cls()

    def infer(self, feeds: Feeds, stream: int) -> Feeds:
        if feeds["x"].any():
            self.go.wait(10)
        return feeds


class Plain(RowProcessor):
    def prepare(self, inputs: Inputs) -> list[Row]:
        return [Row(inputs["x"])]

    def collate(self, rows: Sequence[Row]) -> Feeds:
        return {"x": np.array([row.data for row in rows])}

    def split(self, outputs: Feeds, count: int) -> list[Any]:
        return list(outputs["x"][:count])

    def finish(
        self, inputs: Inputs, rows: Sequence[Row], results: Sequence[Any]
    ) -> tuple[Any, Usage]:
        return {"x": int(results[0])}, Usage()


@pytest.mark.parametrize(("value", "hangs"), [(1, True), (0, False)])
def test_a_batch_that_does_not_end_is_noticed(value: int, *, hangs: bool) -> None:
    engine = Stuck()
    noticed = threading.Event()
    answered: list[bytes] = []
    send: Callable[[Sequence[bytes]], None] = answered.extend
    server = RowServer(Plain(), engine, send, on_hang=noticed.set, hang=0.1)
    server.start()
    try:
        server.accept([Run(1, {"x": value}, stream=False, timeout=60)])
        assert noticed.wait(5 if hangs else 0.5) == hangs
        assert bool(answered) is not hangs
    finally:
        engine.go.set()
        until = time.monotonic() + 5
        while not answered and time.monotonic() < until:
            time.sleep(0.01)
        server.close()
    assert answered
