"""Tasks are found by entry point, ours and strangers'."""

from __future__ import annotations

from pathlib import Path

import pytest

from skerry.errors import SkerryError
from skerry.tasks.registry import load_tasks

OURS = {
    "automatic-speech-recognition": "Automatic Speech Recognition",
    "image-classification": "Image Classification",
    "object-detection": "Object Detection",
    "summarization": "Summarization",
    "text-classification": "Text Classification",
    "text-embeddings": "Text Embeddings",
    "text-generation": "Text Generation",
    "text-to-speech": "Text-to-Speech",
    "translation": "Translation",
}
GOOD = """
from skerry.tasks.summarization import Summarization
class Haiku(Summarization):
    name = "haiku"
    title = "Haiku"
"""


def install(root: Path, monkeypatch: pytest.MonkeyPatch, entry: str, code: str) -> None:
    """A distribution `stranger` 1.2 with one module and one entry point, as pip would leave it."""
    (root / f"stranger_{root.name}.py").write_text(code)
    info = root / "stranger-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.2\n")
    line = entry.format(module=f"stranger_{root.name}")
    (info / "entry_points.txt").write_text(f"[skerry.tasks]\n{line}\n")
    monkeypatch.syspath_prepend(str(root))


def test_ours_are_all_there_with_cloudflares_titles() -> None:
    tasks = load_tasks()
    assert {name: tasks[name].title for name in OURS} == OURS
    assert list(tasks) == sorted(tasks)


def test_another_package_adds_a_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, "haiku = {module}:Haiku", GOOD)
    tasks = load_tasks()
    assert tasks["haiku"].title == "Haiku"
    assert OURS.keys() < tasks.keys()


@pytest.mark.parametrize(
    ("entry", "code", "says"),
    [
        ("haiku = {module}:Haiku", "import no_such_module_at_all", "no_such_module_at_all"),
        ("haiku = {module}:Haiku", "raise RuntimeError('boom')", "boom"),
        ("haiku = {module}:Missing", GOOD, "Missing"),
        ("haiku = {module}:Haiku", "class Haiku: pass", "not a subclass"),
        ("haiku = {module}:Haiku", GOOD.replace('"haiku"', '"limerick"'), "'limerick'"),
        (
            "haiku = {module}:Haiku",
            GOOD + "    def __init__(self, rhyme): pass\n",
            "cannot be made",
        ),
        ("text-embeddings = {module}:Haiku", GOOD.replace('"haiku"', '"text-embeddings"'), "both"),
    ],
)
def test_a_broken_one_is_named_with_its_distribution(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entry: str, code: str, says: str
) -> None:
    install(tmp_path, monkeypatch, entry, code)
    with pytest.raises(SkerryError) as caught:
        load_tasks()
    assert "stranger 1.2" in str(caught.value)
    assert says in str(caught.value)
