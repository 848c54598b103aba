"""object-detection: an image to labelled boxes.

Schema after Cloudflare's of @cf/facebook/detr-resnet-50.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from skerry.errors import SkerryError
from skerry.tasks.base import Feeds, ModelFiles, Row, RowProcessor
from skerry.tasks.boxes import Boxes, Detr, Nanodet
from skerry.tasks.coco import COCO
from skerry.tasks.image_task import ImageTask
from skerry.tasks.images import Plan, open_image, plan
from skerry.tasks.labels import labels
from skerry.types import Inputs, Usage


class ObjectDetection(ImageTask):
    """What is where in an image.

    options: `decoder` ("nanodet" or "detr"), `threshold` (score below which a box is dropped),
    `most` (boxes, 100), `labels`, and those of images.Plan.
    """

    name: ClassVar[str] = "object-detection"
    title: ClassVar[str] = "Object Detection"

    @property
    def output_schema(self) -> dict[str, Any]:
        edges = ("xmin", "ymin", "xmax", "ymax")
        return {
            "type": "array",
            "description": "What was found, surest first.",
            "items": {
                "type": "object",
                "properties": {
                    "label": {"type": "string", "description": "What it is."},
                    "score": {"type": "number", "minimum": 0, "maximum": 1},
                    "box": {
                        "type": "object",
                        "description": "In pixels of the image as it is looked at (upright).",
                        "properties": {edge: {"type": "number"} for edge in edges},
                        "required": list(edges),
                    },
                },
                "required": ["label", "score", "box"],
            },
        }

    def open(self, files: ModelFiles) -> DetectionProcessor:
        kind = files.options.get("decoder", "nanodet")
        if kind == "nanodet":
            # Mean and spread of the training pictures, in BGR: RangiLyu/nanodet's configuration.
            how = plan(
                files,
                input="images",
                size=(416, 416),
                bgr=True,
                mean=(103.53, 116.28, 123.675),
                std=(57.375, 57.12, 58.395),
                resample=2,
            )
            decoder: Boxes = Nanodet(how.size[0], float(files.options.get("threshold", 0.35)))
        elif kind == "detr":
            how = plan(
                files,
                size=(800, 800),
                scale=1 / 255,
                mean=(0.485, 0.456, 0.406),
                std=(0.229, 0.224, 0.225),
                resample=2,
            )
            decoder = Detr(float(files.options.get("threshold", 0.5)))
        else:
            raise SkerryError(f"{files.name}: options.decoder {kind!r} is not nanodet or detr")
        most = int(files.options.get("most", 100))
        return DetectionProcessor(how, decoder, labels(files, list(COCO)), most)


class DetectionProcessor(RowProcessor):
    """Scales the whole picture to the graph's size, one at a time, and reads the boxes back."""

    max_rows = 1

    def __init__(self, how: Plan, decoder: Boxes, names: list[str], most: int) -> None:
        self._plan = how
        self._decoder = decoder
        self._names = names
        self._most = most

    def prepare(self, inputs: Inputs) -> list[Row]:
        image, size = open_image(inputs["image"], max(self._plan.size))
        return [Row((self._plan.array(image), size))]

    def collate(self, rows: Sequence[Row]) -> Feeds:
        pixels = np.stack([row.data[0] for row in rows])
        # The mask is DETR's (1: not padding); an engine drops what its graph does not have.
        return {self._plan.input: pixels, "pixel_mask": np.ones((len(rows), 64, 64), np.int64)}

    def split(self, outputs: Feeds, count: int) -> list[Any]:
        return [{name: array[at] for name, array in outputs.items()} for at in range(count)]

    def finish(
        self, inputs: Inputs, rows: Sequence[Row], results: Sequence[Any]
    ) -> tuple[Any, Usage]:
        width, height = rows[0].data[1]
        boxes, scores, classes = self._decoder.read(results[0])
        scaled = np.clip(boxes, 0, 1) * np.array([width, height, width, height])
        value = []
        for at in np.argsort(-scores, kind="stable")[: self._most]:
            edges = (round(float(edge), 2) for edge in scaled[at])
            value.append(
                {
                    "label": self._names[int(classes[at])],
                    "score": float(scores[at]),
                    "box": dict(zip(("xmin", "ymin", "xmax", "ymax"), edges, strict=True)),
                }
            )
        return value, Usage()
