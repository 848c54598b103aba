"""Writes the generated pages of docs/ and NOTICE; with --check, fails where one is not current."""

from __future__ import annotations

import ast
import inspect
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

from skerry import errors, settings
from skerry.api.storage.document import storage_document
from skerry.catalog.catalog import Catalog
from skerry.catalog.entry import Entry
from skerry.cli.app import build
from skerry.workers.wrangler.keys import PROJECT
from skerry.workers.wrangler.schema import Kind, tables_of

DOCS = Path(__file__).parent
MARK = "<!-- Made by docs/generate.py: change the source, then run `make docs-update`. -->\n"
STORES_BEGIN = "<!-- Made by docs/generate.py of the routes of the stores. -->\n"
STORES_END = "\n<!-- End of what is made. -->\n"
KEYS_BEGIN = "<!-- Made by docs/generate.py of the tables of keys. -->\n"


def pages() -> dict[Path, str]:
    """Every generated file and what it must hold."""
    return {
        DOCS / "cli.md": cli(),
        DOCS / "settings.md": all_settings(),
        DOCS / "errors.md": error_codes(),
        DOCS / "catalog.md": catalog(),
        DOCS / "api.md": api(),
        DOCS / "projects.md": projects(),
        DOCS.parent / "NOTICE": notice(),
    }


def api() -> str:
    """docs/api.md, with its table of the stores' endpoints made of their routes."""
    text = (DOCS / "api.md").read_text()
    before, rest = text.split(STORES_BEGIN)
    _, after = rest.split(STORES_END)
    lines = ["| endpoint | |", "|---|---|"]
    for path, item in storage_document()[0].items():
        lines += [
            f"| `{method.upper()} {path}` | {what['summary']}. |"
            for method, what in item.items()
            if method != "parameters"
        ]
    return "".join([before, STORES_BEGIN, "\n", "\n".join(lines), "\n", STORES_END, after])


def projects() -> str:
    """docs/projects.md, with its tables of wrangler's keys made of their classification."""
    text = (DOCS / "projects.md").read_text()
    before, rest = text.split(KEYS_BEGIN)
    _, after = rest.split(STORES_END)
    scopes = {"inherited": "taken over", "own": "its own", "top": "top level only"}
    keys = sorted(PROJECT.keys, key=lambda key: key.name)
    lines = ["| supported | in an environment | within it |", "|---|---|---|"]
    for key in keys:
        if key.support == "supported":
            within = "" if key.name == "env" else "<br>".join(_within(key.kind))
            lines.append(f"| `{key.name}` | {scopes[key.scope]} | {within} |")
    for support, head in (("no effect", "without effect here"), ("unsupported", "not supported")):
        lines += ["", f"| {head} | |", "|---|---|"]
        lines += [f"| `{key.name}` | {key.note} |" for key in keys if key.support == support]
    return "".join([before, KEYS_BEGIN, "\n", "\n".join(lines), "\n", STORES_END, after])


def _within(kind: Kind, path: str = "") -> Iterator[str]:
    """The keys of the tables within a value: those that work, then each other with its reason."""
    keys = [key for table in tables_of(kind) for key in table.keys]
    works = [f"`{path}{key.name}`" for key in keys if key.support == "supported"]
    if works:
        yield ", ".join(works)
    for key in keys:
        if key.support == "supported":
            yield from _within(key.kind, f"{path}{key.name}.")
        else:
            yield f"`{path}{key.name}`: {key.support}, {key.note}"


def setting_docs() -> dict[str, str]:
    """Setting -> its docstring (the string below the field)."""
    source = ast.parse(inspect.getsource(settings.Settings)).body[0]
    assert isinstance(source, ast.ClassDef)
    out: dict[str, str] = {}
    for field, after in zip(source.body, source.body[1:], strict=False):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(after, ast.Expr)
            and isinstance(after.value, ast.Constant)
        ):
            out[field.target.id] = " ".join(str(after.value.value).split())
    return out


def _defaults() -> Iterator[tuple[str, str]]:
    source = ast.parse(inspect.getsource(settings.Settings)).body[0]
    assert isinstance(source, ast.ClassDef)
    places = {"data_dir": "~/.local/share/skerry", "models": "~/.cache/skerry/models"}
    for field in source.body:
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            name = field.target.id
            yield name, places.get(name) or (ast.unparse(field.value) if field.value else "")


