"""Images: bytes to an RGB picture, and a picture to an array. In the runner only (Pillow)."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from skerry.errors import AiError, InvalidData, RequestTooLarge
from skerry.tasks.base import Array, ModelFiles
from skerry.tasks.image_header import check_format, check_pixels, check_size

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "AVIF")
"""Formats that are opened; Pillow knows many more, each a way in."""


def open_image(data: bytes, least: int = 0, field: str = "image") -> tuple[Image, tuple[int, int]]:
    """The picture in RGB, upright (EXIF), first frame, over white where it is transparent.

    least: pixels of the short side that are needed; a large JPEG is then decoded at a half, a
    quarter or an eighth, as long as twice that is left. Answers the picture, and the (width,
    height) of the upright original. Raises InvalidData, RequestTooLarge.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    check_format(data, field)
    check_size(data, field)
    try:
        image: Image.Image = Image.open(io.BytesIO(data), formats=FORMATS)
        check_pixels(*image.size, field)
        turned = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
        size = image.size[::-1] if turned else image.size
        if least:
            image.draft("RGB", (2 * least, 2 * least))
        image.load()
        image = ImageOps.exif_transpose(image)
        return _rgb(image), size
    except AiError:
        raise
    except Image.DecompressionBombError as error:
        raise RequestTooLarge(f"{field}: {error}") from error
    except UnidentifiedImageError as error:
        raise InvalidData(f"{field} begins like an image and is none. Send another file") from error
    except Exception as error:  # Pillow's decoders raise whatever they met in the bytes
        reason = str(error) or type(error).__name__
        raise InvalidData(
            f"{field} cannot be decoded ({reason}); is it cut short? Send the whole file"
        ) from error


def _rgb(image: Image) -> Image:
    from PIL import Image

    if image.mode.startswith("I;16") or image.mode == "I":
        # 16-bit grey: Pillow's own conversion would clip at 255 and leave a white page.
        values = np.asarray(image).astype(np.int64)
        grey = np.clip(values >> 8, 0, 255).astype(np.uint8)
        return Image.fromarray(grey).convert("RGB")
    if image.mode == "F":
        values = np.nan_to_num(np.asarray(image, np.float64))
        low, high = float(values.min()), float(values.max())
        grey = ((values - low) / (high - low or 1.0) * 255).astype(np.uint8)
        return Image.fromarray(grey).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, layer).convert("RGB")
    return image.convert("RGB")


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How a picture becomes a model's array."""

    input: str = "pixel_values"
    """Name of the graph's input."""
    size: tuple[int, int] = (224, 224)
    """(width, height) of the array."""
    crop: float | None = None
    """Take the centre square of this part of the short side; None: the whole picture."""
    scale: float = 1.0
    """Multiply 0 … 255 by this …"""
    mean: tuple[float, ...] = ()
    """… then take this off, per channel …"""
    std: tuple[float, ...] = ()
    """… and divide by this."""
    bgr: bool = False
    resample: int = 3
    """Pillow's number: 2 bilinear, 3 bicubic."""

    def box(self, width: int, height: int) -> tuple[int, int, int, int]:
        """The centre square that is used: (left, top, right, bottom)."""
        side = max(1, int((self.crop or 1.0) * min(width, height)))
        left, top = (width - side) // 2, (height - side) // 2
        return left, top, left + side, top + side

    def array(self, image: Image) -> Array:
        """float32 [3, height, width]."""
        from PIL.Image import Resampling

        if self.crop is not None:  # crop first: resize(box=…) blends in what lies outside
            image = image.crop(self.box(*image.size))
        small = image.resize(self.size, Resampling(self.resample))
        pixels: Array = np.asarray(small, np.float32)
        if self.bgr:
            pixels = pixels[..., ::-1]
        if self.scale != 1.0:
            pixels = pixels * np.float32(self.scale)
        if self.mean:
            pixels = pixels - np.asarray(self.mean, np.float32)
        if self.std:
            pixels = pixels / np.asarray(self.std, np.float32)
        return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def plan(files: ModelFiles, **defaults: Any) -> Plan:
    """The Plan of a model: `defaults`, then a hub's preprocessor_config.json, then its options."""
    values = dict(defaults)
    path = files.path("preprocessor_config.json")
    if path.is_file():
        values |= _from_hub(json.loads(path.read_bytes()))
    known = {field.name for field in msgspec.structs.fields(Plan)}
    options = {name: value for name, value in files.options.items() if name in known}
    if isinstance(options.get("size"), int):
        options["size"] = (options["size"], options["size"])
    return msgspec.convert({**values, **options}, Plan)


def _from_hub(config: Mapping[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    size = config.get("crop_size") or config.get("size")
    if isinstance(size, dict):
        edge = size.get("shortest_edge")
        size = (size.get("width", edge), size.get("height", edge))
    elif isinstance(size, int):
        size = (size, size)
    if size and all(size):
        out["size"] = size
    if config.get("crop_pct"):
        out["crop"] = config["crop_pct"]
    elif config.get("do_center_crop") and isinstance(config.get("size"), dict):
        edge = config["size"].get("shortest_edge")
        if edge and size:
            out["crop"] = min(1.0, size[0] / edge)
    if config.get("do_rescale", True):
        out["scale"] = config.get("rescale_factor", 1 / 255)
    if config.get("do_normalize", True) and config.get("image_mean"):
        out["mean"], out["std"] = config["image_mean"], config.get("image_std", [])
    if config.get("resample") is not None:
        out["resample"] = config["resample"]
    return out
