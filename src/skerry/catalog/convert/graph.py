"""Build an ONNX graph node by node, with names that depend on nothing but the order."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

Array = npt.NDArray[Any]
IR_VERSION = 8


class Graph:
    """Nodes and constants of a graph in the making; every method returns tensor names."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._count = 0

    def _name(self, prefix: str) -> str:
        self._count += 1
        return f"{prefix}{self._count}"

    def constant(self, value: Any, name: str | None = None, *, dtype: Any = None) -> str:
        """A constant; its dtype is the array's own unless given."""
        name = name or self._name("k")
        array = np.ascontiguousarray(np.asarray(value, dtype))
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def floats(self, value: Any, name: str | None = None) -> str:
        return self.constant(value, name, dtype=np.float32)

    def ints(self, *values: int) -> str:
        return self.constant(list(values), dtype=np.int64)

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """A node with one output."""
        return self.ops(kind, *inputs, outputs=1, **attributes)[0]

    def ops(self, kind: str, *inputs: str, outputs: int, **attributes: Any) -> list[str]:
        """A node with several outputs."""
        name = self._name("v")
        names = [name] if outputs == 1 else [f"{name}_{i}" for i in range(outputs)]
        node = helper.make_node(kind, list(inputs), names, name=f"{kind}_{name}", **attributes)
        self.nodes.append(node)
        return names

    def output(self, tensor: str, name: str) -> None:
        """Call a tensor by the name that the graph gives out."""
        self.nodes.append(helper.make_node("Identity", [tensor], [name], name=f"out_{name}"))

    def save(
        self,
        path: Path,
        name: str,
        inputs: Sequence[tuple[str, Any, list[int | str]]],
        outputs: Sequence[tuple[str, list[int | str]]],
        opset: int,
    ) -> None:
        """Check and write; inputs are (name, TensorProto type, shape), outputs are float32."""
        given = [helper.make_tensor_value_info(n, kind, shape) for n, kind, shape in inputs]
        out = [helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n, shape in outputs]
        graph = helper.make_graph(self.nodes, name, given, out, self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
        model.ir_version = IR_VERSION
        model.producer_name = "skerry"
        onnx.checker.check_model(model)
        path.write_bytes(model.SerializeToString(deterministic=True))
