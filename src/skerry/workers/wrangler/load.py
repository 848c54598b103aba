"""From a path to a Project: which file, what is wrong with it, what it means."""

from __future__ import annotations

import re
from pathlib import Path

from skerry.errors import ProjectError
from skerry.workers.bindings import AiBinding
from skerry.workers.diagnostics import Diagnostic, refuse
from skerry.workers.project import Language, Project
from skerry.workers.wrangler import jsonc, toml
from skerry.workers.wrangler.document import Document
from skerry.workers.wrangler.environment import Chosen
from skerry.workers.wrangler.made import make
from skerry.workers.wrangler.secrets import beside

NAMES = ("wrangler.json", "wrangler.jsonc", "wrangler.toml")
"""Wrangler takes the first of them that is there."""
LANGUAGES: dict[str, Language] = {
    ".ts": "javascript",
    ".mts": "javascript",
    ".tsx": "javascript",
    ".js": "javascript",
    ".mjs": "javascript",
    ".jsx": "javascript",
    ".py": "python",
}
LARGEST = 1 << 20
"""Bytes of a configuration file."""


def load(path: Path, env: str | None) -> Project:
    """The project at `path`. Raises ProjectError with every fault."""
    there = locate(path)
    if there[0].suffix in LANGUAGES:
        return _single(there[0], env)
    told: tuple[Diagnostic, ...] = ()
    if len(there) > 1:
        others = " and ".join(file.name for file in there[1:])
        told = (Diagnostic("warning", f"this file is taken, {others} is not read", there[0]),)
    return _configured(there[0], env, told)


def locate(path: Path) -> list[Path]:
    """The file that `path` means; behind it those of its folder that it goes before.

    Raises ProjectError where there is no project at all.
    """
    try:
        path = path.resolve(strict=True)
    except (OSError, RuntimeError, ValueError) as error:
        raise ProjectError(f"{path}: no such folder or file") from error
    if path.is_dir():
        there = [path / name for name in NAMES if (path / name).is_file()]
        if not there:
            raise ProjectError(
                f"{path}: no {', '.join(NAMES)} here; make one, or name a code file of the folder"
            )
        return there
    if path.suffix in (".json", ".jsonc", ".toml") or path.suffix in LANGUAGES:
        return [path]
    known = ", ".join(LANGUAGES)
    raise ProjectError(f"{path}: not a worker; name a folder, a wrangler file, or a {known} file")


def read(file: Path) -> Document:
    """A configuration file. Raises ProjectError with file, line and column."""
    try:
        if file.stat().st_size > LARGEST:
            raise ProjectError(f"{file}: a configuration has at most {LARGEST} bytes")
        text = file.read_text("utf-8")
    except (OSError, UnicodeError) as error:
        raise ProjectError(f"{file}: cannot be read as UTF-8: {error}") from error
    if file.suffix == ".toml":
        return toml.parse(text, file)
    return jsonc.parse(text, file)


def _configured(file: Path, env: str | None, told: tuple[Diagnostic, ...]) -> Project:
    chosen = Chosen(read(file), env)
    found = [*told, *chosen.check()]
    refuse(found)  # what follows trusts the types
    project = make(chosen, found, LANGUAGES)
    refuse(found)
    return project


def _single(file: Path, env: str | None) -> Project:
    """A worker of one file: no configuration, one binding, AI."""
    found: list[Diagnostic] = []
    if env is not None:
        raise ProjectError(f"{file}: a single file has no environments; leave out {env!r}")
    ignored = [name for name in NAMES if (file.parent / name).is_file()]
    if ignored:
        message = f"run alone, {ignored[0]} beside it is not read; name the folder to have it read"
        found.append(Diagnostic("warning", message, file))
    name = re.sub("[^a-z0-9_-]+", "-", file.stem.lower()).strip("-") or "worker"
    secrets, files = beside(file.parent, None, found, dot_env=False)
    if secrets.pop("AI", None) is not None:
        found.append(Diagnostic("warning", "AI is the binding, the secret is left out", files[0]))
    return Project(
        root=file.parent,
        name=name[:63],
        main=file,
        language=LANGUAGES[file.suffix],
        bindings=(AiBinding(name="AI"),),
        secrets=secrets,
        files=files,
        diagnostics=tuple(found),
    )
