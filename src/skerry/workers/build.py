"""From a project's sources to the modules that workerd runs: one run of esbuild.

worker.js          the bundle, an ES module
worker.js.map      its source map
NAME-HASH.wasm …   modules that the bundle imports as they are
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from skerry.errors import ArtifactError, BuildError
from skerry.workers.project import Project
from skerry.workers.toolchain import run_tool

BUNDLE = "worker.js"
TIMEOUT = 60.0
"""Seconds that a bundling may take."""
AI_PACKAGE = "@cloudflare/ai"
AI_NEEDS = ("base64-js", "mustache")
"""What that package imports without declaring it."""
OWN_AI = Path(__file__).with_name("workerd") / "js" / "ai.js"

Kind = Literal["text", "data", "wasm"]

RULES: Mapping[str, Kind] = {
    ".txt": "text", ".html": "text", ".sql": "text", ".bin": "data", ".wasm": "wasm",
}  # fmt: skip
"""Extension -> what an import of such a file is; Cloudflare's defaults."""

NODE_MODULES = (
    "assert", "async_hooks", "buffer", "console", "constants", "crypto",
    "diagnostics_channel", "dns", "events", "fs", "http", "https", "module", "net", "os", "path",
    "perf_hooks", "process", "punycode", "querystring", "readline", "stream", "string_decoder",
    "timers", "tls", "tty", "url", "util", "vm", "worker_threads", "zlib",
)  # fmt: skip
"""Node's own modules, which old packages import without the prefix node:"""

_KINDS: Mapping[str, Kind] = {"Text": "text", "Data": "data", "CompiledWasm": "wasm"}
_GLOB = re.compile(r"(?:\*\*/)?\*(?P<end>\.[A-Za-z0-9_.-]+)(?:\?module)?")
_ERROR = re.compile(
    r"✘ \[ERROR\] (?P<text>.*?)\n(?:\n +(?P<file>\S[^\n]*?):(?P<line>\d+):(?P<column>\d+):\n)?",
)


class Source(msgspec.Struct, kw_only=True, frozen=True):
    """What is bundled, and how."""

    root: Path
    """The project's folder; messages name files relative to it."""
    main: Path
    inject: Sequence[Path] = ()
    """Modules whose exports stand in for names that the code uses without declaring them."""
    alias: Mapping[str, str] = {}
    define: Mapping[str, str] = {}
    """Name -> the JSON or JavaScript expression that stands for it."""
    rules: Mapping[str, Kind] = {}
    """More extensions, beside RULES."""
    minify: bool = False
    keep_names: bool = True
    tsconfig: Path | None = None
    jsx_factory: str = "React.createElement"
    jsx_fragment: str = "React.Fragment"

    @classmethod
    def of(cls, project: Project, inject: Sequence[Path] = ()) -> Source:
        """What a project's configuration says. Raises BuildError for what cannot be done."""
        if project.main is None:
            raise BuildError(f"{project.root}: names no main module; add `main`")
        return cls(
            root=project.root,
            main=project.main,
            inject=inject,
            alias=project.alias,
            define=project.define,
            rules=_by_extension(project),
            minify=project.minify,
            keep_names=project.keep_names,
            tsconfig=project.tsconfig,
            jsx_factory=project.jsx_factory,
            jsx_fragment=project.jsx_fragment,
        )


def _by_extension(project: Project) -> dict[str, Kind]:
    out: dict[str, Kind] = {}
    for rule in project.rules:
        kind = _KINDS.get(rule.type)
        if kind is None:
            continue  # code, which esbuild knows by its own means
        for glob in rule.globs:
            match = _GLOB.fullmatch(glob)
            if match is None:
                raise BuildError(
                    f"rules: the pattern {glob!r} is not of the form **/*.ext, the only one that"
                    " bundling knows; name such files by their extension"
                )
            out.setdefault(match["end"], kind)
    return out


class Module(msgspec.Struct, frozen=True):
    """A file beside the bundle that it imports."""

    name: str
    kind: Kind


class Bundle(msgspec.Struct, kw_only=True, frozen=True):
    """What came of it; the files are in `folder`."""

    folder: Path
    modules: Sequence[Module]
    exports: Sequence[str]
    """The names that the main module exports, without `default`."""
    inputs: Sequence[Path]
    """Every file that went in: what to watch."""

    @property
    def code(self) -> Path:
        return self.folder / BUNDLE

    @property
    def source_map(self) -> Path:
        return self.folder / f"{BUNDLE}.map"


