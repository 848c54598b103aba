"""One contract for every engine that executes graphs, on MiniLM's real weights."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from skerry.engines.base import Choice, TensorEngine
from skerry.engines.quantise import quantised_path
from skerry.engines.registry import load_engine
from skerry.errors import EngineError
from skerry.tasks.base import Array, Feeds, RowProcessor
from skerry.tasks.registry import load_tasks
from skerry.types import ModelFiles

pytestmark = pytest.mark.models

TEXTS = [
    "A small boat lies in the harbour.",
    "The invoice was paid twice.",
    "Two bedrooms, a garden, and a dog is welcome here.",
    "It rains.",
]


@pytest.fixture(scope="module")
def files(pulled: Callable[[str], ModelFiles]) -> ModelFiles:
    return pulled("@skerry/minilm-l6-v2")


@pytest.fixture(scope="module")
def feeds(files: ModelFiles) -> Feeds:
    processor = load_tasks()["text-embeddings"].open(files)
    assert isinstance(processor, RowProcessor)
    return processor.collate(processor.prepare({"text": TEXTS}))


def load(files: ModelFiles, name: str, precision: str) -> TensorEngine:
    cls = load_engine(name)
    if advice := cls.missing():
        pytest.skip(advice)
    choice = Choice(engine=name, precision=precision, streams=2, threads=2)
    cls.convert(files, choice)
    engine = cls.load(files, choice)
    assert isinstance(engine, TensorEngine)
    return engine


@pytest.fixture(scope="module")
def reference(files: ModelFiles, feeds: Feeds) -> Array:
    engine = load(files, "onnxruntime", "fp32")
    return engine.infer(feeds, 0)["sentence_embedding"]


@pytest.fixture(
    scope="module",
    params=[("openvino", "fp32"), ("openvino", "bf16"), ("openvino", "int8")],
    ids="-".join,
)
def engine(request: pytest.FixtureRequest, files: ModelFiles) -> Iterator[TensorEngine]:
    engine = load(files, *request.param)
    yield engine
    engine.close()


def test_it_agrees_with_the_reference(engine: TensorEngine, feeds: Feeds, reference: Array) -> None:
    out = engine.infer(feeds, 0)["sentence_embedding"]
    assert out.dtype == np.float32
    cosine = (out * reference).sum(1) / (
        np.linalg.norm(out, axis=1) * np.linalg.norm(reference, axis=1)
    )
    assert cosine.min() > 0.99


def test_feeds_that_the_graph_lacks_are_dropped(engine: TensorEngine, feeds: Feeds) -> None:
    more = {**feeds, "token_type_ids": np.zeros_like(feeds["input_ids"])}
    assert np.array_equal(
        engine.infer(more, 0)["sentence_embedding"], engine.infer(feeds, 0)["sentence_embedding"]
    )


def test_an_answer_stays_what_it_was(engine: TensorEngine, feeds: Feeds) -> None:
    """The engine's own buffers are used again; what it gave out is not."""
    first = engine.infer(feeds, 0)["sentence_embedding"]
    kept = first.copy()
    engine.infer({name: array[::-1].copy() for name, array in feeds.items()}, 0)
    assert np.array_equal(first, kept)


def test_streams_run_side_by_side(engine: TensorEngine, feeds: Feeds) -> None:
    expected = engine.infer(feeds, 0)["sentence_embedding"]
    wrong: list[int] = []

    def run(stream: int) -> None:
        for _ in range(20):
            got = engine.infer(feeds, stream)["sentence_embedding"]
            if not np.allclose(got, expected, atol=1e-3):
                wrong.append(stream)

    threads = [threading.Thread(target=run, args=(at,)) for at in range(engine.capacity)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert engine.capacity == 2
    assert wrong == []


def test_feeds_of_a_wrong_shape_are_an_error_not_a_crash(engine: TensorEngine) -> None:
    with pytest.raises(EngineError, match=r"inputs"):
        engine.infer({"input_ids": np.zeros((1, 2, 3), np.int64)}, 0)


def test_int8_is_made_once(files: ModelFiles) -> None:
    choice = Choice(engine="openvino", precision="int8", streams=2, threads=2)
    load(files, "openvino", "int8").close()
    path = quantised_path(files, choice, files.path("model.onnx"))
    before = path.stat().st_mtime_ns
    load_engine("openvino").convert(files, choice)
    assert path.stat().st_mtime_ns == before
    assert not list(files.directory.glob(".int8-*"))


def test_a_graph_that_is_none_is_refused(files: ModelFiles) -> None:
    for name in ("openvino", "onnxruntime"):
        choice = Choice(engine=name, options={"model": "tokenizer.json"})
        with pytest.raises(EngineError, match=r"tokenizer\.json"):
            load_engine(name).load(files, choice)


def test_quantising_reports_to_nobody(tmp_path: Path) -> None:
    code = (
        "import sys, runpy\n"
        "from skerry.engines.quantise import import_nncf\n"
        "nncf = import_nncf()\n"
        "from nncf.telemetry.wrapper import NNCFTelemetryStub, telemetry\n"
        "assert isinstance(telemetry, NNCFTelemetryStub), telemetry\n"
        "assert sys.modules.get('openvino_telemetry') is None\n"
    )
    environ = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("NNCF_", "PYTEST"))
    }
    subprocess.run(
        [sys.executable, "-c", code],
        env={**environ, "HOME": str(tmp_path)},
        check=True,
        timeout=100,
    )
    assert not (tmp_path / "intel").exists()
