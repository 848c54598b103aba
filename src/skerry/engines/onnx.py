"""ONNX Runtime: encoders and vision on CPU, from ONNX files.

Precisions: fp32, or whatever the file itself holds. Options (`engine_options.onnxruntime`):

    model    the file in the model's directory; default model.onnx
"""

from __future__ import annotations

import importlib.util
import os
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from skerry.engines.base import Choice, TensorEngine
from skerry.errors import EngineError
from skerry.tasks.base import Feeds, ModelFiles

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

_DTYPES: dict[str, DTypeLike] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(uint8)": np.uint8,
    "tensor(int8)": np.int8,
    "tensor(bool)": np.bool_,
}


class OnnxRuntime(TensorEngine):
    """One session; ONNX Runtime lets several threads run it at once."""

    name = "onnxruntime"
    distributions: ClassVar[tuple[str, ...]] = ("onnxruntime",)
    precisions: ClassVar[tuple[str, ...]] = ("fp32",)

    @classmethod
    def missing(cls) -> str | None:
        if importlib.util.find_spec("onnxruntime") is None:
            return "pip install 'skerry[onnx]'"
        return None

    @classmethod
    def load(cls, files: ModelFiles, choice: Choice) -> OnnxRuntime:
        import onnxruntime

        named = str(choice.options.get("model") or files.options.get("model") or "model.onnx")
        path = files.path(named)
        if not path.is_file():
            raise EngineError(f"{files.name}: {named} is not in {files.directory}")
        options = onnxruntime.SessionOptions()
        threads = choice.threads or len(os.sched_getaffinity(0))
        options.intra_op_num_threads = max(1, threads // choice.streams)
        options.inter_op_num_threads = 1
        # Idle threads that spin take the cores from the node beside them.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        try:
            session = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's errors share no base but Exception
            raise EngineError(f"{files.name}: ONNX Runtime cannot load {named}: {error}") from error
        return cls(files.name, session, choice.streams)

    def __init__(self, model: str, session: Any, streams: int) -> None:
        self._model = model
        self._session = session
        self._inputs = {node.name: _DTYPES.get(node.type) for node in session.get_inputs()}
        self._outputs = [node.name for node in session.get_outputs()]
        self.capacity = streams

    def infer(self, feeds: Feeds, stream: int) -> Feeds:
        """Feeds that the graph lacks are dropped; the GIL is free while the graph runs."""
        arrays = {
            name: np.ascontiguousarray(array, self._inputs[name])
            for name, array in feeds.items()
            if name in self._inputs
        }
        try:
            results = self._session.run(self._outputs, arrays)
        except Exception as error:  # the same
            shapes = {name: list(array.shape) for name, array in arrays.items()}
            raise EngineError(
                f"{self._model}: ONNX Runtime failed on inputs {shapes}: {error}"
            ) from error
        return dict(zip(self._outputs, results, strict=True))

    def close(self) -> None:
        self._session = None
