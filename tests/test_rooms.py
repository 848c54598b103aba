"""Each room imports only from rooms that stand before it in docs/design.md."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "skerry"
SOURCES = sorted(PACKAGE.rglob("*.py"))


def rooms() -> list[str]:
    """The rooms in the order of docs/design.md's first code block."""
    block = (ROOT / "docs" / "design.md").read_text().split("```")[1]
    heads = [re.split(r"\s{2,}", line)[0] for line in block.strip().splitlines()]
    return [name.rstrip("/").removesuffix(".py") for head in heads for name in head.split()]


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(tree: ast.AST, package: str) -> Iterator[tuple[int, str]]:
    """Line and dotted name of each import of Skerry, wherever in the file it stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                base = package.split(".")[: len(package.split(".")) - node.level + 1]
                module = ".".join([*base, *([node.module] if node.module else [])])
            else:
                module = node.module or ""
            names = [f"{module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from ((node.lineno, name) for name in names if name.split(".")[0] == "skerry")


def breaches(source: str, path: Path, order: list[str]) -> list[str]:
    """Imports in the file that point to a later room."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts[:-1]
    mine = order.index(room(path))
    out = []
    for line, name in imports(ast.parse(source), ".".join(parts)):
        target = [*name.split("."), ""][1]
        if target in order and order.index(target) > mine:
            out.append(f"{path.relative_to(ROOT)}:{line} imports {name}")
    return out


def test_every_room_has_its_place() -> None:
    known = set(rooms()) | {"__init__", "__main__", "py.typed"}
    assert {room(path) for path in SOURCES} <= known


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_room_imports_only_from_rooms_before_it(path: Path) -> None:
    if path == PACKAGE / "__init__.py":
        pytest.skip("names the public surface, imported when first used")
    assert breaches(path.read_text(), path, rooms()) == []


@pytest.mark.parametrize(
    "source",
    [
        "import skerry.node",
        "from skerry import node",
        "from skerry.node import Node",
        "from ..node import Node",
        "def f():\n    from skerry.node import Node",
        "if TYPE_CHECKING:\n    from skerry.node import Node",
    ],
)
def test_the_check_sees_every_form_of_import(source: str) -> None:
    assert len(breaches(source, PACKAGE / "tasks" / "example.py", rooms())) == 1


MUTABLE = {"dict", "list", "set", "defaultdict", "deque", "Counter", "OrderedDict"}


def mutable_state(source: str) -> list[int]:
    """Lines of a module that make an empty container or rebind a global: state, not a table."""
    tree = ast.parse(source)
    lines = [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Global)]
    for node in tree.body:
        value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
        empty = isinstance(value, ast.Dict | ast.List) and not (
            value.keys if isinstance(value, ast.Dict) else value.elts
        )
        made = (
            isinstance(value, ast.Call)
            and isinstance(value.func, ast.Name)
            and value.func.id in MUTABLE
            and not value.args
        )
        if empty or made:
            lines.append(node.lineno)
    return lines


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_module_holds_state(path: Path) -> None:
    assert mutable_state(path.read_text()) == []


@pytest.mark.parametrize("source", ["cache = {}", "x: list[int] = []", "s = set()", "global_ = 1"])
def test_the_state_check_sees(source: str) -> None:
    assert bool(mutable_state(source)) == (source != "global_ = 1")


ENGINES = {"openvino", "openvino_genai", "onnxruntime", "xllamacpp", "ctranslate2", "onnx", "nncf"}
LATE = ENGINES | {"numpy", "aiohttp", "PIL", "tokenizers", "faster_whisper", "hibari"}


@pytest.mark.parametrize(
    ("statement", "unwanted"),
    [
        ("import skerry", LATE | {"msgspec", "typer", "rich", "asyncio"}),
        ("import skerry.cli", LATE),
        ("import skerry.settings, skerry.errors", LATE),
        ("import skerry.node", ENGINES | {"faster_whisper", "hibari"}),
        ("import skerry.api.app", ENGINES | {"faster_whisper", "hibari"}),
    ],
)
def test_what_an_import_loads(statement: str, unwanted: set[str]) -> None:
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    assert unwanted & {name.split(".")[0] for name in done.stdout.split()} == set()
