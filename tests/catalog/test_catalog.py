"""Names, files and hints of the catalog."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.catalog.catalog import Catalog, file_name
from skerry.catalog.entry import Entry, Parts, parse
from skerry.errors import CatalogError, InvalidModelId, NoSuchModel

GOOD = """
name = "@local/mine"
task = "text-generation"
description = "Mine."
licence = "MIT"
"""


def test_every_packaged_file_holds_the_model_that_its_name_says() -> None:
    catalog = Catalog()
    names = [entry.name for entry in catalog]
    assert names == sorted(names)
    assert names == catalog.names()
    assert "@skerry/minilm-l6-v2" in names


@pytest.mark.parametrize("name", Catalog().names())
def test_every_packaged_model_says_what_it_is(name: str) -> None:
    entry = Catalog().get(name)
    assert file_name(name)
    assert entry.licence
    assert entry.provenance
    assert entry.source
    assert entry.artifacts
    assert entry.engines
    for artifact in entry.artifacts:
        assert artifact.mirrors
        assert entry.evidence != "verified" or (artifact.sha256 and artifact.size)


def test_the_starter_pack_and_the_articles_models_are_there() -> None:
    catalog = Catalog()
    for name in (
        "smollm2-135m-instruct",
        "qwen2.5-coder-0.5b-instruct",
        "minilm-l6-v2",
        "mpnet-base-v2",
        "minilm-sst2",
        "efficientnet-lite0",
        "nanodet",
        "whisper-tiny-en",
        "whisper-base",
        "hibari-tts",
    ):
        entry = catalog.get(f"@skerry/{name}")
        assert entry.evidence == "verified"
        assert entry.standin_for
    for name in (
        "@cf/meta/llama-2-7b-chat-int8",
        "@cf/huggingface/distilbert-sst-2-int8",
        "@cf/baai/bge-base-en-v1.5",
        "@cf/microsoft/resnet-50",
    ):
        assert name in catalog


def test_a_standin_does_the_task_of_what_it_stands_in_for() -> None:
    catalog = Catalog()
    for entry in catalog:
        for name in entry.standin_for:
            task = name.removeprefix("task:")
            assert entry.task == (task if task != name else catalog.get(name).task)


def test_community_licences_must_be_accepted() -> None:
    for entry in Catalog():
        if "Community" in entry.licence or "Terms" in entry.licence:
            assert entry.accept_licence, entry.name
            assert entry.licence_url


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(NoSuchModel) as error:
        Catalog().get("@cf/meta/llama-3.2-1b-instuct")
    assert "No such model" in str(error.value)
    assert "Model not found" in str(error.value)
    assert "@cf/meta/llama-3.2-1b-instruct" in str(error.value)


def test_the_right_model_under_the_wrong_author_is_found() -> None:
    assert Catalog().nearest("@hf/thebloke/bge-base-en-v1.5") == "@cf/baai/bge-base-en-v1.5"


@pytest.mark.parametrize(
    "name", ["", "gpt-4", "@cf", "@cf/", "@cf/a/b/c", "../etc/passwd", "@cf/a b"]
)
def test_what_is_no_name_is_told_so(name: str) -> None:
    with pytest.raises(InvalidModelId):
        Catalog().get(name)


@given(st.text(max_size=300))
def test_any_name_is_answered_or_refused(name: str) -> None:
    try:
        Catalog().get(name)
    except (InvalidModelId, NoSuchModel) as error:
        assert len(error.message) < 700


def test_filters() -> None:
    catalog = Catalog()
    embedders = catalog.entries(task="text-embeddings")
    assert {entry.task for entry in embedders} == {"text-embeddings"}
    assert [e.name for e in catalog.entries(text="MINILM embeddings")] == ["@skerry/minilm-l6-v2"]
    assert catalog.entries(task="no-such-task") == []


def test_a_users_file_adds_and_replaces(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(GOOD)
    (tmp_path / "other.toml").write_text(GOOD.replace("@local/mine", "@skerry/nanodet"))
    catalog = Catalog([tmp_path, tmp_path / "no-such-folder"])
    assert catalog.get("@local/mine").description == "Mine."
    assert catalog.get("@skerry/nanodet").description == "Mine."
    assert len(catalog) == len(Catalog()) + 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name = ", "not TOML"),
        (GOOD.replace("licence", "license"), "license"),
        (GOOD.replace('task = "text-generation"', "task = 3"), "$.task"),
        (GOOD.replace("@local/mine", "mine"), "mine"),
        (GOOD + "[[artifacts]]\nname = 'x'\n", "mirrors"),
        (GOOD + "context = 'many'\n", "$.context"),
        ("\ufffe".encode("utf-16").decode("latin-1"), ""),
    ],
)
def test_a_broken_file_is_named_with_its_field(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "broken.toml").write_text(text)
    with pytest.raises(CatalogError) as error:
        Catalog([tmp_path])
    assert "broken.toml" in str(error.value)
    assert says in str(error.value)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_an_entry_or_an_error(data: bytes) -> None:
    try:
        assert isinstance(parse(data, "file"), Entry)
    except CatalogError as error:
        assert "file" in str(error)


@given(
    name=st.sampled_from(["@a/b", "@a/b/c"]),
    parts=st.lists(st.text(max_size=20), max_size=3),
    member=st.none() | st.text(max_size=10),
)
def test_parts_survive(name: str, parts: list[str], member: str | None) -> None:
    import msgspec

    artifact = {"name": "f", "mirrors": [{"parts": parts, "member": member}]}
    raw = {"name": name, "task": "t", "description": "d", "licence": "l", "artifacts": [artifact]}
    entry = msgspec.convert({**raw, "id": "x"}, Entry)
    assert entry.artifacts[0].mirrors == [Parts(parts=parts, member=member)]
