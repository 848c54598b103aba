"""Bundling: what goes in, what comes out, and what is said where it fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from skerry.errors import BuildError
from skerry.workers.build import Bundle, Source, bundle
from skerry.workers.project import ModuleRule, Project
from skerry.workers.sourcemap import SourceMap
from skerry.workers.toolchain import Toolchain

OK = "export default { fetch() { return new Response('ok'); } };"


def written(root: Path, code: str) -> tuple[Path, Path]:
    """The main module, and an empty folder."""
    main, out = root / "index.ts", root / "out"
    out.mkdir(parents=True)
    main.write_text(code)
    return main, out


async def build(tools: Toolchain, root: Path, code: str, **fields: object) -> Bundle:
    main, out = written(root, code)
    source = Source(root=root, main=main, **fields)  # type: ignore[arg-type]
    return await bundle(source, out, await tools.esbuild())


async def test_types_go_and_exports_are_known(tools: Toolchain, tmp_path: Path) -> None:
    made = await build(
        tools,
        tmp_path,
        "enum Kind { A, B }\nexport class Room {}\nexport const x: number = Kind.B;\n" + OK,
    )
    text = made.code.read_text()
    assert "number" not in text
    assert sorted(made.exports) == ["Room", "x"]
    assert [path.name for path in made.inputs] == ["index.ts"]


async def test_files_become_modules_by_their_ending(tools: Toolchain, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<p>page</p>")
    (tmp_path / "code.wasm").write_bytes(b"\0asm\1\0\0\0")
    (tmp_path / "raw.bin").write_bytes(b"\x00\xff")
    (tmp_path / "query.graphql").write_text("{ me }")
    made = await build(
        tools,
        tmp_path,
        "import page from './page.html'; import wasm from './code.wasm';"
        "import raw from './raw.bin';"
        "import query from './query.graphql'; console.log(page, wasm, raw, query);" + OK,
        rules={".graphql": "text"},
    )
    assert "<p>page</p>" in made.code.read_text()
    assert "{ me }" in made.code.read_text()
    assert {each.kind for each in made.modules} == {"wasm", "data"}
    assert all((made.folder / each.name).is_file() for each in made.modules)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("let x = ;\n" + OK, "index.ts:1:8: Unexpected"),
        (OK + "\n\nimport './missing';", 'index.ts:3:7: Could not resolve "./missing"'),
        ("import leftpad from 'left-pad'; leftpad();" + OK, 'Could not resolve "left-pad"'),
        ("addEventListener('fetch', () => {});", "exports no default"),
        ("\x00\x01", "index.ts:1:0: "),
    ],
)
async def test_what_cannot_be_built_is_told_with_its_place(
    code: str, said: str, tools: Toolchain, tmp_path: Path
) -> None:
    with pytest.raises(BuildError, match=r".+") as told:
        await build(tools, tmp_path, code)
    assert said in str(told.value)
    assert str(tmp_path) not in str(told.value)  # files are named from the project's folder


async def test_a_file_called_like_an_option_is_only_a_file(
    tools: Toolchain, tmp_path: Path
) -> None:
    root = tmp_path / "--outfile=elsewhere"
    made = await build(tools, root, OK)
    assert made.code.is_file()
    assert not (tmp_path / "elsewhere").exists()


async def test_definitions_and_aliases_of_the_project_count(
    tools: Toolchain, tmp_path: Path
) -> None:
    (tmp_path / "real.ts").write_text("export const word = 'from the alias';")
    project = Project(
        root=tmp_path,
        name="p",
        main=tmp_path / "index.ts",
        language="javascript",
        define={"VERSION": '"1.2.3"'},
        alias={"virtual": "./real.ts"},
    )
    (tmp_path / "index.ts").write_text(
        "import { word } from 'virtual'; console.log(word, VERSION);" + OK
    )
    (tmp_path / "out").mkdir()
    made = await bundle(Source.of(project), tmp_path / "out", await tools.esbuild())
    text = made.code.read_text()
    assert "from the alias" in text
    assert '"1.2.3"' in text


def test_a_rule_that_bundling_does_not_know_is_named(tmp_path: Path) -> None:
    project = Project(
        root=tmp_path,
        name="p",
        main=tmp_path / "index.ts",
        language="javascript",
        rules=(ModuleRule(type="Text", globs=("docs/**/a*.md",)),),
    )
    with pytest.raises(BuildError, match=r"docs/\*\*/a\*\.md"):
        Source.of(project)


async def test_the_source_map_leads_back(tools: Toolchain, tmp_path: Path) -> None:
    made = await build(
        tools,
        tmp_path,
        "// a comment\n\nfunction broken(): never {\n  throw new Error('here');\n}\n"
        "export default { fetch() { broken(); } };",
    )
    lines = made.code.read_text().splitlines()
    line = next(at for at, text in enumerate(lines, 1) if "throw new Error" in text)
    column = lines[line - 1].index("new Error") + 1
    places = SourceMap(made.source_map.read_bytes(), made.folder, tmp_path)
    assert str(places.find(line, column)) == "index.ts:4:9"
    stack = f"Error: here\n    at broken (file:///bundle/worker.js:{line}:{column})\n    at answer (file:///bundle/skerry-entry.js:1:2)"
    assert places.trace(stack) == "Error: here\n    at broken (index.ts:4:9)"
