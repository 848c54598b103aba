"""The packaged models' own files through the tasks, executed by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import skimage

from skerry.catalog.catalog import Catalog
from skerry.tasks.base import RowProcessor
from skerry.tasks.registry import load_tasks
from skerry.tasks.validate import InputCheck
from skerry.types import Inputs, ModelFiles

pytestmark = [pytest.mark.models, pytest.mark.timeout(600)]
Pulled = Callable[[str], ModelFiles]
PHOTOS = Path(skimage.__file__).parent / "data"


class Model:
    """A task's whole way, with ONNX Runtime in the engine's place."""

    def __init__(self, files: ModelFiles) -> None:
        entry = Catalog().get(files.name)
        task = load_tasks()[files.task]
        self.check = InputCheck(task, entry.schema, entry.defaults, entry.options)
        opened = task.open(files)
        assert isinstance(opened, RowProcessor)
        self.processor = opened
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            str(files.path("model.onnx")), options, providers=["CPUExecutionProvider"]
        )

    def run(self, inputs: Inputs) -> Any:
        inputs = self.check.check(inputs)
        rows = self.processor.prepare(inputs)
        feeds = self.processor.collate(rows)
        wanted = {node.name: feeds[node.name] for node in self.session.get_inputs()}
        names = [node.name for node in self.session.get_outputs()]
        outputs = dict(zip(names, self.session.run(names, wanted), strict=True))
        return self.processor.finish(inputs, rows, self.processor.split(outputs, len(rows)))[0]


def test_minilm_is_not_padded_and_is_cut_at_256(pulled: Pulled) -> None:
    model = Model(pulled("@skerry/minilm-l6-v2"))
    short, long = model.processor.prepare({"text": ["This pizza is great!", "word " * 1000]})
    assert short.data == [101, 2023, 10733, 2003, 2307, 999, 102]
    assert (short.length, long.length) == (7, 256)


@pytest.mark.parametrize("name", ["@skerry/minilm-l6-v2"])
def test_the_right_answer_is_the_nearest(pulled: Pulled, name: str) -> None:
    value = Model(pulled(name)).run(
        {
            "text": [
                "How do I reset my password?",
                "I forgot my login credentials and need to recover the account.",
                "Our office is open from 9 to 5.",
                "The train was late.",
            ]
        }
    )
    assert value["shape"] == [4, 384]
    assert np.linalg.norm(value["data"], axis=1) == pytest.approx(1, abs=1e-4)
    nearness = value["data"][1:] @ value["data"][0]
    assert nearness[0] > max(nearness[1:]) + 0.2


def test_sentiment(pulled: Pulled) -> None:
    model = Model(pulled("@skerry/minilm-sst2"))
    good = model.run({"text": "This pizza is great!"})
    bad = model.run({"text": "The room was dirty and the staff were rude."})
    assert [item["label"] for item in good] == ["NEGATIVE", "POSITIVE"]
    assert good[1]["score"] > 0.9
    assert bad[0]["score"] > 0.9


def test_what_a_photo_shows(pulled: Pulled) -> None:
    value = Model(pulled("@skerry/efficientnet-lite0")).run(
        {"image": (PHOTOS / "coffee.png").read_bytes()}
    )
    assert value[0]["label"] == "espresso"
    assert len(value) == 5


def test_where_the_horse_is(pulled: Pulled) -> None:
    value = Model(pulled("@skerry/nanodet")).run({"image": (PHOTOS / "horse.png").read_bytes()})
    assert value[0]["label"] == "horse"
    box = value[0]["box"]
    assert box["xmax"] - box["xmin"] > 300  # it fills the picture of 400 x 328
    assert box["ymax"] - box["ymin"] > 250
