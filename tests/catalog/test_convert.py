"""Recipes: hostile checkpoints, small made-up models, and (marked) the real ones."""

from __future__ import annotations

import json
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skerry.catalog.convert.checkpoint import read_checkpoint
from skerry.catalog.convert.encoder import relative_buckets
from skerry.catalog.convert.safetensors import read_safetensors
from skerry.catalog.entry import Conversion
from skerry.catalog.store import Store
from skerry.errors import ConversionFailed
from skerry.types import ModelFiles

from .hub import FakeHub, entry_of

MakeStore = Callable[..., Store]
Pulled = Callable[[str], ModelFiles]


def safetensors(tensors: dict[str, np.ndarray[Any, Any]]) -> bytes:
    header, data = {}, b""
    names = {"float32": "F32", "float16": "F16", "int64": "I64"}
    for name, array in tensors.items():
        span = [len(data), len(data) + array.nbytes]
        header[name] = {
            "dtype": names[str(array.dtype)],
            "shape": list(array.shape),
            "data_offsets": span,
        }
        data += array.tobytes()
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def tiny_bert(hidden: int = 8, words: int = 11) -> dict[str, bytes]:
    rng = np.random.default_rng(0)

    def some(*shape: int) -> np.ndarray[Any, Any]:
        return rng.normal(0, 0.3, shape).astype(np.float32)

    tensors = {
        "embeddings.word_embeddings.weight": some(words, hidden),
        "embeddings.position_embeddings.weight": some(16, hidden),
        "embeddings.token_type_embeddings.weight": some(2, hidden),
        "embeddings.LayerNorm.weight": some(hidden),
        "embeddings.LayerNorm.bias": some(hidden),
    }
    layer = "encoder.layer.0."
    shapes = {
        "attention.self.query": (hidden, hidden),
        "attention.self.key": (hidden, hidden),
        "attention.self.value": (hidden, hidden),
        "attention.output.dense": (hidden, hidden),
        "intermediate.dense": (16, hidden),
        "output.dense": (hidden, 16),
    }
    for name, shape in shapes.items():
        tensors |= {f"{layer}{name}.weight": some(*shape), f"{layer}{name}.bias": some(shape[0])}
    for name in ("attention.output.LayerNorm", "output.LayerNorm"):
        tensors |= {f"{layer}{name}.weight": some(hidden), f"{layer}{name}.bias": some(hidden)}
    config = {
        "model_type": "bert",
        "hidden_size": hidden,
        "num_attention_heads": 2,
        "num_hidden_layers": 1,
        "layer_norm_eps": 1e-12,
        "max_position_embeddings": 16,
    }
    return {"model.safetensors": safetensors(tensors), "config.json": json.dumps(config).encode()}


def with_recipe(entry: Any, recipe: str) -> Any:
    import msgspec

    conversion = Conversion(recipe=recipe, outputs=["model.onnx"])
    return msgspec.structs.replace(entry, conversion=conversion)


async def test_a_conversion_is_deterministic_and_made_once(
    hub: FakeHub, make_store: MakeStore
) -> None:
    import onnxruntime as ort

    hub.files = tiny_bert()
    entry = with_recipe(entry_of(hub.files), "encoder")
    first, second = make_store(root="one"), make_store(root="two")
    files = await first.pull(entry)
    again = await second.pull(entry)
    assert files.path("model.onnx").read_bytes() == again.path("model.onnx").read_bytes()
    session = ort.InferenceSession(str(files.path("model.onnx")))
    ids = np.array([[1, 2, 3, 0], [4, 5, 6, 7]], np.int64)
    mask = np.array([[1, 1, 1, 0], [1, 1, 1, 1]], np.int64)
    [together] = session.run(None, {"input_ids": ids, "attention_mask": mask})
    [alone] = session.run(None, {"input_ids": ids[:1, :3], "attention_mask": mask[:1, :3]})
    np.testing.assert_allclose(together[0], alone[0], atol=1e-5)  # padding changes nothing
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    other = with_recipe(entry_of(hub.files, name="@test/other"), "encoder")
    stamp = files.path("model.onnx").stat().st_ino
    found = await first.pull(other)
    assert found.path("model.onnx").stat().st_ino == stamp  # the same blob, not made anew


async def test_weights_that_do_not_fit_are_told(hub: FakeHub, make_store: MakeStore) -> None:
    hub.files = tiny_bert() | {"model.safetensors": safetensors({"x": np.zeros(3, np.float32)})}
    store, entry = make_store(), with_recipe(entry_of(hub.files), "encoder")
    with pytest.raises(ConversionFailed, match=r"@test/model: recipe encoder: .*no tensor"):
        await store.pull(entry)
    assert store.ready(entry) is None


async def test_an_unknown_recipe_is_told(hub: FakeHub, make_store: MakeStore) -> None:
    hub.files = {"a": b"a"}
    with pytest.raises(ConversionFailed, match="no conversion recipe 'os'"):
        await make_store().pull(with_recipe(entry_of(hub.files), "os"))


class Harm:
    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[str, str]]:
        return (open, (self.path, "w"))


