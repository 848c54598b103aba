"""image-classification: an image to its five likeliest labels.

Schema after Cloudflare's of @cf/microsoft/resnet-50.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from skerry.tasks.base import Feeds, ModelFiles, Row, RowProcessor
from skerry.tasks.image_task import ImageTask
from skerry.tasks.images import Plan, open_image, plan
from skerry.tasks.labels import labels, softmax
from skerry.tasks.shapes import padded_rows
from skerry.types import Inputs, Usage


class ImageClassification(ImageTask):
    """What an image shows.

    options: those of images.Plan, `labels`, `top` (5).
    """

    name: ClassVar[str] = "image-classification"
    title: ClassVar[str] = "Image Classification"

    @property
    def output_schema(self) -> dict[str, Any]:
        return {
            "type": "array",
            "description": "The likeliest labels, best first.",
            "items": {
                "type": "object",
                "properties": {
                    "label": {"type": "string", "description": "The name of the class."},
                    "score": {
                        "type": "number",
                        "minimum": 0,
                        "maximum": 1,
                        "description": "Its probability.",
                    },
                },
                "required": ["label", "score"],
            },
        }

    def open(self, files: ModelFiles) -> ClassificationProcessor:
        top = int(files.options.get("top", 5))
        return ClassificationProcessor(plan(files), labels(files), top)


class ClassificationProcessor(RowProcessor):
    """Crops and scales; takes `logits`, or the graph's only output, [rows, classes]."""

    def __init__(self, how: Plan, names: list[str], top: int) -> None:
        self._plan = how
        self._names = names
        self._top = top

    def prepare(self, inputs: Inputs) -> list[Row]:
        crop = self._plan.crop or 1.0
        image, _ = open_image(inputs["image"], int(max(self._plan.size) / crop))
        return [Row(self._plan.array(image))]

    def collate(self, rows: Sequence[Row]) -> Feeds:
        images = [row.data for row in rows]
        images += [images[-1]] * (padded_rows(len(rows)) - len(rows))
        return {self._plan.input: np.stack(images)}

    def split(self, outputs: Feeds, count: int) -> list[Any]:
        found = outputs.get("logits")
        return list((next(iter(outputs.values())) if found is None else found)[:count])

    def finish(
        self, inputs: Inputs, rows: Sequence[Row], results: Sequence[Any]
    ) -> tuple[Any, Usage]:
        scores = softmax(results[0].ravel())
        best = np.argsort(-scores, kind="stable")[: self._top]
        return [{"label": self._names[at], "score": float(scores[at])} for at in best], Usage()
