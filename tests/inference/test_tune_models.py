"""Tuning a real model."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from skerry.catalog.catalog import Catalog
from skerry.inference.tune import Tuner
from skerry.types import ModelFiles

NAME = "@skerry/minilm-l6-v2"


@pytest.mark.models
async def test_minilm_is_tuned_within_the_floor(
    pulled: Callable[[str], ModelFiles], tmp_path: Path
) -> None:
    found = pulled(NAME)
    folder = tmp_path / "model"
    shutil.copytree(found.directory, folder, ignore=shutil.ignore_patterns("*int8*", "*cache*"))
    files = ModelFiles(found.name, found.task, folder, found.options, found.context)
    entry = Catalog().get(NAME)
    # On one core, and little of it: whether it ends well, not which wins, is tested.
    tuner = Tuner(tmp_path / "store", threads=1, seconds=0.1, budget=20)
    report = await tuner.tune(entry, files)
    assert tuner.choices(entry, files) == report.choices
    (chosen,) = (one for one in report.candidates if one.state == "chosen")
    assert chosen.rates["32 at once"] > 0
    exact = [one for one in report.candidates if one.choice.precision == "fp32"]
    assert {one.choice.engine for one in exact} == {"openvino", "onnxruntime"}
    compared = [one.accuracy for one in exact if one.accuracy is not None]
    assert compared, "two engines in fp32: one is the reference, the other is compared with it"
    assert all((one.cosine_min or 0) > 0.999 for one in compared)
    for one in report.candidates:
        if one.accuracy is not None and one.state != "refused":
            assert (one.accuracy.cosine_mean or 0) >= 0.995
