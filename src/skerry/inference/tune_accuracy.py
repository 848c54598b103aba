"""How near a candidate's results come to those of fp32."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from skerry.engines.base import TensorEngine
from skerry.errors import EngineError
from skerry.inference.tune_report import Accuracy
from skerry.tasks.base import Array, RowProcessor


def results(
    rows: RowProcessor, engine: TensorEngine, inputs: Sequence[dict[str, Any]]
) -> tuple[Array, Array]:
    """Per input its numbers, float32 [n, d], and its label, "" where it has none."""
    prepared = [rows.prepare(one)[0] for one in inputs]
    order = sorted(range(len(inputs)), key=lambda at: prepared[at].length)
    vectors: list[Array] = [np.zeros(0, np.float32)] * len(inputs)
    labels = [""] * len(inputs)
    for at in range(0, len(order), 16):
        some = order[at : at + 16]
        batch = [prepared[i] for i in some]
        outputs = rows.split(engine.infer(rows.collate(batch), 0), len(batch))
        for i, result in zip(some, outputs, strict=True):
            value, _ = rows.finish(inputs[i], [prepared[i]], [result])
            if isinstance(value, dict) and isinstance(value.get("data"), np.ndarray):
                vectors[i] = value["data"].reshape(-1)
            else:
                vectors[i] = _flat(result)
                labels[i] = _label(value)
    return np.stack(vectors).astype(np.float32), np.array(labels)


def _flat(result: Any) -> Array:
    if isinstance(result, dict):
        return np.concatenate([_flat(result[name]) for name in sorted(result)])
    if isinstance(result, (list, tuple)):
        return np.concatenate([_flat(part) for part in result])
    return np.asarray(result, np.float32).reshape(-1)


def _label(value: Any) -> str:
    """The label of the highest score; for boxes none: those are compared by their numbers."""
    if not isinstance(value, list) or not value or "box" in value[0]:
        return ""
    return str(max(value, key=lambda one: one["score"])["label"])


def compare(vectors: Array, labels: Array, others: Array, other_labels: Array) -> Accuracy:
    """Vectors float32 [n, d] and labels [n] of fp32, and those of a candidate."""
    if vectors.shape != others.shape:
        raise EngineError(f"gives results of shape {others.shape}, fp32 of {vectors.shape}")
    norms = np.linalg.norm(vectors, axis=1) * np.linalg.norm(others, axis=1)
    cosine = (vectors * others).sum(axis=1) / np.maximum(norms, 1e-12)
    cosine = np.nan_to_num(cosine, nan=-1.0)
    has_labels = bool((labels != "").any())
    return Accuracy(
        inputs=len(labels),
        cosine_mean=float(cosine.mean()),
        cosine_min=float(cosine.min()),
        agreement=float((labels == other_labels).mean()) if has_labels else None,
    )
