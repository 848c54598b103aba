"""skerry d1 migrations."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skerry.cli import options
from skerry.cli.d1 import BASE, Database, database_id
from skerry.cli.output import out, print_json
from skerry.cli.rest import Rest, Url, with_rest
from skerry.cli.stores import LOCAL, Account

if TYPE_CHECKING:
    from skerry.storage.d1.migrations import Run

Folder = Annotated[Path, typer.Option("--dir", help="The folder of the migrations.")]
Table = Annotated[str, typer.Option(help="The table that knows which were applied.")]
Message = Annotated[str, typer.Argument(help="What it does, in a few words.")]

_FOLDER = Path("migrations")
_TABLE = "d1_migrations"


async def _run(rest: Rest, database: str) -> Run:
    """Runs SQL on a database of the REST API."""
    where = f"{BASE}/{await database_id(rest, database)}/query"

    async def run(sql: str) -> Sequence[dict[str, Any]]:
        results = await rest.call("POST", where, json={"sql": sql})
        rows: Sequence[dict[str, Any]] = results[-1]["results"]
        return rows

    return run


def apply(
    database: Database,
    *,
    folder: Folder = _FOLDER,
    table: Table = _TABLE,
    url: Url = None,
    account: Account = LOCAL,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    json: options.Json = False,
) -> None:
    """Apply the migrations that were not applied yet, in order, each whole or not at all.

    Example: `skerry d1 migrations apply notes`
    """
    from skerry.storage.d1 import migrations

    async def work(rest: Rest) -> list[str]:
        return await migrations.apply(await _run(rest, database), folder, table)

    done = with_rest(options.settings(config, data_dir), url, account, work)
    if json:
        print_json({"applied": done})
    else:
        for name in done:
            out().print(f"Applied {name}", markup=False)
        if not done:
            out().print("Nothing to apply")


def list_migrations(
    database: Database,
    *,
    folder: Folder = _FOLDER,
    table: Table = _TABLE,
    url: Url = None,
    account: Account = LOCAL,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    json: options.Json = False,
) -> None:
    """List the migrations that were not applied yet.

    Example: `skerry d1 migrations list notes`
    """
    from skerry.storage.d1 import migrations

    async def work(rest: Rest) -> list[str]:
        run = await _run(rest, database)
        return [path.name for path in await migrations.pending(run, folder, table)]

    names = with_rest(options.settings(config, data_dir), url, account, work)
    if json:
        print_json({"pending": names})
    else:
        out().print("\n".join(names) or "Nothing to apply", markup=False)


def create(
    database: Database, message: Message, *, folder: Folder = _FOLDER, json: options.Json = False
) -> None:
    """Make the file of a new migration, with the next number.

    Example: `skerry d1 migrations create notes "add tags"`
    """
    from skerry.storage.d1 import migrations

    path = migrations.create(folder, message)
    if json:
        print_json({"database": database, "file": str(path)})
    else:
        out().print(f"Made {path}", markup=False)
