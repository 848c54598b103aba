"""skerry d1: databases, SQL, export."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from skerry.cli import options
from skerry.cli.output import out, print_json, table
from skerry.cli.rest import Rest, Url, with_rest
from skerry.cli.stores import LOCAL, Account, project_here
from skerry.errors import SettingsError, StorageError

if TYPE_CHECKING:
    from skerry.workers.bindings import D1Binding

Name = Annotated[str, typer.Argument(help="The database's name.", metavar="NAME")]
Database = Annotated[
    str,
    typer.Argument(
        help="A database's name or id; in a project's folder also its binding.", metavar="DATABASE"
    ),
]
Command = Annotated[
    str | None, typer.Option("--command", "-c", help="SQL to run.", show_default=False)
]
File = Annotated[
    Path | None,
    typer.Option("--file", "-f", help="A file of SQL, run as a whole.", show_default=False),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", help="Where the SQL goes; else it is printed.", show_default=False
    ),
]
NoSchema = Annotated[bool, typer.Option("--no-schema", help="Only rows.")]
NoData = Annotated[bool, typer.Option("--no-data", help="Only the schema.")]
Tables = Annotated[
    list[str] | None,
    typer.Option("--table", help="Only this table; again for more.", show_default=False),
]

BASE = "/d1/database"


def bound(database: str) -> D1Binding | None:
    """What the project of this folder means by `database`: a binding, a name or an id of its
    configuration. None where there is no project or it knows no such database. Raises ProjectError.
    """
    from skerry.workers.bindings import D1Binding

    project = project_here()
    for each in project.bindings if project is not None else ():
        if isinstance(each, D1Binding) and database in (each.name, each.database_name, each.id):
            return each
    return None


async def database_id(rest: Rest, database: str) -> str:
    """The id for a name or an id; what the project of this folder calls so comes first, and is
    made. Raises StorageError, ProjectError."""
    binding = bound(database)
    if binding is not None:
        body = {"name": binding.database_name or binding.id, "uuid": binding.id}
        return str((await rest.call("POST", BASE, json=body))["uuid"])
    where = f"{BASE}?per_page=10000&name={quote(database, safe='')}"
    for each in await rest.call("GET", where):
        if each["name"] == database:
            return str(each["uuid"])
    try:
        found = await rest.call("GET", f"{BASE}/{quote(database, safe='')}")
    except StorageError as error:
        raise StorageError(f"no database {database}; all of them: skerry d1 list") from error
    return str(found["uuid"])


def create(
    name: Name,
    *,
    url: Url = None,
    account: Account = LOCAL,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    json: options.Json = False,
) -> None:
    """Create a database. A worker's database is also made by its first query.

    Example: `skerry d1 create notes`
    """
    made = with_rest(
        options.settings(config, data_dir),
        url,
        account,
        lambda rest: rest.call("POST", BASE, json={"name": name}),
    )
    if json:
        print_json(made)
    else:
        out().print(f"Created database {made['name']}: {made['uuid']}", markup=False)


def list_databases(
    *,
    url: Url = None,
    account: Account = LOCAL,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    json: options.Json = False,
) -> None:
    """List the databases.

    Example: `skerry d1 list`
    """
    rows = with_rest(
        options.settings(config, data_dir),
        url,
        account,
        lambda rest: rest.call("GET", f"{BASE}?per_page=10000"),
    )
    if json:
        print_json(rows)
        return
    shown = table("id", "name", "created")
    for row in rows:
        shown.add_row(row["uuid"], row["name"], row["created_at"])
    out().print(shown if rows else "No database. Make one: skerry d1 create NAME")


def delete(
    database: Database,
    *,
    url: Url = None,
    account: Account = LOCAL,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    json: options.Json = False,
) -> None:
    """Delete a database and all that is in it.

    Example: `skerry d1 delete notes`
    """

    async def work(rest: Rest) -> str:
        found = await database_id(rest, database)
        await rest.call("DELETE", f"{BASE}/{found}")
        return found

    found = with_rest(options.settings(config, data_dir), url, account, work)
    if json:
        print_json({"deleted": found})
    else:
        out().print(f"Deleted database {found}", markup=False)


def execute(
    database: Database,
    *,
    command: Command = None,
    file: File = None,
    url: Url = None,
    account: Account = LOCAL,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    json: options.Json = False,
) -> None:
    """Run SQL, all of it or none.

    Examples: `skerry d1 execute notes -c "SELECT * FROM note"`, `skerry d1 execute notes -f a.sql`
    """
    if (command is None) == (file is None):
        raise SettingsError("give --command or --file")
    sql = _text(file) if file is not None else command
    settings = options.settings(config, data_dir)

    async def work(rest: Rest) -> Any:
        where = f"{BASE}/{await database_id(rest, database)}"
        if file is None:
            return await rest.call("POST", f"{where}/query", json={"sql": sql})
        return await _imported(rest, where, str(sql).encode())

    done = with_rest(settings, url, account, work)
    if json:
        print_json(done)
    elif file is not None:
        meta = done["meta"]
        out().print(
            f"{done['num_queries']} statements: {meta['rows_read']} rows read,"
            f" {meta['rows_written']} written",
            markup=False,
        )
    else:
        for result in done:
            _show(result)


async def _imported(rest: Rest, where: str, data: bytes) -> Any:
    """Import a file in Cloudflare's three steps; `result` of the last. Raises StorageError."""
    import hashlib
    import io

    etag = hashlib.md5(data, usedforsecurity=False).hexdigest()
    begun = await rest.call("POST", f"{where}/import", json={"action": "init", "etag": etag})
    async with rest.raw("PUT", begun["upload_url"], data=io.BytesIO(data)):
        pass
    last = {"action": "ingest", "etag": etag, "filename": begun["filename"]}
    done = await rest.call("POST", f"{where}/import", json=last)
    if not done["success"]:
        raise StorageError(str(done["error"]))
    return done["result"]


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise SettingsError(f"{file}: not UTF-8: {error}") from error


def _show(result: dict[str, Any]) -> None:
    rows = result["results"]
    if rows:
        shown = table(*rows[0])
        for row in rows:
            shown.add_row(*("NULL" if value is None else str(value) for value in row.values()))
        out().print(shown, markup=False)
    meta = result["meta"]
    out().print(
        f"{meta['changes']} changes, {meta['rows_read']} rows read,"
        f" {meta['rows_written']} written, {meta['duration']:.2f} ms",
        style="dim",
    )


def export(
    database: Database,
    *,
    output: Output = None,
    no_schema: NoSchema = False,
    no_data: NoData = False,
    tables: Tables = None,
    url: Url = None,
    account: Account = LOCAL,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    json: options.Json = False,
) -> None:
    """Export a database as SQL that makes it again.

    Example: `skerry d1 export notes -o notes.sql`
    """
    wanted = {"no_schema": no_schema, "no_data": no_data, "tables": tables or []}

    async def work(rest: Rest) -> bytes:
        where = f"{BASE}/{await database_id(rest, database)}/export"
        made = await rest.call(
            "POST", where, json={"output_format": "polling", "dump_options": wanted}
        )
        async with rest.raw("GET", made["result"]["signed_url"]) as answer:
            return await answer.read()

    data = with_rest(options.settings(config, data_dir), url, account, work)
    if output is not None:
        output.write_bytes(data)
    if json:
        print_json({"bytes": len(data), "file": str(output) if output else None})
    elif output is None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    else:
        out().print(f"Wrote {len(data)} bytes to {output}", markup=False)
