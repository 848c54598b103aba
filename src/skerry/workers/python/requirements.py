"""What a Python project needs: its dependencies, from the files that say so."""

from __future__ import annotations

import hashlib
import json
import platform
import re
import sys
import tomllib
from pathlib import Path

import msgspec

from skerry.errors import ProjectError

FILES = ("requirements.txt", "cf-requirements.txt")
OWN = frozenset(("workers-py", "workers-runtime-sdk", "pyodide-py"))
"""Packages whose modules the node brings itself, or that only serve Cloudflare's own tools."""
_NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
_INCLUDE = re.compile(r"\s*(?:-r|-c|--requirement|--constraint)[\s=]+(\S+)")
DEPTH = 10
"""Files that may name each other in a row."""


class Requirements(msgspec.Struct, frozen=True, kw_only=True):
    """Lines as pip reads them, and all that decides what they give."""

    lines: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    """Files of requirements that pip is to read itself."""
    seen: tuple[str, ...] = ()
    """The text of every file that counts."""

    def __bool__(self) -> bool:
        return bool(self.lines or self.files)

    @property
    def key(self) -> str:
        """Another key where another environment is needed."""
        told = [sys.version_info[:3], sys.implementation.cache_tag, platform.machine(),
                sorted(self.lines), self.seen]  # fmt: skip
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:24]

    def __str__(self) -> str:
        return ", ".join([*self.lines, *(path.name for path in self.files)])


def read_requirements(root: Path) -> Requirements:
    """Of pyproject.toml ([project] dependencies), requirements.txt and cf-requirements.txt.

    Raises ProjectError with the file and what is wrong in it.
    """
    lines = _of_pyproject(root / "pyproject.toml")
    files = [path for path in (root / name for name in FILES) if _says_something(path)]
    seen: list[str] = []
    for path in files:
        _collect(path, root, seen, 0)
    return Requirements(lines=tuple(lines), files=tuple(files), seen=tuple(seen))


def _of_pyproject(path: Path) -> list[str]:
    text = _read(path)
    if text is None:
        return []
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ProjectError(f"{path}: {error}") from error
    project = found.get("project", {})
    lines = project.get("dependencies", []) if isinstance(project, dict) else None
    if not isinstance(lines, list) or not all(isinstance(each, str) for each in lines):
        raise ProjectError(f"{path}: [project] dependencies is a list of texts")
    kept = []
    for line in lines:
        name = _NAME.match(line)
        if name is None or "\n" in line:
            raise ProjectError(f"{path}: {line[:100]!r} is no requirement")
        if re.sub(r"[-_.]+", "-", name.group(1)).lower() not in OWN:
            kept.append(line)
    return kept


def _says_something(path: Path) -> bool:
    text = _read(path)
    return text is not None and any(
        line.strip() and not line.lstrip().startswith("#") for line in text.splitlines()
    )


def _collect(path: Path, root: Path, seen: list[str], depth: int) -> None:
    """The text of a file and of those that it names."""
    text = _read(path)
    if text is None:
        raise ProjectError(f"{path} is named by a requirements file and is not there")
    if depth > DEPTH:
        raise ProjectError(f"{path}: requirements files name each other more than {DEPTH} deep")
    seen.append(text)
    for line in text.splitlines():
        include = _INCLUDE.match(line)
        if include is not None and "://" not in include.group(1):
            _collect(path.parent / include.group(1), root, seen, depth + 1)


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ProjectError(f"{path} cannot be read: {error}") from error
