"""What image-classification and object-detection have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from skerry.tasks.base import Task
from skerry.tasks.binary import binary_schema, decode_field
from skerry.tasks.image_header import check_format, check_size
from skerry.types import Inputs


class ImageTask(Task):
    """A task whose input is one image."""

    binary_field: ClassVar[str | None] = "image"
    max_bytes: ClassVar[int] = 32 << 20

    @property
    def input_schema(self) -> dict[str, Any]:
        return {
            "type": "object",
            "properties": {
                "image": binary_schema("The image: PNG, JPEG, GIF, WebP, BMP, TIFF or AVIF.")
            },
            "required": ["image"],
            "additionalProperties": False,
        }

    def decode(self, inputs: Inputs) -> Inputs:
        return decode_field(inputs, "image", self.sniff)

    def sniff(self, head: bytes) -> None:
        check_format(head)

    def check(self, inputs: Inputs, options: Mapping[str, Any]) -> None:
        check_format(inputs["image"])
        check_size(inputs["image"])