def all_settings() -> str:
    docs = setting_docs()
    lines = [
        "# Settings\n",
        MARK,
        "A setting is taken from the command line's option, else from the environment, else from",
        "the file of `--config`, `$SKERRY_CONFIG` or `./skerry.toml`, else it has its default. In",
        "the environment lists are separated by commas, tables are JSON.\n",
        "| in `skerry.toml` | in the environment | default | |",
        "|---|---|---|---|",
    ]
    for name, default in _defaults():
        lines.append(f"| `{name}` | `SKERRY_{name.upper()}` | `{default}` | {docs[name]} |")
    lines += [
        "",
        "Beside the settings: `SKERRY_CONFIG` names the settings file, `SKERRY_URL` a running node",
        "for `skerry.AI` and `skerry run`, `SKERRY_TOKEN` the bearer token sent to it, and",
        "`SKERRY_DEBUG=1` shows tracebacks on the command line. `HF_TOKEN` opens gated models of",
        "the hub.\n",
    ]
    return "\n".join(lines)


def error_codes() -> str:
    lines = [
        "# Errors\n",
        MARK,
        "Every error of the API has one of Cloudflare's codes; 5000 is Skerry's own. The message",
        "names the model or field and the way out. `Retry-After` says when a retry can help.\n",
        "| code | HTTP | class | retry | |",
        "|---|---|---|---|---|",
    ]
    for each in errors.error_table():
        retry = "yes" if each.retryable else "no"
        words = " ".join((each.__doc__ or "").split())
        lines.append(f"| {each.code} | {each.status} | `{each.__name__}` | {retry} | {words} |")
    tree = (errors.__doc__ or "").split("\n\n", 1)[1].rsplit("\n\n", 1)[0]
    lines += ["", "## The tree in Python\n", "```text", tree, "```", ""]
    return "\n".join(lines)


def catalog() -> str:
    lines = [
        "# Catalog\n",
        MARK,
        "Models that can be asked for by name. *verified*: pulled and run here; *seen*: repository",
        "and files seen in public; *unverified*: by convention.\n",
        "| model | task | licence | size | context | evidence |",
        "|---|---|---|---|---|---|",
    ]
    for entry in Catalog():
        sizes = [artifact.size for artifact in entry.artifacts]
        total = sum(each or 0 for each in sizes) if sizes and all(sizes) else 0
        size = f"{total / 1e6:.0f} MB" if total else "-"
        lines.append(
            f"| `{entry.name}` | {entry.task} | {entry.licence} | {size} |"
            f" {entry.context or '-'} | {entry.evidence} |"
        )
    return "\n".join([*lines, ""])


def packaged() -> list[Entry]:
    """The starter pack: models whose licences NOTICE names."""
    return [entry for entry in Catalog() if entry.name.startswith("@skerry/")]


def notice() -> str:
    lines = [
        "Skerry",
        "Copyright the authors of Skerry. Licensed under the Apache License, Version 2.0.",
        "",
        "examples/property_listing/photo.jpg: photograph by danielbuechele (flickr.com, photo",
        "6061409035), Creative Commons Attribution 2.0, https://creativecommons.org/licenses/by/2.0/,",
        "unchanged from the copy in scikit-learn.",
        "",
        "Models of the starter pack. Their weights are downloaded, not part of this repository,",
        "but for the sentiment delta of @skerry/minilm-sst2 (src/skerry/catalog/data).",
        "",
    ]
    for entry in packaged():
        lines += [f"{entry.name}: {entry.licence}. {entry.source or ''}".rstrip(), ""]
        if entry.provenance:
            lines[-1:] = [f"    {' '.join(entry.provenance.split())}", ""]
    return "\n".join(lines)


def commands(command: Any = None, path: str = "skerry") -> Iterator[tuple[str, Any]]:
    """Every command and group of the command line with its full name."""
    command = command or typer.main.get_command(build())
    yield path, command
    for name, sub in sorted(getattr(command, "commands", {}).items()):
        yield from commands(sub, f"{path} {name}")


def cli() -> str:
    lines = ["# Command line\n", MARK]
    lines += ["Every command has `--help`. Errors are one line, exit code 1; wrong usage is 2.\n"]
    for path, command in commands():
        lines += [f"## {path}\n", inspect.cleandoc(command.help or ""), ""]
        rows = list(_parameters(command))
        if rows:
            lines += ["| | |", "|---|---|", *rows, ""]
    return "\n".join(lines)


def _parameters(command: Any) -> Iterator[str]:
    for each in command.params:
        if each.param_type_name == "argument":
            yield f"| `{each.metavar or each.name.upper()}` | {getattr(each, 'help', '') or ''} |"
        elif "completion" not in each.name:
            names = ", ".join(f"`{name}`" for name in [*each.opts, *each.secondary_opts])
            yield f"| {names} | {each.help or ''} |"


def main(check: bool) -> int:
    """Write the pages, or tell which are stale; the exit code."""
    stale = [
        path for path, text in pages().items() if not path.is_file() or path.read_text() != text
    ]
    for path in stale:
        if not check:
            path.write_text(pages()[path])
        print(f"{path.name}: {'not current; run make docs-update' if check else 'written'}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    os.environ.setdefault("COLUMNS", "100")
    sys.exit(main("--check" in sys.argv))
