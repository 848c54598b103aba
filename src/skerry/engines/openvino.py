"""OpenVINO: encoders and vision on CPU, from ONNX or OpenVINO IR.

Precisions: fp32; bf16 (the same file, executed in bfloat16); int8 (a file of its own that
`convert` makes by static quantisation with NNCF).

Options (`engine_options.openvino`):

    model    the file in the model's directory; default model.xml or model.onnx
    preset   NNCF's preset for int8: "mixed" (default) or "performance"
    samples  how many calibration inputs int8 takes; default 150: with 60, MiniLM's
             mean cosine on other texts was 0.994, with 150 it is 0.996
"""

from __future__ import annotations

import importlib.util
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from skerry.engines.base import Choice, TensorEngine
from skerry.errors import EngineError
from skerry.tasks.base import Feeds, ModelFiles

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_HINT = {"fp32": "f32", "bf16": "bf16", "int8": "f32"}


class OpenVino(TensorEngine):
    """One compiled model, one infer request per stream."""

    name = "openvino"
    distributions: ClassVar[tuple[str, ...]] = ("openvino", "nncf", "skerry")
    precisions: ClassVar[tuple[str, ...]] = ("fp32", "bf16", "int8")

    @classmethod
    def missing(cls) -> str | None:
        if importlib.util.find_spec("openvino") is None:
            return "pip install 'skerry[openvino]'"
        return None

    @classmethod
    def convert(cls, files: ModelFiles, choice: Choice) -> None:
        """For int8: quantise, once. Needs `pip install 'skerry[tune]'`. Raises EngineError."""
        if choice.precision == "int8":
            from skerry.engines.quantise import quantise

            quantise(files, choice, model_file(files, choice))

    @classmethod
    def load(cls, files: ModelFiles, choice: Choice) -> OpenVino:
        ov = import_openvino()
        if choice.precision not in cls.precisions:
            raise EngineError(
                f"{files.name}: OpenVINO has no precision {choice.precision!r};"
                f" it has {', '.join(cls.precisions)}."
            )
        path = model_file(files, choice)
        if choice.precision == "int8":
            from skerry.engines.quantise import quantised_path

            path = quantised_path(files, choice, path)
            if not path.is_file():
                raise EngineError(
                    f"{files.name}: no int8 form yet ({path.name});"
                    f" make it: skerry models tune {files.name}"
                )
        config: dict[str, Any] = {
            "NUM_STREAMS": choice.streams,
            "INFERENCE_PRECISION_HINT": _HINT[choice.precision],
            # The node shares these cores: the scheduler places the threads better than a pin.
            "ENABLE_CPU_PINNING": False,
        }
        if os.access(files.directory, os.W_OK):
            # A folder for each way of running: the cache's own key leaves the precision out, and a
            # graph cached in fp32 crashes the process when it is executed in bf16 (2026.4).
            way = f"{choice.precision}-{choice.streams}x{choice.threads}"
            config["CACHE_DIR"] = str(files.path("openvino-cache") / way)
        if choice.threads:
            config["INFERENCE_NUM_THREADS"] = choice.threads
        try:
            compiled = ov.Core().compile_model(str(path), "CPU", config)
        except RuntimeError as error:
            raise EngineError(f"{files.name}: OpenVINO cannot load {path.name}: {error}") from error
        return cls(files.name, compiled, ov.Tensor, choice.streams)

    def __init__(self, model: str, compiled: Any, tensor: Any, streams: int) -> None:
        self._model = model
        self._compiled = compiled
        self._inputs = {
            name: (port, port.element_type.to_dtype())
            for port in compiled.inputs
            for name in port.get_names()
        }
        self._outputs = [port.get_any_name() for port in compiled.outputs]
        self._tensor = tensor
        self._requests = [compiled.create_infer_request() for _ in range(streams)]
        self.capacity = streams

    @property
    def inputs(self) -> list[str]:
        """The graph's input names."""
        return [port.get_any_name() for port in self._compiled.inputs]

    def infer(self, feeds: Feeds, stream: int) -> Feeds:
        """Feeds that the graph lacks are dropped; the GIL is free while the graph runs."""
        request = self._requests[stream]
        arrays = []
        for name, array in feeds.items():
            if name in self._inputs:
                port, dtype = self._inputs[name]
                arrays.append((port, np.ascontiguousarray(array, dtype)))
        try:
            # Shared, not copied: OpenVINO reads the arrays only until `wait` returns. The package's
            # own `infer` does the same at twice the cost in Python (0.4 ms a batch).
            for port, array in arrays:
                request.set_tensor(port, self._tensor(array, shared_memory=True))
            request.start_async()
            request.wait()
        except RuntimeError as error:
            shapes = {port.get_any_name(): list(array.shape) for port, array in arrays}
            raise EngineError(
                f"{self._model}: OpenVINO failed on inputs {shapes}: {error}"
            ) from error
        # Copied: the request's own buffers are written again by the next infer.
        return {
            name: request.get_output_tensor(index).data.copy()
            for index, name in enumerate(self._outputs)
        }

    def close(self) -> None:
        self._requests.clear()
        self._compiled = None


def model_file(files: ModelFiles, choice: Choice) -> Path:
    """The graph of a model: the option `model`, else model.xml, else model.onnx.

    Raises EngineError naming the folder where there is none.
    """
    named = choice.options.get("model") or files.options.get("model")
    names = [str(named)] if named else ["model.xml", "model.onnx"]
    for name in names:
        if files.path(name).is_file():
            return files.path(name)
    raise EngineError(f"{files.name}: {' or '.join(names)} is not in {files.directory}")


@contextmanager
def without(module: str) -> Iterator[None]:
    """Make `import module` fail with ImportError inside the block."""
    if module in sys.modules:
        yield
        return
    sys.modules[module] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[module]


def import_openvino() -> Any:
    """The package `openvino`, without its model conversion tool.

    The package imports that tool if it can; it costs a third of a second of a cold start and the
    runner converts nothing.
    """
    with without("openvino.tools.ovc"):
        import openvino
    return openvino
