"""TensorFlow operators as ONNX nodes, one small rule each."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np

from skerry.catalog.convert.graph import Array, Graph
from skerry.errors import ConversionFailed

Value = Array | str
TO_NCHW = [0, 3, 1, 2]
TO_NHWC = [0, 2, 3, 1]


class Source(Protocol):
    """Where a node's inputs come from."""

    graph: Graph
    constants: Mapping[str, Array]
    placeholder: str

    def value(self, reference: str) -> Value: ...

    def tensor(self, reference: str) -> str: ...


class Node:
    """One TensorFlow node and what a rule asks about it."""

    def __init__(self, raw: Mapping[str, Any], source: Source) -> None:
        self.name: str = raw["name"]
        self.kind: str = raw["op"]
        self._inputs: list[str] = raw.get("input", [])
        self._attributes: Mapping[str, Any] = raw.get("attr", {})
        self.source = source
        self.graph = source.graph

    def __len__(self) -> int:
        return len(self._inputs)

    def value(self, index: int) -> Value:
        return self.source.value(self._inputs[index])

    def tensor(self, index: int) -> str:
        return self.source.tensor(self._inputs[index])

    def array(self, index: int) -> Array:
        """An input that must be known now."""
        value = self.value(index)
        if isinstance(value, str):
            raise ConversionFailed(f"{self.kind} {self.name}: input {index} is not a constant")
        return value

    def numbers(self, index: int) -> list[int]:
        return [int(each) for each in np.ravel(self.array(index))]

    def ints(self, name: str) -> list[int]:
        return [int(each) for each in self._attributes[name]["list"]["i"]]

    def text(self, name: str) -> str:
        return base64.b64decode(self._attributes[name]["s"]).decode()

    def texts(self, name: str) -> list[str]:
        listed = (self._attributes.get(name) or {}).get("list", {}).get("s", [])
        return [base64.b64decode(each).decode() for each in listed]

    def number(self, name: str) -> float:
        return float(self._attributes[name]["f"])

    def flag(self, name: str) -> bool:
        return bool(self._attributes.get(name, {}).get("b"))

    @property
    def padding(self) -> str:
        return "SAME_UPPER" if self.text("padding") == "SAME" else "VALID"


Rule = Callable[[Node], list[Value]]


def _constant(node: Node) -> list[Value]:
    return [node.source.constants[node.name]]


def _placeholder(node: Node) -> list[Value]:
    return [node.source.placeholder]


def _same(node: Node) -> list[Value]:
    return [node.value(0)]


def _sparse_to_dense(node: Node) -> list[Value]:
    if node.array(0).size:
        raise ConversionFailed(f"SparseToDense {node.name}: only the empty one has a rule")
    return [np.full(node.numbers(1), node.array(3))]


def _pad(node: Node) -> list[Value]:
    g = node.graph
    pads = g.constant(node.array(1).T.ravel(), dtype=np.int64)
    fill = node.array(2) if node.kind == "PadV2" else 0
    return [g.op("Pad", node.tensor(0), pads, g.floats(fill))]


def _transpose(node: Node) -> list[Value]:
    value, order = node.value(0), node.numbers(1)
    if not isinstance(value, str):
        return [value.transpose(order)]
    return [node.graph.op("Transpose", value, perm=order)]


def _split(node: Node) -> list[Value]:
    g, sizes = node.graph, node.numbers(1)
    axis = node.numbers(2)[0]
    return [*g.ops("Split", node.tensor(0), g.ints(*sizes), outputs=len(sizes), axis=axis)]


def _leaky_relu(node: Node) -> list[Value]:
    return [node.graph.op("LeakyRelu", node.tensor(0), alpha=node.number("alpha"))]


def _fused(y: str, node: Node) -> str:
    for name in node.texts("fused_ops"):
        if name == "Relu":
            y = node.graph.op("Relu", y)
        elif name == "Relu6":
            y = node.graph.op("Clip", y, node.graph.floats(0), node.graph.floats(6))
        elif name != "BiasAdd":
            raise ConversionFailed(f"{node.kind} {node.name}: no rule for the fused {name}")
    return y


