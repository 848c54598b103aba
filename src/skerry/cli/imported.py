"""Making a catalog entry of a file of the user's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from skerry.catalog.blocking import Stop
from skerry.catalog.catalog import file_name
from skerry.catalog.entry import Entry, parse
from skerry.catalog.files import sha256, write_durably
from skerry.errors import CatalogError

GGUF = b"GGUF"


def import_file(
    file: Path, folder: Path, *, name: str | None, licence: str, context: int | None
) -> tuple[Entry, Path]:
    """Write the entry's TOML into `folder`; the entry and the path. Raises CatalogError."""
    try:
        with file.open("rb") as opened:
            head = opened.read(4)
    except OSError as error:
        raise CatalogError(f"{file}: {error.strerror or error}") from error
    if head == GGUF:
        data = _gguf(file.resolve(), name, licence, context)
    elif file.suffix == ".toml":
        data = file.read_bytes()
        if name is not None:
            raise CatalogError(f"{file}: --name is for weights; a catalog file names its model")
    else:
        raise CatalogError(
            f"{file}: neither a GGUF file nor a catalog file (TOML). For other weights write a"
            " catalog file: docs/models.md says how"
        )
    entry = parse(data, str(file))
    path = folder / file_name(entry.name)
    folder.mkdir(parents=True, exist_ok=True)
    write_durably(path, data)
    return entry, path


def _gguf(file: Path, name: str | None, licence: str, context: int | None) -> bytes:
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", file.stem).strip("-._").lower() or "model"
    values: dict[str, Any] = {
        "name": name or f"@local/{stem}",
        "task": "text-generation",
        "description": f"Imported from {file.name}.",
        "licence": licence,
        "provenance": f"Imported by you from {file}.",
        "evidence": "unverified",
        "engines": ["llamacpp", "genai"],
    }
    if context is not None:
        values["context"] = context
    artifact = {
        "name": "model.gguf",
        "sha256": sha256(file, Stop()),
        "size": file.stat().st_size,
        "mirrors": [f"file:{file}"],
    }
    return f"{_toml(values)}\n[[artifacts]]\n{_toml(artifact)}".encode()


def _toml(values: Mapping[str, Any]) -> str:
    """key = value lines. JSON's strings, numbers and flat lists of them are TOML's too."""
    return "".join(
        f"{key} = {msgspec.json.encode(each).decode()}\n" for key, each in values.items()
    )
