"""Engines by name: ours, a stranger's, a broken stranger's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from skerry.engines.base import Engine
from skerry.engines.registry import engine_names, load_engine
from skerry.errors import EngineError, EngineMissing

OURS = [
    "ctranslate2",
    "dummy",
    "genai",
    "hibari",
    "llamacpp",
    "onnxruntime",
    "openvino",
    "upstream",
]


def plant(folder: Path, name: str, value: str) -> None:
    """A distribution on the path with one entry point."""
    info = folder / "stranger-9.9.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 9.9\n")
    (info / "entry_points.txt").write_text(f"[skerry.engines]\n{name} = {value}\n")


def test_ours_are_registered_under_their_own_names() -> None:
    assert set(OURS) <= set(engine_names())
    for name in OURS:
        cls = load_engine(name)
        assert issubclass(cls, Engine)
        assert cls.name == name


def test_looking_for_engines_imports_no_library() -> None:
    code = (
        "import sys\n"
        "from skerry.engines.registry import engine_names, load_engine\n"
        "advice = [load_engine(n).missing() for n in engine_names()]\n"
        "heavy = {'openvino', 'openvino_genai', 'xllamacpp', 'onnxruntime', 'ctranslate2',"
        " 'faster_whisper', 'hibari', 'nncf', 'tokenizers'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_unknown_engine_names_those_there_are() -> None:
    with pytest.raises(EngineMissing, match=r"'warp'.*llamacpp.*skerry.engines"):
        load_engine("warp")


def test_a_stranger_adds_an_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(tmp_path, "mine", "skerry.engines.dummy:Dummy")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "mine" in engine_names()
    assert load_engine("mine").name == "dummy"


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("no_such_module_here:X", "ModuleNotFoundError"),
        ("skerry.engines.dummy:Nothing", "AttributeError"),
        ("pathlib:Path", "not a\\s+subclass"),
    ],
)
def test_a_broken_stranger_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str, says: str
) -> None:
    plant(tmp_path, "broken", value)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(EngineError, match=f"(?s)stranger 9.9.*{says}"):
        load_engine("broken")


def test_two_engines_of_one_name_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(tmp_path, "dummy", "pathlib:Path")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(EngineError, match=r"more than once.*stranger 9.9"):
        load_engine("dummy")
