"""Detectors' outputs to boxes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import numpy as np

from skerry.tasks.base import Array
from skerry.tasks.labels import softmax

Found = tuple[Array, Array, Array]
"""Boxes [n, 4] (xmin, ymin, xmax, ymax as parts of the picture), scores [n], classes [n]."""


class Boxes(ABC):
    """How one family of detectors says where things are."""

    @abstractmethod
    def read(self, outputs: Mapping[str, Array]) -> Found:
        """What one picture's outputs (without the batch axis) say."""


class Nanodet(Boxes):
    """NanoDet: per stride `cls_i` [cells, classes] (probabilities) and `reg_i` [cells, 4 x bins].

    Each side of a box is the expectation of a distribution over distances from the cell's centre,
    in strides (generalised focal loss, Li et al. 2020). A class's overlapping boxes are dropped.
    """

    strides = (8, 16, 32)
    overlap = 0.5

    def __init__(self, size: int, threshold: float) -> None:
        self._size = size
        self._threshold = threshold

    def read(self, outputs: Mapping[str, Array]) -> Found:
        parts = [
            self._level(outputs[f"cls_{at}"], outputs[f"reg_{at}"], stride)
            for at, stride in enumerate(self.strides)
        ]
        boxes, scores, classes = (np.concatenate(level) for level in zip(*parts, strict=True))
        kept = suppress(boxes, scores, classes, self.overlap)
        return boxes[kept] / self._size, scores[kept], classes[kept]

    def _level(self, scores: Array, distances: Array, stride: int) -> Found:
        best = scores.max(axis=1)
        cells = np.flatnonzero(best > self._threshold)
        across = -(-self._size // stride)
        y, x = np.divmod(cells, across)
        centre = np.stack([x, y, x, y], axis=1) + 0.5
        count = distances.shape[1] // 4
        sides = softmax(distances[cells].reshape(-1, 4, count)) @ np.arange(count)
        boxes = (centre + sides * np.array([-1, -1, 1, 1])) * stride
        return boxes, best[cells], scores[cells].argmax(axis=1)


class Detr(Boxes):
    """DETR: `logits` [queries, classes + 1], the last for nothing, and `pred_boxes` [queries, 4]
    (centre x, centre y, width, height as parts of the picture)."""

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold

    def read(self, outputs: Mapping[str, Array]) -> Found:
        scores = softmax(outputs["logits"])[:, :-1]
        best = scores.max(axis=1)
        kept = np.flatnonzero(best > self._threshold)
        centre, half = outputs["pred_boxes"][kept, :2], outputs["pred_boxes"][kept, 2:] / 2
        boxes = np.concatenate([centre - half, centre + half], axis=1)
        return boxes, best[kept], scores[kept].argmax(axis=1)


def suppress(boxes: Array, scores: Array, classes: Array, overlap: float) -> Array:
    """Non-maximum suppression within each class: indices of the boxes to keep, best first."""
    if len(boxes) == 0:
        return np.empty(0, np.int64)
    # Boxes of different classes are moved apart so that one pass serves all classes.
    away = classes[:, None] * (float(np.abs(boxes).max()) * 2 + 1)
    left, top, right, bottom = (boxes + away).T
    area = np.maximum(right - left, 0) * np.maximum(bottom - top, 0)
    order = np.argsort(-scores, kind="stable")
    kept = []
    while len(order):
        first, rest = order[0], order[1:]
        kept.append(int(first))
        wide = np.minimum(right[first], right[rest]) - np.maximum(left[first], left[rest])
        high = np.minimum(bottom[first], bottom[rest]) - np.maximum(top[first], top[rest])
        common = np.maximum(wide, 0) * np.maximum(high, 0)
        order = rest[common <= overlap * (area[first] + area[rest] - common)]
    return np.array(kept)
