"""A TensorFlow.js graph model (JSON and weights) to ONNX: the operators that NanoDet has.

Options: model (the JSON's name), weights (the .bin's name), input [name, shape], outputs: a list
of [name, node, shape], opset defaults to 13. Constants are folded with numpy on the way.
Source: TensorFlow's operator definitions; convolutions are NHWC there, NCHW here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto

from skerry.catalog.convert.graph import Array, Graph
from skerry.catalog.convert.tfjs_ops import OPERATORS, Node, Value
from skerry.errors import ConversionFailed

OPSET = 13


def convert(inputs: Path, outputs: Path, options: Mapping[str, Any]) -> None:
    """Write model.onnx. Raises ConversionFailed."""
    model = json.loads((inputs / str(options["model"])).read_text())
    constants = _weights(model, (inputs / str(options["weights"])).read_bytes())
    name, shape = options["input"]
    reader = TfjsGraph(model["modelTopology"]["node"], constants, name)
    for output, node, _ in options["outputs"]:
        reader.graph.output(reader.tensor(node), output)
    reader.graph.save(
        outputs / "model.onnx",
        Path(str(options["model"])).stem,
        [(name, TensorProto.FLOAT, list(shape))],
        [(output, list(shape)) for output, _, shape in options["outputs"]],
        OPSET,
    )


def _weights(model: Mapping[str, Any], raw: bytes) -> dict[str, Array]:
    """Constants by name: float32, or int64 for every integer type."""
    out: dict[str, Array] = {}
    offset = 0
    for weight in model["weightsManifest"][0]["weights"]:
        quantised = weight.get("quantization") or {}
        if "scale" in quantised:
            raise ConversionFailed(f"weight {weight['name']} is quantised to integers")
        stored = np.dtype(quantised.get("dtype") or weight["dtype"])
        count = int(np.prod(weight["shape"]))
        values = np.frombuffer(raw, stored, count, offset).reshape(weight["shape"])
        offset += count * stored.itemsize
        kept = np.float32 if weight["dtype"] == "float32" else np.int64
        out[weight["name"]] = values.astype(kept)
    if offset != len(raw):
        raise ConversionFailed(f"the weights have {len(raw)} bytes where {offset} are named")
    return out


class TfjsGraph:
    """Walks the nodes from the outputs back; each is converted once."""

    def __init__(
        self, nodes: list[Mapping[str, Any]], constants: Mapping[str, Array], placeholder: str
    ) -> None:
        self.graph = Graph()
        self.constants = constants
        self.placeholder = placeholder
        self._nodes = {node["name"]: node for node in nodes}
        self._done: dict[str, list[Value]] = {}

    def value(self, reference: str) -> Value:
        """An array where the value is known now, else the name of a tensor."""
        name, _, index = reference.removeprefix("^").partition(":")
        for pending in self._order(name):
            node = Node(self._nodes[pending], self)
            rule = OPERATORS.get(node.kind)
            if rule is None:
                raise ConversionFailed(f"no rule for the operator {node.kind} ({pending})")
            self._done[pending] = rule(node)
        return self._done[name][int(index or 0)]

    def _order(self, name: str) -> list[str]:
        """The nodes that `name` needs and that are not converted yet, inputs first."""
        order: list[str] = []
        seen: set[str] = set(self._done)
        stack = [(name, False)]
        while stack:
            each, ready = stack.pop()
            if ready:
                order.append(each)
                continue
            if each in seen:
                continue
            if each not in self._nodes:
                raise ConversionFailed(f"the graph has no node {each}")
            seen.add(each)
            stack.append((each, True))
            needs = self._nodes[each].get("input", [])
            stack += [(n.removeprefix("^").partition(":")[0], False) for n in reversed(needs)]
        return order

    def tensor(self, reference: str) -> str:
        """The value as a tensor of the graph."""
        value = self.value(reference)
        return value if isinstance(value, str) else self.graph.constant(value)
