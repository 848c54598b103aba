"""Sample inputs of a task: what int8 is calibrated with, and what candidates are checked on.

The sentences were written and the pictures are drawn for this project. The two sets are disjoint.
"""

from __future__ import annotations

import io
from importlib.resources import files
from typing import Literal

import numpy as np

from skerry.types import Inputs

Which = Literal["calibration", "check"]

_TEXT = {"text-embeddings": "text", "text-classification": "text"}
_IMAGE = {"image-classification", "object-detection"}
_PICTURES = {"calibration": (0, 64), "check": (1000, 100)}


def sentences(which: Which) -> list[str]:
    """Short texts, one sentence each: 80 for calibration, 105 for the check."""
    text = files(__package__).joinpath(f"{which}.txt").read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line]


def texts(which: Which) -> list[str]:
    """The sentences, and passages of two, four and eight of them: long texts err otherwise."""
    short = sentences(which)
    out = list(short)
    for size in (2, 4, 8):
        out += [" ".join(short[at : at + size]) for at in range(0, len(short) - size + 1, size)]
    return out


def picture(seed: int, side: int = 256) -> bytes:
    """A drawn scene as JPEG: sky, ground, soft shapes, a texture. The same seed, the same bytes."""
    from PIL import Image, ImageDraw, ImageFilter

    rng = np.random.default_rng(seed)
    top, bottom = rng.integers(0, 256, (2, 3))
    ramp = np.linspace(0, 1, side)[:, None, None]
    base = np.broadcast_to(top + (bottom - top) * ramp, (side, side, 3))
    image = Image.fromarray(base.astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(3, 12))):
        x, y = (float(v) for v in rng.integers(0, side, 2))
        w, h = (float(v) for v in rng.integers(side // 16, side // 2, 2))
        red, green, blue = (int(v) for v in rng.integers(0, 256, 3))
        fill, box = (red, green, blue), (x, y, x + w, y + h)
        kind = int(rng.integers(0, 4))
        if kind == 0:
            draw.ellipse(box, fill=fill)
        elif kind == 1:
            draw.rounded_rectangle(box, radius=w / 5, fill=fill)
        elif kind == 2:
            draw.polygon([(x, y + h), (x + w / 2, y), (x + w, y + h)], fill=fill)
        else:
            draw.line([(x, y), (x + w, y + h)], fill=fill, width=int(rng.integers(2, 14)))
    image = image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0, 1.5))))
    coarse = rng.normal(0, rng.uniform(2, 24), (side // 8, side // 8, 1))
    grain = np.kron(coarse, np.ones((8, 8, 1))) + rng.normal(0, rng.uniform(1, 8), (side, side, 3))
    pixels = np.clip(np.asarray(image, np.float64) + grain, 0, 255).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=88)
    return out.getvalue()


def samples(task: str, which: Which) -> list[Inputs]:
    """Inputs of the task, one row each; [] for a task that has none."""
    if task in _TEXT:
        return [{_TEXT[task]: text} for text in texts(which)]
    if task in _IMAGE:
        first, count = _PICTURES[which]
        return [{"image": picture(seed)} for seed in range(first, first + count)]
    return []


def workload(task: str) -> list[Inputs]:
    """The inputs that a throughput is measured on: short texts, or a few pictures."""
    if task in _TEXT:
        return [{_TEXT[task]: text} for text in sentences("check")]
    return samples(task, "check")[:32]
