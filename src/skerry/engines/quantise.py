"""Static int8 by NNCF: calibrated on the task's own samples, prepared by the task itself."""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

from skerry.engines.base import Choice
from skerry.engines.onnx_file import model_digest
from skerry.engines.openvino import import_openvino, without
from skerry.errors import ConversionFailed, EngineMissing
from skerry.tasks.base import Feeds, ModelFiles, RowProcessor
from skerry.tasks.registry import load_tasks
from skerry.tasks.samples import samples

SAMPLES = 150
_TEXT_TASKS = {"text-embeddings", "text-classification"}


def quantised_path(files: ModelFiles, choice: Choice, model: Path) -> Path:
    """Where the int8 form is: its name is a hash of all that it is made from."""
    seed = [model_digest(model), _settings(files, choice), version("openvino")]
    digest = hashlib.sha256(msgspec.json.encode(seed)).hexdigest()[:16]
    return model.with_name(f"{model.stem}.int8-{digest}.xml")


def quantise(files: ModelFiles, choice: Choice, model: Path) -> Path:
    """Write the int8 form beside the model, unless it is there. Takes seconds to minutes.

    Raises EngineMissing without NNCF, ConversionFailed where the model cannot be quantised.
    """
    if importlib.util.find_spec("nncf") is None:
        raise EngineMissing("int8 needs NNCF: pip install 'skerry[tune]'")
    target = quantised_path(files, choice, model)
    if target.is_file():
        return target
    nncf = import_nncf()
    openvino = import_openvino()
    graph = openvino.Core().read_model(str(model))
    feeds = calibration(files, {port.get_any_name() for port in graph.inputs}, _count(choice))
    extra: dict[str, Any] = {}
    if files.task in _TEXT_TASKS:
        extra["model_type"] = nncf.ModelType.TRANSFORMER
    preset = nncf.QuantizationPreset(_preset(choice))
    try:
        smaller = nncf.quantize(
            graph, nncf.Dataset(feeds), preset=preset, subset_size=len(feeds), **extra
        )
    except (RuntimeError, ValueError, nncf.errors.InternalError) as error:
        raise ConversionFailed(
            f"{files.name}: {model.name} cannot be quantised: {error}"
        ) from error
    folder = Path(tempfile.mkdtemp(prefix=".int8-", dir=model.parent))
    try:
        openvino.save_model(smaller, folder / target.name, compress_to_fp16=False)
        weights = target.with_suffix(".bin")
        (folder / weights.name).replace(weights)
        # The graph goes last: it is what a loader looks for.
        (folder / target.name).replace(target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return target


def import_nncf() -> Any:
    """The package `nncf`, without its telemetry, which would report each call over the network and
    keep an id in the user's home folder."""
    with without("openvino_telemetry"):
        import nncf
    return nncf


def calibration(files: ModelFiles, names: set[str], count: int) -> list[Feeds]:
    """Feeds of one row each, evenly picked from the task's calibration samples."""
    processor = load_tasks()[files.task].open(files)
    inputs = samples(files.task, "calibration")
    if not isinstance(processor, RowProcessor) or not inputs:
        raise ConversionFailed(
            f"{files.name}: the task {files.task} has no samples to calibrate int8 on"
        )
    step = max(1, len(inputs) // count)
    out = []
    for each in inputs[::step][:count]:
        feeds = processor.collate(processor.prepare(each)[:1])
        out.append({name: array for name, array in feeds.items() if name in names})
    return out


def _settings(files: ModelFiles, choice: Choice) -> dict[str, Any]:
    made = hashlib.sha256()
    for each in samples(files.task, "calibration"):
        for value in each.values():
            made.update(value if isinstance(value, bytes) else str(value).encode())
    return {
        "samples": _count(choice),
        "preset": _preset(choice),
        "set": made.hexdigest(),
        "nncf": version("nncf"),
    }


def _count(choice: Choice) -> int:
    return int(choice.options.get("samples", SAMPLES))


def _preset(choice: Choice) -> str:
    return str(choice.options.get("preset", "mixed"))
