"""Migrations of a D1 database: the files of a folder, each applied once, in order, whole."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from skerry.errors import StorageError

Run = Callable[[str], Awaitable[Sequence[dict[str, Any]]]]
"""Runs all of a text in one transaction; the rows of its last statement. Raises D1Error."""

FOLDER = "migrations"
TABLE = "d1_migrations"

_NUMBER = re.compile(r"\d+")


class MigrationFailed(StorageError):
    """A migration was not applied; those before it were. The message names the file."""


def found(folder: Path) -> list[Path]:
    """The .sql files of a folder, by the number that their names begin with, then by name."""
    if not folder.is_dir():
        raise MigrationFailed(f"{folder}: no such folder; `skerry d1 migrations create` makes it")
    return sorted(folder.glob("*.sql"), key=lambda path: (_number(path.name), path.name))


def _number(name: str) -> int:
    match = _NUMBER.match(name)
    return int(match.group()) if match else 1 << 62


async def pending(run: Run, folder: Path, table: str = TABLE) -> list[Path]:
    """What is still to be applied."""
    name = _quoted(table)
    await run(
        f"CREATE TABLE IF NOT EXISTS {name}(id INTEGER PRIMARY KEY AUTOINCREMENT,"
        " name TEXT UNIQUE, applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL)"
    )
    done = {row["name"] for row in await run(f"SELECT name FROM {name}")}  # noqa: S608  quoted
    return [path for path in found(folder) if path.name not in done]


async def apply(run: Run, folder: Path, table: str = TABLE) -> list[str]:
    """Apply what is pending; the names. Raises MigrationFailed at the first that fails."""
    applied = []
    for path in await pending(run, folder, table):
        try:
            sql = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise MigrationFailed(f"{path}: {error}") from error
        literal = path.name.replace("'", "''")
        # A last line may be a comment, and a last statement have no semicolon.
        mark = f"\n;INSERT INTO {_quoted(table)} (name) VALUES ('{literal}');"  # noqa: S608  quoted
        try:
            await run(sql + mark)
        except StorageError as error:
            raise MigrationFailed(f"{path}: {error}") from error
        applied.append(path.name)
    return applied


def create(folder: Path, message: str) -> Path:
    """A new, empty migration: the next number, and the message as a name."""
    folder.mkdir(parents=True, exist_ok=True)
    numbers = [_number(path.name) for path in folder.glob("*.sql")]
    number = max((each for each in numbers if each < 1 << 62), default=0) + 1
    words = re.sub(r"[^a-z0-9]+", "_", message.lower()).strip("_") or "migration"
    path = folder / f"{number:04}_{words}.sql"
    with path.open("x", encoding="utf-8") as file:
        file.write(f"-- Migration number: {number:04}  {message}\n")
    return path


def _quoted(name: str) -> str:
    doubled = name.replace('"', '""')
    return f'"{doubled}"'
