"""A user's own files become models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skerry.catalog.catalog import Catalog
from skerry.catalog.importing import import_model
from skerry.catalog.store import Store
from skerry.errors import CatalogError


async def test_a_gguf_file_becomes_a_model(
    tmp_path: Path, make_store: Callable[..., Store]
) -> None:
    file, folder = tmp_path / "my model.gguf", tmp_path / "catalog"
    file.write_bytes(b"GGUF" + bytes(100))
    await import_model(file, "@local/mine", folder)
    entry = Catalog([folder]).get("@local/mine")
    assert entry.task == "text-generation"
    files = await make_store(offline=True).pull(entry)
    file.unlink()
    assert files.path("model.gguf").read_bytes().startswith(b"GGUF")


async def test_an_onnx_file_brings_its_tokenizer(
    tmp_path: Path, make_store: Callable[..., Store]
) -> None:
    (tmp_path / "m.onnx").write_bytes(b"\x08\x08rest")
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(CatalogError, match="task"):
        await import_model(tmp_path / "m.onnx", "@local/m", tmp_path / "c")
    made = await import_model(
        tmp_path / "m.onnx", "@local/m", tmp_path / "c", task="text-embeddings", licence="MIT"
    )
    assert [artifact.name for artifact in made.artifacts] == ["model.onnx", "tokenizer.json"]
    assert (await make_store().pull(made)).path("tokenizer.json").read_text() == "{}"


async def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.gguf").write_bytes(b"<html>")
    for file, name in (("x.gguf", "@local/x"), ("none.gguf", "@local/x"), ("x.gguf", "x")):
        with pytest.raises(CatalogError):
            await import_model(tmp_path / file, name, tmp_path / "c")
    assert not (tmp_path / "c").exists()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(licence=st.text(max_size=30))
async def test_any_text_survives(licence: str, tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(b"GGUF")
    entry = await import_model(tmp_path / "m.gguf", "@local/m", tmp_path / "c", licence=licence)
    assert entry.licence == licence
    assert Catalog([tmp_path / "c"]).get("@local/m") == entry