@pytest.mark.parametrize("form", ["zip", "stream"])
def test_a_checkpoint_runs_nothing(form: str, tmp_path: Path) -> None:
    ran, path = tmp_path / "ran", tmp_path / "model.pth"
    harm = pickle.dumps({"weight": Harm(str(ran))})
    if form == "zip":
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("model/data.pkl", harm)
    else:
        path.write_bytes(harm)
    with pytest.raises(ConversionFailed, match="refused"):
        read_checkpoint(path)
    assert not ran.exists()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(data=st.binary(max_size=200))
def test_any_bytes_are_a_checkpoint_or_an_error(data: bytes, tmp_path: Path) -> None:
    for reader in (read_checkpoint, read_safetensors):
        (tmp_path / "file").write_bytes(data)
        with pytest.raises(ConversionFailed):
            reader(tmp_path / "file")


def test_safetensors_outside_the_file_are_refused(tmp_path: Path) -> None:
    header = {"a": {"dtype": "F32", "shape": [100], "data_offsets": [0, 400]}}
    text = json.dumps(header).encode()
    (tmp_path / "f").write_bytes(struct.pack("<Q", len(text)) + text + bytes(8))
    with pytest.raises(ConversionFailed, match="outside the file"):
        read_safetensors(tmp_path / "f")


def test_bfloat16_is_widened(tmp_path: Path) -> None:
    header = {"a": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}
    text = json.dumps(header).encode()
    raw = struct.pack("<HH", 0x3F80, 0xC000)
    (tmp_path / "f").write_bytes(struct.pack("<Q", len(text)) + text + raw)
    np.testing.assert_array_equal(read_safetensors(tmp_path / "f")["a"], [1.0, -2.0])


def test_near_distances_have_buckets_of_their_own() -> None:
    found = relative_buckets(np.arange(-200, 201))
    assert found.min() == 0
    assert found.max() == 31
    assert len(set(found[200 - 7 : 200 + 8])) == 15
    assert found[0] == found[72] == 15  # all far ones behind share the last


def _run(files: ModelFiles, feeds: dict[str, Any]) -> list[Any]:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = 2
    session = ort.InferenceSession(str(files.path("model.onnx")), options)
    out: list[Any] = session.run(None, feeds)
    return out


def _tokens(files: ModelFiles, texts: list[str], pad: int = 0) -> dict[str, Any]:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(files.path("tokenizer.json")))
    tokenizer.enable_truncation(128)
    tokenizer.enable_padding(pad_id=pad)
    coded = tokenizer.encode_batch(texts)
    return {
        "input_ids": np.array([each.ids for each in coded], np.int64),
        "attention_mask": np.array([each.attention_mask for each in coded], np.int64),
    }


@pytest.mark.models
@pytest.mark.parametrize(("name", "size"), [("minilm-l6-v2", 384), ("mpnet-base-v2", 768)])
def test_embeddings_find_what_belongs_together(name: str, size: int, pulled: Pulled) -> None:
    files = pulled(f"@skerry/{name}")
    texts = ["How do I reset my password?", "I forgot my login credentials.", "The train was late."]
    [found] = _run(files, _tokens(files, texts, pad=1 if size == 768 else 0))
    assert found.shape == (3, size)
    assert found[0] @ found[1] > found[0] @ found[2] + 0.2


@pytest.mark.models
def test_sentiment_is_sane(pulled: Pulled) -> None:
    files = pulled("@skerry/minilm-sst2")
    texts = ["This pizza is great!", "The room was dirty and the staff were rude."]
    [found] = _run(files, _tokens(files, texts))
    assert [files.options["labels"][at] for at in found.argmax(1)] == ["POSITIVE", "NEGATIVE"]


@pytest.mark.models
def test_the_image_model_knows_an_espresso(pulled: Pulled) -> None:
    import skimage
    from PIL import Image

    files = pulled("@skerry/efficientnet-lite0")
    labels = json.loads(files.path("labels.json").read_text())
    image = Image.open(Path(skimage.__file__).parent / "data" / "coffee.png").convert("RGB")
    side = int(0.875 * min(image.size))
    left, top = (image.width - side) // 2, (image.height - side) // 2
    small = image.crop((left, top, left + side, top + side)).resize((224, 224))
    [found] = _run(files, {"image": np.asarray(small, np.float32).transpose(2, 0, 1)[None]})
    assert len(labels) == found.shape[1] == 1000
    assert "espresso" in labels[found[0].argmax()]


@pytest.mark.models
def test_the_detector_knows_a_horse(pulled: Pulled) -> None:
    import skimage
    from PIL import Image

    files = pulled("@skerry/nanodet")
    image = Image.open(Path(skimage.__file__).parent / "data" / "horse.png").convert("RGB")
    pixels = np.asarray(image.resize((416, 416)), np.float32)[..., ::-1]
    mean, std = [103.53, 116.28, 123.675], [57.375, 57.12, 58.395]
    feed = ((pixels - mean) / std).transpose(2, 0, 1)[None].astype(np.float32)
    found = _run(files, {"images": feed})[:3]
    surest = max(found, key=lambda scores: float(scores.max()))
    assert int(surest.max(axis=1).argmax()) == 17  # COCO's horse