def _convolution(node: Node) -> list[Value]:
    g, weight = node.graph, node.array(1)
    depthwise = "Depthwise" in node.kind
    if depthwise:
        kernel = weight.transpose(2, 3, 0, 1).reshape(-1, 1, *weight.shape[:2])
    else:
        kernel = weight.transpose(3, 2, 0, 1)
    inputs = [g.op("Transpose", node.tensor(0), perm=TO_NCHW), g.constant(kernel)]
    if len(node) > 2:
        inputs.append(g.constant(node.array(2)))
    y = g.op(
        "Conv",
        *inputs,
        strides=node.ints("strides")[1:3],
        auto_pad=node.padding,
        group=kernel.shape[0] if depthwise else 1,
        kernel_shape=list(kernel.shape[2:]),
    )
    return [g.op("Transpose", _fused(y, node), perm=TO_NHWC)]


def _arithmetic(node: Node) -> list[Value]:
    kind = node.kind.removesuffix("V2")
    a, b = node.value(0), node.value(1)
    if not isinstance(a, str) and not isinstance(b, str):
        folded = {"Mul": np.multiply, "Add": np.add, "Sub": np.subtract}[kind](a, b)
        return [np.asarray(folded)]
    return [node.graph.op(kind, node.tensor(0), node.tensor(1))]


def _unary(node: Node) -> list[Value]:
    return [node.graph.op(node.kind, node.tensor(0))]


def _concat(node: Node) -> list[Value]:
    *indices, last = range(len(node))
    axis = node.numbers(last)[0]
    values = [node.value(i) for i in indices]
    known = [value for value in values if not isinstance(value, str)]
    if len(known) == len(values):
        return [np.concatenate(known, axis)]
    return [node.graph.op("Concat", *[node.tensor(i) for i in indices], axis=axis)]


def _reshape(node: Node) -> list[Value]:
    return [node.graph.op("Reshape", node.tensor(0), node.tensor(1))]


def _max_pool(node: Node) -> list[Value]:
    g = node.graph
    y = g.op(
        "MaxPool",
        g.op("Transpose", node.tensor(0), perm=TO_NCHW),
        kernel_shape=node.ints("ksize")[1:3],
        strides=node.ints("strides")[1:3],
        auto_pad=node.padding,
    )
    return [g.op("Transpose", y, perm=TO_NHWC)]


def _resize(node: Node) -> list[Value]:
    g = node.graph
    x = g.op("Transpose", node.tensor(0), perm=TO_NCHW)
    batch = g.op("Slice", g.op("Shape", x), g.ints(0), g.ints(2))
    sizes = g.op("Concat", batch, g.ints(*node.numbers(1)), axis=0)
    mode = "half_pixel" if node.flag("half_pixel_centers") else "asymmetric"
    y = g.op("Resize", x, "", "", sizes, mode="linear", coordinate_transformation_mode=mode)
    return [g.op("Transpose", y, perm=TO_NHWC)]


OPERATORS: Mapping[str, Rule] = {
    "Const": _constant,
    "Placeholder": _placeholder,
    "Identity": _same,
    "Pad": _pad,
    "PadV2": _pad,
    "Transpose": _transpose,
    "SparseToDense": _sparse_to_dense,
    "SplitV": _split,
    "LeakyRelu": _leaky_relu,
    "_FusedConv2D": _convolution,
    "Conv2D": _convolution,
    "FusedDepthwiseConv2dNative": _convolution,
    "DepthwiseConv2dNative": _convolution,
    "Mul": _arithmetic,
    "Add": _arithmetic,
    "AddV2": _arithmetic,
    "Sub": _arithmetic,
    "Relu": _unary,
    "Sigmoid": _unary,
    "ConcatV2": _concat,
    "Reshape": _reshape,
    "MaxPool": _max_pool,
    "ResizeBilinear": _resize,
}
