"""skerry d1 migrations."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skerry.cli import options
from skerry.cli.d1 import BASE, Database, bound, database_id
from skerry.cli.output import out, print_json
from skerry.cli.rest import Rest, Url, with_rest
from skerry.cli.stores import LOCAL, Account

if TYPE_CHECKING:
    from skerry.storage.d1.migrations import Run

Folder = Annotated[
    Path | None,
    typer.Option(
        "--dir",
        help="The folder of the migrations; else as the project of this folder says.",
        show_default="migrations",
    ),
]
Table = Annotated[
    str | None,
    typer.Option(
        help="The table that knows which were applied; else as the project of this folder says.",
        show_default="d1_migrations",
    ),
]
Message = Annotated[str, typer.Argument(help="What it does, in a few words.")]


def _place(database: str, folder: Path | None, table: str | None) -> tuple[Path, str]:
    """Where the migrations are and which table knows of them, as the caller or the project says."""
    from skerry.storage.d1 import migrations

    binding = bound(database)
    if binding is None:
        return folder or Path(migrations.FOLDER), table or migrations.TABLE
    return folder or Path(binding.migrations_dir), table or binding.migrations_table


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
    folder: Folder = None,
    table: Table = None,
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

    place = _place(database, folder, table)

    async def work(rest: Rest) -> list[str]:
        return await migrations.apply(await _run(rest, database), *place)

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
    folder: Folder = None,
    table: Table = None,
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

    place = _place(database, folder, table)

    async def work(rest: Rest) -> list[str]:
        run = await _run(rest, database)
        return [path.name for path in await migrations.pending(run, *place)]

    names = with_rest(options.settings(config, data_dir), url, account, work)
    if json:
        print_json({"pending": names})
    else:
        out().print("\n".join(names) or "Nothing to apply", markup=False)


def create(
    database: Database, message: Message, *, folder: Folder = None, json: options.Json = False
) -> None:
    """Make the file of a new migration, with the next number.

    Example: `skerry d1 migrations create notes "add tags"`
    """
    from skerry.storage.d1 import migrations

    path = migrations.create(_place(database, folder, None)[0], message)
    if json:
        print_json({"database": database, "file": str(path)})
    else:
        out().print(f"Made {path}", markup=False)
