"""BERT and MPNet sentence encoders, safetensors to ONNX, float32, any batch and length.

Options: delta (a safetensors file with a LoRA for every linear layer and a classifier's head),
scale (the LoRA's, default 2.0).
Inputs input_ids, attention_mask: int64 [batch, seq]. Output sentence_embedding: float32
[batch, hidden], mean-pooled, of length 1; with a delta logits: float32 [batch, labels].
Sources: BERT, arXiv:1810.04805; MPNet, arXiv:2004.09297; LoRA, arXiv:2106.09685.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import TensorProto

from skerry.catalog.convert.graph import Array, Graph
from skerry.catalog.convert.safetensors import read_safetensors
from skerry.errors import ConversionFailed

OPSET = 17
MASKED = -1e9
_BERT = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "o": "attention.output.dense",
    "norm": "attention.output.LayerNorm",
}
_MPNET = {
    "q": "attention.attn.q",
    "k": "attention.attn.k",
    "v": "attention.attn.v",
    "o": "attention.attn.o",
    "norm": "attention.LayerNorm",
}


def convert(inputs: Path, outputs: Path, options: Mapping[str, Any]) -> None:
    """Write model.onnx. Raises ConversionFailed."""
    config = json.loads((inputs / "config.json").read_text())
    if config.get("model_type") not in {"bert", "mpnet"}:
        raise ConversionFailed(f"config.json: model_type {config.get('model_type')!r} is not known")
    weights = {
        name.split(".", 1)[1] if name.split(".")[0] in {"bert", "mpnet"} else name: value
        for name, value in read_safetensors(inputs / "model.safetensors").items()
    }
    delta: dict[str, Array] = {}
    if "delta" in options:
        read = read_safetensors(inputs / str(options["delta"]))
        delta = {name: value.astype(np.float32) for name, value in read.items()}
    _Encoder(config, weights, delta, float(options.get("scale", 2.0))).save(outputs / "model.onnx")


class _Encoder:
    def __init__(
        self,
        config: Mapping[str, Any],
        weights: Mapping[str, Array],
        delta: Mapping[str, Array],
        scale: float,
    ) -> None:
        self._config = config
        self._weights = weights
        self._delta = delta
        self._scale = scale
        self._graph = Graph()
        self._mpnet = config["model_type"] == "mpnet"
        self._names = _MPNET if self._mpnet else _BERT
        self._hidden = int(config["hidden_size"])
        self._heads = int(config["num_attention_heads"])

    def _weight(self, name: str) -> Array:
        try:
            return self._weights[name].astype(np.float32)
        except KeyError as error:
            raise ConversionFailed(f"model.safetensors has no tensor {name}") from error

    def _norm(self, x: str, name: str) -> str:
        weight, bias = self._weight(f"{name}.weight"), self._weight(f"{name}.bias")
        epsilon = float(self._config["layer_norm_eps"])
        g = self._graph
        return g.op(
            "LayerNormalization", x, g.floats(weight), g.floats(bias), axis=-1, epsilon=epsilon
        )

    def _linear(self, x: str, name: str, short: str, layer: int) -> str:
        weight = self._weight(f"{name}.weight")
        low = f"b.layers.{layer}.{short}."
        if f"{low}A" in self._delta:
            weight = weight + self._scale * self._delta[f"{low}B"] @ self._delta[f"{low}A"]
        g = self._graph
        product = g.op("MatMul", x, g.floats(weight.T, f"W.{name}"))
        return g.op("Add", product, g.floats(self._weight(f"{name}.bias")))

    def save(self, path: Path) -> None:
        g = self._graph
        length = g.op("Slice", g.op("Shape", "input_ids"), g.ints(1), g.ints(2))
        mask = g.op("Cast", "attention_mask", to=TensorProto.FLOAT)
        x = self._embed(length)
        bias = self._bias(mask, length)
        for layer in range(int(self._config["num_hidden_layers"])):
            x = self._layer(x, bias, layer)
        name, shape = self._head(x, mask)
        ids: list[int | str] = ["batch", "seq"]
        g.save(
            path,
            "encoder",
            [("input_ids", TensorProto.INT64, ids), ("attention_mask", TensorProto.INT64, ids)],
            [(name, shape)],
            OPSET,
        )

    def _embed(self, length: str) -> str:
        g = self._graph
        words = g.floats(self._weight("embeddings.word_embeddings.weight"), "W.word")
        x = g.op("Gather", words, "input_ids")
        # MPNet counts positions from padding_idx + 1 = 2; texts are padded on the right
        table = self._weight("embeddings.position_embeddings.weight")[2 if self._mpnet else 0 :]
        position = g.op("Slice", g.floats(table), g.ints(0), length, g.ints(0))
        if not self._mpnet:
            kind = self._weight("embeddings.token_type_embeddings.weight")[0]
            position = g.op("Add", position, g.floats(kind))
        return self._norm(g.op("Add", x, position), "embeddings.LayerNorm")

    def _bias(self, mask: str, length: str) -> str:
        """What is added to attention scores: a large negative number where there is no token, and
        for MPNet the learned bias of each distance."""
        g = self._graph
        absent = g.op("Sub", g.floats(1.0), g.op("Unsqueeze", mask, g.ints(1, 2)))
        bias = g.op("Mul", absent, g.floats(MASKED))
        if not self._mpnet:
            return bias
        most = int(self._config["max_position_embeddings"]) - 2
        buckets = relative_buckets(np.arange(-(most - 1), most))
        table = self._weight("encoder.relative_attention_bias.weight")[buckets]
        zero, one = g.constant(0, dtype=np.int64), g.constant(1, dtype=np.int64)
        index = g.op("Range", zero, g.op("Squeeze", length, g.ints(0)), one)
        rows = g.op("Unsqueeze", index, g.ints(1))
        distance = g.op("Sub", g.op("Unsqueeze", index, g.ints(0)), rows)
        at = g.op("Add", distance, g.constant(most - 1, dtype=np.int64))
        learned = g.op("Transpose", g.op("Gather", g.floats(table), at), perm=[2, 0, 1])
        return g.op("Add", bias, g.op("Unsqueeze", learned, g.ints(0)))

    def _layer(self, x: str, bias: str, layer: int) -> str:
        prefix = f"encoder.layer.{layer}."
        attended = self._attention(x, bias, prefix, layer)
        x = self._norm(self._graph.op("Add", x, attended), prefix + self._names["norm"])
        inner = self._gelu(self._linear(x, prefix + "intermediate.dense", "i", layer))
        outer = self._linear(inner, prefix + "output.dense", "f", layer)
        return self._norm(self._graph.op("Add", x, outer), prefix + "output.LayerNorm")

    def _attention(self, x: str, bias: str, prefix: str, layer: int) -> str:
        g, names = self._graph, self._names
        size = self._hidden // self._heads
        split, join = g.ints(0, 0, self._heads, size), g.ints(0, 0, self._hidden)

        def heads(part: str, order: list[int]) -> str:
            y = self._linear(x, prefix + names[part], part, layer)
            return g.op("Transpose", g.op("Reshape", y, split), perm=order)

        q, k, v = heads("q", [0, 2, 1, 3]), heads("k", [0, 2, 3, 1]), heads("v", [0, 2, 1, 3])
        scores = g.op("Mul", g.op("MatMul", q, k), g.floats(1 / np.sqrt(size)))
        weights = g.op("Softmax", g.op("Add", scores, bias), axis=-1)
        mixed = g.op("Transpose", g.op("MatMul", weights, v), perm=[0, 2, 1, 3])
        return self._linear(g.op("Reshape", mixed, join), prefix + names["o"], "o", layer)

    def _gelu(self, x: str) -> str:
        g = self._graph
        erf = g.op("Erf", g.op("Mul", x, g.floats(1 / np.sqrt(2))))
        return g.op("Mul", g.op("Mul", x, g.floats(0.5)), g.op("Add", g.floats(1.0), erf))

    def _head(self, x: str, mask: str) -> tuple[str, list[int | str]]:
        g = self._graph
        wide = g.op("Unsqueeze", mask, g.ints(2))
        total = g.op("ReduceSum", g.op("Mul", x, wide), g.ints(1), keepdims=0)
        count = g.op("Max", g.op("ReduceSum", wide, g.ints(1), keepdims=0), g.floats(1e-9))
        pooled = g.op("Div", total, count)
        if not self._delta:
            g.output(g.op("LpNormalization", pooled, axis=-1, p=2), "sentence_embedding")
            return "sentence_embedding", ["batch", self._hidden]
        dense = g.op("MatMul", pooled, g.floats(self._delta["d.weight"].T))
        hidden = g.op("Tanh", g.op("Add", dense, g.floats(self._delta["d.bias"])))
        scores = g.op("MatMul", hidden, g.floats(self._delta["c.weight"].T))
        g.output(g.op("Add", scores, g.floats(self._delta["c.bias"])), "logits")
        return "logits", ["batch", int(self._delta["c.bias"].size)]


def relative_buckets(
    distance: npt.NDArray[np.int64], buckets: int = 32, farthest: int = 128
) -> npt.NDArray[np.int64]:
    """The bucket of each distance (memory - query): half for each direction; near ones one each,
    far ones by logarithm. Source: T5, arXiv:1910.10683, as MPNet uses it."""
    half = buckets // 2
    exact = half // 2
    behind = (distance > 0).astype(np.int64) * half
    far = np.abs(distance)
    ratio = np.log(np.maximum(far, 1) / exact) / np.log(farthest / exact)
    logged = np.minimum(exact + (ratio * (half - exact)).astype(np.int64), half - 1)
    return behind + np.where(far < exact, far, logged)
