"""The documentation is whole and current, and its examples run."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest

from skerry import __version__
from skerry.api.openapi import document
from skerry.errors import error_table
from skerry.settings import Settings
from skerry.tasks.registry import load_tasks

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_generated_pages_are_current(generator: ModuleType) -> None:
    stale = [path.name for path, text in generator.pages().items() if path.read_text() != text]
    assert stale == [], "run make docs-update"


def test_every_setting_is_documented(generator: ModuleType) -> None:
    docs = generator.setting_docs()
    page = (DOCS / "settings.md").read_text()
    for field in msgspec.structs.fields(Settings):
        assert docs.get(field.name), f"the setting {field.name} has no docstring"
        assert f"`SKERRY_{field.name.upper()}`" in page


def test_every_error_code_is_documented() -> None:
    page = (DOCS / "errors.md").read_text()
    for error in error_table():
        assert error.__doc__, f"{error.__name__} has no docstring"
        assert f"| {error.code} | {error.status} | `{error.__name__}` |" in page


def test_every_command_and_option_is_documented(generator: ModuleType) -> None:
    page = (DOCS / "cli.md").read_text()
    for path, command in generator.commands():
        assert f"## {path}\n" in page
        assert command.help, f"{path} has no help"
        for each in command.params:
            assert each.param_type_name == "argument" or each.help, f"{path} {each.name}: no help"


def test_leaf_commands_take_json(generator: ModuleType) -> None:
    for path, command in generator.commands():
        if not hasattr(command, "commands"):
            assert any("--json" in each.opts for each in command.params), path


def test_every_endpoint_is_documented() -> None:
    page = (DOCS / "api.md").read_text()
    for path, item in document(load_tasks(), __version__)["paths"].items():
        for method in item.keys() - {"parameters"}:
            assert f"`{method.upper()} {path}`" in page, f"{method.upper()} {path}"


def test_every_packaged_model_s_licence_is_in_the_notice(generator: ModuleType) -> None:
    notice = (ROOT / "NOTICE").read_text()
    packaged = generator.packaged()
    assert packaged
    for entry in packaged:
        assert f"{entry.name}: {entry.licence}." in notice


@pytest.mark.parametrize("page", [*PAGES, *ROOT.glob("*.md")], ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def examples() -> list[Any]:
    """Every block of docs/ that is marked ```python run."""
    return [
        pytest.param(block, id=f"{page.name}-{number}")
        for page in PAGES
        for number, block in enumerate(
            re.findall(r"```python run\n(.*?)```", page.read_text(), re.DOTALL)
        )
    ]


@pytest.mark.models
@pytest.mark.parametrize("source", examples())
def test_an_example_runs(source: str, pulled: Callable[[str], object], tmp_path: Path) -> None:
    for name in set(re.findall(r"@skerry/[a-z0-9.-]+", source)) - {"@skerry/no-such-model"}:
        pulled(name)
    done = subprocess.run(
        [sys.executable, "-c", source],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