class _Output(msgspec.Struct):
    exports: list[str] = []
    inputs: dict[str, msgspec.Raw] = {}


class _Meta(msgspec.Struct):
    inputs: dict[str, msgspec.Raw]
    outputs: dict[str, _Output]


async def bundle(source: Source, folder: Path, esbuild: Path) -> Bundle:
    """Bundle into the empty `folder`.

    Raises BuildError with file, line and esbuild's words, ArtifactError where esbuild itself
    cannot be run.
    """
    rules = dict(RULES) | dict(source.rules)
    meta = folder / "meta.json"
    try:
        status, words = await run_tool(
            esbuild, _arguments(source, folder, meta, rules), source.root, TIMEOUT
        )
    except TimeoutError as error:
        raise BuildError(f"{_short(source)}: bundling took more than {TIMEOUT:.0f} s") from error
    if status:
        raise BuildError(_errors(words) or f"{_short(source)}: esbuild failed: {words.strip()}")
    try:
        made = msgspec.json.decode(meta.read_bytes(), type=_Meta)
    except (OSError, msgspec.DecodeError) as error:
        raise ArtifactError(f"esbuild left no account of its work: {error}") from error
    return _account(source, folder, made, rules)


def _arguments(source: Source, folder: Path, meta: Path, rules: Mapping[str, Kind]) -> list[str]:
    alias = {name: f"node:{name}" for name in NODE_MODULES}
    if not _has_package(source.main.parent):
        alias[AI_PACKAGE] = str(OWN_AI)
    alias |= source.alias
    define = {"process.env.NODE_ENV": '"development"'} | dict(source.define)
    loaders = {end: "text" if kind == "text" else "copy" for end, kind in rules.items()}
    out = [
        f"{Path(BUNDLE).stem}={source.main}",  # NAME=PATH: a path may hold an = itself
        "--bundle",
        f"--outdir={folder}",
        "--format=esm",
        "--platform=neutral",
        "--target=es2024",
        "--main-fields=browser,module,main",
        "--conditions=workerd,worker,browser",
        "--external:cloudflare:*",
        "--external:node:*",
        "--sourcemap=external",
        f"--metafile={meta}",
        "--log-level=error",
        "--log-limit=20",
        "--color=false",
        f"--jsx-factory={source.jsx_factory}",
        f"--jsx-fragment={source.jsx_fragment}",
    ]
    if source.minify:
        out.append("--minify")
    if source.keep_names:
        out.append("--keep-names")
    if source.tsconfig is not None:
        out.append(f"--tsconfig={source.tsconfig}")
    out += [f"--alias:{name}={target}" for name, target in alias.items()]
    out += [f"--define:{name}={value}" for name, value in define.items()]
    out += [f"--loader:{end}={loader}" for end, loader in loaders.items()]
    out += [f"--inject:{path}" for path in source.inject]
    return out


def _has_package(start: Path) -> bool:
    """Is the npm package installed here or above, with all that it imports?"""
    roots = [folder / "node_modules" for folder in (start, *start.parents)]
    return all(
        any((root / name / "package.json").is_file() for root in roots)
        for name in (AI_PACKAGE, *AI_NEEDS)
    )


def _short(source: Source) -> str:
    try:
        return str(source.main.relative_to(source.root))
    except ValueError:
        return str(source.main)


def _errors(words: str) -> str:
    """esbuild's messages, each as file:line:column: text."""
    out = []
    for match in _ERROR.finditer(words):
        place = f"{match['file']}:{match['line']}:{match['column']}: " if match["file"] else ""
        out.append(f"{place}{match['text']}")
    return "\n".join(out)


def _account(source: Source, folder: Path, meta: _Meta, rules: Mapping[str, Kind]) -> Bundle:
    exports: list[str] = []
    modules = []
    for path, output in meta.outputs.items():
        name = Path(path).name
        if name == BUNDLE:
            exports = output.exports
        elif not name.endswith(".map"):
            modules.append(Module(name, rules.get(Path(name).suffix, "data")))
    if "default" not in exports:
        raise BuildError(
            f"{_short(source)}: exports no default; a worker is a module with"
            " `export default { async fetch(request, env, ctx) { … } }`"
        )
    inputs = [source.root / name for name in meta.inputs if not name.startswith("<")]
    return Bundle(
        folder=folder,
        modules=modules,
        exports=[name for name in exports if name != "default"],
        inputs=inputs,
    )
