"""Images: real files of every kind, hostile ones, and what the two image tasks make of them."""

from __future__ import annotations

import io
import json
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from skerry.errors import AiError, InvalidData, RequestTooLarge, SkerryError
from skerry.tasks.base import Array, Row, RowProcessor
from skerry.tasks.boxes import Nanodet, suppress
from skerry.tasks.coco import COCO
from skerry.tasks.image_header import image_size
from skerry.tasks.images import Plan, open_image, plan
from skerry.tasks.registry import load_tasks
from skerry.tasks.validate import InputCheck
from skerry.types import ModelFiles

TASKS = load_tasks()


def picture(width: int = 40, height: int = 30) -> Image.Image:
    """Red on the left, blue on the right."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, : width // 2, 0] = 255
    pixels[:, width // 2 :, 2] = 255
    return Image.fromarray(pixels)


def encoded(image: Image.Image, kind: str, **how: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **how)
    return file.getvalue()


def png_header(width: int, height: int) -> bytes:
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))


def is_red(image: Image.Image, x: int, y: int) -> bool:
    red, green, blue = np.asarray(image)[y, x].astype(int)
    return bool(red > 200 and green < 60 and blue < 60)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 500), st.integers(1, 500), st.sampled_from(["PNG", "JPEG", "GIF", "BMP"]))
def test_sizes_are_read_from_headers(width: int, height: int, kind: str) -> None:
    assert image_size(encoded(Image.new("RGB", (width, height)), kind)) == (width, height)


@pytest.mark.parametrize("how", [{"lossless": True}, {"lossless": False}])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_sizes_of_webp(how: dict[str, bool], mode: str) -> None:
    assert image_size(encoded(Image.new(mode, (321, 123)), "WEBP", **how)) == (321, 123)


def test_a_progressive_jpeg_with_comments_and_exif() -> None:
    exif = Image.Exif()
    exif[0x010E] = "x" * 3000
    data = encoded(picture(), "JPEG", progressive=True, comment=b"y" * 3000, exif=exif)
    assert image_size(data) == (40, 30)


@given(st.binary(max_size=60))
def test_no_header_is_too_strange(tail: bytes) -> None:
    for head in (b"", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"\xff\xd8", b"RIFFxxxxWEBP", b"BM"):
        size = image_size(head + tail)
        assert size is None or len(size) == 2


@pytest.mark.parametrize("task", ["image-classification", "object-detection"])
def test_a_huge_header_is_refused_before_anything_is_decoded(task: str) -> None:
    check = InputCheck(TASKS[task], {}, {}, {})
    with pytest.raises(RequestTooLarge, match="20000 x 20000") as caught:
        check.check({"image": list(png_header(20_000, 20_000))})
    assert caught.value.code == 3006
    assert "50 million" in caught.value.message
    with pytest.raises(InvalidData):
        check.check({"image": list(png_header(0, 5))})


def test_a_huge_tiff_is_refused_when_it_is_opened() -> None:
    data = encoded(Image.new("1", (9000, 9000)), "TIFF", compression="group4")
    assert len(data) < 100_000
    with pytest.raises(RequestTooLarge, match="9000 x 9000"):
        open_image(data)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF"])
def test_a_cut_file_is_refused(kind: str) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    data = encoded(Image.fromarray(noise), kind)
    for part in (0.01, 0.5, 0.9):
        with pytest.raises(InvalidData, match="image"):
            open_image(data[: int(len(data) * part)])


@pytest.mark.parametrize(
    "data", [b"hello", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"\x00" * 100, b"<svg></svg>", b"GIF89a"]
)
def test_what_is_no_image_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidData, match="image"):
        open_image(data)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF"]),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=8),
)
def test_damage_is_decoded_or_refused(kind: str, damage: list[tuple[float, int]]) -> None:
    data = bytearray(encoded(picture(), kind))
    for where, value in damage:
        data[int(where * len(data))] = value
    try:
        image, _ = open_image(bytes(data))
    except AiError:
        return
    assert image.mode == "RGB"


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "CMYK", "YCbCr"])
def test_colour_modes(mode: str) -> None:
    kind = "PNG" if mode in {"RGB", "RGBA", "P"} else "JPEG"
    image, size = open_image(encoded(picture().convert(mode), kind))
    assert size == (40, 30)
    assert is_red(image, 5, 15)
    assert not is_red(image, 35, 15)


def test_grey_of_8_and_16_bits_is_the_same_grey() -> None:
    ramp = np.linspace(0, 255, 64).astype(np.uint8)[None].repeat(8, 0)
    deep = Image.fromarray(ramp.astype(np.uint16) * 257)
    eight, _ = open_image(encoded(Image.fromarray(ramp), "PNG"))
    sixteen, _ = open_image(encoded(deep, "PNG"))
    assert np.array_equal(np.asarray(eight), np.asarray(sixteen))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "F", "I"])
def test_other_modes_open(mode: str) -> None:
    kind = "TIFF" if mode in {"F", "I"} else "PNG"
    image, _ = open_image(encoded(picture().convert(mode), kind))
    assert image.mode == "RGB"


def test_what_is_transparent_is_white() -> None:
    image, _ = open_image(encoded(Image.new("RGBA", (4, 4), (255, 0, 0, 0)), "PNG"))
    assert np.asarray(image).min() == 255
    palette = Image.new("P", (4, 4))
    palette.putpalette([255, 0, 0])
    image, _ = open_image(encoded(palette, "PNG", transparency=0))
    assert np.asarray(image).min() == 255


def test_exif_turns_the_picture_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # shown as if turned a quarter clockwise: red, on the left, goes to the top
    image, size = open_image(encoded(picture(), "JPEG", exif=exif, quality=95))
    assert size == image.size == (30, 40)
    assert is_red(image, 15, 4)
    assert not is_red(image, 15, 36)


def test_an_animation_gives_its_first_frame() -> None:
    later = Image.new("RGB", (40, 30), (0, 255, 0))
    data = encoded(picture(), "GIF", save_all=True, append_images=[later])
    assert is_red(open_image(data)[0], 5, 15)


def test_a_large_jpeg_is_decoded_small_but_says_its_size() -> None:
    image, size = open_image(encoded(picture(1600, 1200), "JPEG"), least=100)
    assert size == (1600, 1200)
    assert 200 <= min(image.size) < 1200
    assert is_red(image, image.width // 4, image.height // 2)


# ---- image-classification


def files(directory: Path, task: str, **options: Any) -> ModelFiles:
    return ModelFiles("@test/model", task, directory, options)


def processor(task: str, directory: Path, **options: Any) -> RowProcessor:
    out = TASKS[task].open(files(directory, task, **options))
    assert isinstance(out, RowProcessor)
    return out


def test_the_five_likeliest_labels(tmp_path: Path) -> None:
    (tmp_path / "labels.json").write_text(json.dumps(list("abcdefg")))
    model = processor(
        "image-classification", tmp_path, labels="labels.json", input="image", crop=0.875
    )
    inputs = {"image": encoded(picture(), "PNG")}
    rows = model.prepare(inputs)
    feeds = model.collate(rows * 3)
    assert feeds["image"].shape == (4, 3, 224, 224)  # 3 rows, rounded up
    assert feeds["image"].dtype == np.float32
    assert feeds["image"][:, 0, :, :90].min() == 255  # red on the left, 0 … 255
    assert feeds["image"][:, 0, :, -90:].max() == 0
    logits = np.array([[0, 1, 2, 3, 4, 5, 5.5]] * 3, np.float32)
    results = model.split({"logits": logits}, 3)
    value, usage = model.finish(inputs, rows, results[:1])
    assert [item["label"] for item in value] == list("gfedc")
    weights = np.exp(logits[0].astype(float))
    assert [item["score"] for item in value] == pytest.approx(
        sorted(weights / weights.sum(), reverse=True)[:5]
    )
    assert usage.total_tokens == 0


def test_a_hub_models_configuration_is_read(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"id2label": {"0": "cat", "1": "dog"}}))
    config = {
        "crop_pct": 0.5,
        "do_normalize": True,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.25, 0.5, 0.5],
        "resample": 3,
        "size": {"shortest_edge": 8},
    }
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(config))
    model = processor("image-classification", tmp_path)
    rows = model.prepare({"image": encoded(picture(), "PNG")})
    feeds = model.collate(rows)
    assert feeds["pixel_values"].shape == (1, 3, 8, 8)
    assert feeds["pixel_values"][0, :, 4, 0] == pytest.approx([2.0, -1.0, -1.0])
    value, _ = model.finish({}, rows, model.split({"logits": np.array([[0.0, 9.0]])}, 1))
    assert [item["label"] for item in value] == ["dog", "cat"]


@pytest.mark.parametrize("width", [224, 300])
def test_the_centre_is_cropped_as_the_reference_does(width: int) -> None:
    image = Image.fromarray(np.random.default_rng(1).integers(0, 255, (260, width, 3), np.uint8))
    side = int(0.875 * min(image.size))
    left, top = (width - side) // 2, (260 - side) // 2
    small = image.crop((left, top, left + side, top + side)).resize(
        (224, 224), Image.Resampling.BICUBIC
    )
    wanted = np.asarray(small, np.float32).transpose(2, 0, 1)
    assert np.abs(Plan(crop=0.875).array(image) - wanted).max() <= 1


def test_options_come_before_the_hubs_configuration(tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"size": 9, "image_mean": [0]}))
    how = plan(files(tmp_path, "image-classification", size=16, mean=[]))
    assert how.size == (16, 16)
    assert how.mean == ()


def test_a_model_without_labels_says_so(tmp_path: Path) -> None:
    with pytest.raises(SkerryError, match=r"@test/model.*labels"):
        processor("image-classification", tmp_path)
    with pytest.raises(SkerryError, match=r"nowhere\.json"):
        processor("image-classification", tmp_path, labels="nowhere.json")


# ---- object-detection


def nanodet_outputs(found: list[tuple[int, int, int, float]]) -> dict[str, Array]:
    """Outputs in which (level, cell, class, score) is found, each box two strides to all sides."""
    outputs: dict[str, Array] = {}
    for level, stride in enumerate((8, 16, 32)):
        cells = (416 // stride) ** 2
        outputs[f"cls_{level}"] = np.zeros((1, cells, 80), np.float32)
        distances = np.full((1, cells, 4, 11), -50, np.float32)
        distances[..., 2] = 50
        outputs[f"reg_{level}"] = distances.reshape(1, cells, 44)
    for level, cell, label, score in found:
        outputs[f"cls_{level}"][0, cell, label] = score
    return outputs


def test_nanodets_boxes_in_pixels_of_the_picture(tmp_path: Path) -> None:
    model = processor("object-detection", tmp_path)
    inputs = {"image": encoded(picture(832, 416), "PNG")}
    rows = model.prepare(inputs)
    feeds = model.collate(rows)
    assert feeds["images"].shape == (1, 3, 416, 416)
    # BGR, normalised: the left is red, so its last channel is high.
    assert feeds["images"][0, :, 200, 50] == pytest.approx(
        [-103.53 / 57.375, -116.28 / 57.12, (255 - 123.675) / 58.395], abs=1e-4
    )
    cell = 5 * 13 + 6  # row 5, column 6 of the 13 x 13 level: centre (6.5, 5.5) x 32
    outputs = nanodet_outputs([(2, cell, 17, 0.9), (2, cell + 1, 17, 0.8), (2, cell, 0, 0.4)])
    outputs["cls_0"][0, 0, 3] = 0.2  # below the threshold
    value, _ = model.finish(inputs, rows, model.split(outputs, 1))
    box = {"xmin": 288.0, "ymin": 112.0, "xmax": 544.0, "ymax": 240.0}
    # The box one cell further overlaps by 3/5: the same thing, told once.
    assert value == [{"label": "horse", "score": pytest.approx(0.9), "box": box}]
    outputs = nanodet_outputs([(2, cell, 17, 0.9), (2, cell + 3, 17, 0.8), (2, cell + 1, 0, 0.4)])
    value, _ = model.finish(inputs, rows, model.split(outputs, 1))
    assert [item["label"] for item in value] == ["horse", "horse", "person"]


def test_nothing_found_is_an_empty_list(tmp_path: Path) -> None:
    model = processor("object-detection", tmp_path)
    rows = [Row((np.zeros((3, 416, 416), np.float32), (10, 10)))]
    assert model.finish({}, rows, model.split(nanodet_outputs([]), 1))[0] == []


def test_detr(tmp_path: Path) -> None:
    names = {str(at): name for at, name in enumerate(("N/A", "cat", "dog"))}
    (tmp_path / "config.json").write_text(json.dumps({"id2label": names}))
    model = processor("object-detection", tmp_path, decoder="detr")
    inputs = {"image": encoded(picture(200, 100), "PNG")}
    rows = model.prepare(inputs)
    feeds = model.collate(rows)
    assert feeds["pixel_values"].shape == (1, 3, 800, 800)
    assert feeds["pixel_mask"].all()
    logits = np.array([[[0, 9, 0, 0], [0, 0, 0, 9], [0, 0, 8, 0]]], np.float32)
    boxes = np.array([[[0.5, 0.5, 0.5, 0.5], [0, 0, 1, 1], [0.9, 0.5, 0.4, 0.2]]], np.float32)
    value, _ = model.finish(inputs, rows, model.split({"logits": logits, "pred_boxes": boxes}, 1))
    assert [item["label"] for item in value] == ["cat", "dog"]
    assert value[0]["box"] == {"xmin": 50.0, "ymin": 25.0, "xmax": 150.0, "ymax": 75.0}
    assert value[1]["box"] == {"xmin": 140.0, "ymin": 40.0, "xmax": 200.0, "ymax": 60.0}


def test_an_unknown_decoder(tmp_path: Path) -> None:
    with pytest.raises(SkerryError, match="'yolo'"):
        processor("object-detection", tmp_path, decoder="yolo")


def test_coco_has_its_80_classes() -> None:
    assert len(set(COCO)) == 80
    assert (COCO[0], COCO[15], COCO[79]) == ("person", "cat", "toothbrush")


def overlap(a: Array, b: Array) -> float:
    wide = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    high = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    both = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - wide * high
    return float(wide * high / both)


@settings(deadline=None)
@given(st.integers(0, 40), st.integers(0, 2**32 - 1))
def test_suppression_keeps_what_one_by_one_comparison_keeps(count: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    corner = random.uniform(0, 60, (count, 2))
    boxes = np.concatenate([corner, corner + random.uniform(1, 40, (count, 2))], axis=1)
    scores, classes = random.uniform(size=count), random.integers(0, 3, count)
    wanted: list[int] = []
    for at in np.argsort(-scores):
        same = [k for k in wanted if classes[k] == classes[at]]
        if all(overlap(boxes[at], boxes[k]) <= 0.5 for k in same):
            wanted.append(int(at))
    assert suppress(boxes, scores, classes, 0.5).tolist() == wanted


def test_nanodets_distances_are_expectations() -> None:
    outputs = {name: array[0] for name, array in nanodet_outputs([(0, 0, 5, 0.9)]).items()}
    outputs["reg_0"][0] = 0  # every bin alike: five strides of eight pixels to each side
    boxes, _, classes = Nanodet(416, 0.35).read(outputs)
    assert boxes[0] * 416 == pytest.approx([4 - 40, 4 - 40, 4 + 40, 4 + 40])
    assert classes.tolist() == [5]
