"""EfficientNet-Lite0, a torch checkpoint (.pth) to ONNX, with numpy alone.

Input image: float32 [batch, 3, 224, 224], RGB, 0 … 255 (the normalisation is in the graph).
Output logits: float32 [batch, 1000]. Also writes labels.json, the 1000 names in order, from the
artifact that options["labels"] names ({"0": "tench, Tinca tinca", …}).
Source of the architecture: EfficientNet-Lite, TensorFlow's TPU models; batch norm is folded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from onnx import TensorProto

from skerry.catalog.convert.checkpoint import read_checkpoint
from skerry.catalog.convert.graph import Array, Graph
from skerry.errors import ConversionFailed

OPSET = 13
SIZE = 224
EPSILON = 1e-3
CLASSES = 1000


class _Stage(NamedTuple):
    repeats: int
    kernel: int
    stride: int
    expand: int
    channels: int


STAGES = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)


def convert(inputs: Path, outputs: Path, options: Mapping[str, Any]) -> None:
    """Write model.onnx and labels.json. Raises ConversionFailed."""
    weights = read_checkpoint(inputs / str(options["checkpoint"]))
    try:
        _Network(weights).save(outputs / "model.onnx")
    except KeyError as error:
        raise ConversionFailed(f"the checkpoint has no tensor {error}") from error
    names = json.loads((inputs / str(options["labels"])).read_text())
    labels = [names[str(i)] for i in range(CLASSES)]
    (outputs / "labels.json").write_text(json.dumps(labels))


class _Network:
    def __init__(self, weights: Mapping[str, Array]) -> None:
        self._weights = weights
        self._graph = Graph()
        g = self._graph
        self._low, self._high = g.floats(0.0), g.floats(6.0)

    def _conv(
        self,
        x: str,
        weight: str,
        norm: str,
        size: int,
        *,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        relu6: bool = True,
    ) -> tuple[str, int]:
        """Convolution with its batch norm folded in; the tensor and its width."""
        w, g = self._weights, self._graph
        gain = w[f"{norm}.weight"] / np.sqrt(w[f"{norm}.running_var"] + EPSILON)
        bias = w[f"{norm}.bias"] - w[f"{norm}.running_mean"] * gain
        out = -(-size // stride)
        pad = max((out - 1) * stride + kernel - size, 0)
        # TensorFlow's SAME: the odd pixel goes after
        before, after = pad // 2, pad - pad // 2
        y = g.op(
            "Conv",
            x,
            g.floats(w[f"{weight}.weight"] * gain[:, None, None, None]),
            g.floats(bias),
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            group=groups,
            pads=[before, before, after, after],
        )
        return (g.op("Clip", y, self._low, self._high) if relu6 else y), out

    def _block(
        self, x: str, index: int, stage: _Stage, stride: int, channels: int, size: int
    ) -> tuple[str, int]:
        name, inner, start = f"_blocks.{index}.", channels * stage.expand, x
        if stage.expand != 1:
            x, size = self._conv(x, f"{name}_expand_conv", f"{name}_bn0", size)
        x, size = self._conv(
            x,
            f"{name}_depthwise_conv",
            f"{name}_bn1",
            size,
            kernel=stage.kernel,
            stride=stride,
            groups=inner,
        )
        x, size = self._conv(x, f"{name}_project_conv", f"{name}_bn2", size, relu6=False)
        if stride == 1 and channels == stage.channels:
            x = self._graph.op("Add", x, start)
        return x, size

    def save(self, path: Path) -> None:
        g, w = self._graph, self._weights
        mean, scale = np.full((1, 3, 1, 1), 127.0), np.full((1, 3, 1, 1), 1 / 128)
        x = g.op("Mul", g.op("Sub", "image", g.floats(mean)), g.floats(scale))
        x, size = self._conv(x, "_conv_stem", "_bn0", SIZE, kernel=3, stride=2)
        channels, index = 32, 0
        for stage in STAGES:
            for repeat in range(stage.repeats):
                stride = stage.stride if repeat == 0 else 1
                x, size = self._block(x, index, stage, stride, channels, size)
                channels, index = stage.channels, index + 1
        x, _ = self._conv(x, "_conv_head", "_bn1", size)
        flat = g.op("Flatten", g.op("GlobalAveragePool", x))
        weight, bias = g.floats(w["_fc.weight"]), g.floats(w["_fc.bias"])
        g.output(g.op("Gemm", flat, weight, bias, transB=1), "logits")
        shape: list[int | str] = ["batch", 3, SIZE, SIZE]
        g.save(
            path,
            "efficientnet_lite0",
            [("image", TensorProto.FLOAT, shape)],
            [("logits", ["batch", CLASSES])],
            OPSET,
        )
