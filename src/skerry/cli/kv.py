"""skerry kv: namespaces, keys, bulk."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from skerry.cli import options
from skerry.cli.output import out, print_json, table
from skerry.cli.rest import Rest, Url, with_rest
from skerry.cli.stores import LOCAL, Account, project_here
from skerry.errors import SettingsError, StorageError

Namespace = Annotated[
    str,
    typer.Option(
        "--namespace",
        "--namespace-id",
        "--binding",
        "-n",
        help="A namespace's id or title; in a project's folder also its binding.",
    ),
]
Title = Annotated[str, typer.Argument(help="The namespace's title.")]
Key = Annotated[str, typer.Argument(help="The key.")]
Value = Annotated[
    str | None,
    typer.Argument(help="The value; - or nothing reads standard input.", show_default=False),
]
Source = Annotated[
    Path | None, typer.Option("--path", help="A file that is the value.", show_default=False)
]
Ttl = Annotated[
    int | None, typer.Option(help="Seconds until it expires, at least 60.", show_default=False)
]
Expiration = Annotated[
    int | None, typer.Option(help="Unix second at which it expires.", show_default=False)
]
Metadata = Annotated[str | None, typer.Option(help="Metadata, as JSON.", show_default=False)]
Prefix = Annotated[str, typer.Option(help="Only keys that begin so.")]
File = Annotated[Path, typer.Argument(help="A JSON file: a list of {key, value, …}, or of keys.")]

BASE = "/storage/kv/namespaces"


async def namespace_id(rest: Rest, namespace: str) -> str:
    """The id for an id or a title; what the project of this folder calls so comes first, and
    is made. Raises StorageError, ProjectError.
    """
    from skerry.workers.bindings import KvBinding

    project = project_here()
    for binding in project.bindings if project is not None else ():
        if isinstance(binding, KvBinding) and namespace in (binding.name, binding.id):
            made = await rest.call("POST", BASE, json={"title": binding.id, "id": binding.id})
            return str(made["id"])
    page = 1
    while found := await rest.call("GET", f"{BASE}?per_page=1000&page={page}"):
        for each in found:
            if namespace in (each["id"], each["title"]):
                return str(each["id"])
        page += 1
    raise StorageError(f"no namespace {namespace}; all of them: skerry kv namespace list")


def _at(namespace: str, key: str) -> str:
    return f"{BASE}/{namespace}/values/{quote(key, safe='')}"


def create(
    title: Title,
    *,
    url: Url = None,
    account: Account = LOCAL,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    json: options.Json = False,
) -> None:
    """Create a namespace. A worker's namespace is also made by its first put.

    Example: `skerry kv namespace create cache`
    """
    made = with_rest(
        options.settings(config, data_dir),
        url,
        account,
        lambda rest: rest.call("POST", BASE, json={"title": title}),
    )
    if json:
        print_json(made)
    else:
        out().print(f"Created namespace {made['title']}: {made['id']}", markup=False)


def list_namespaces(
    *,
    url: Url = None,
    account: Account = LOCAL,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    json: options.Json = False,
) -> None:
    """List the namespaces.

    Example: `skerry kv namespace list`
    """

    async def work(rest: Rest) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        while more := await rest.call("GET", f"{BASE}?per_page=1000&page={len(rows) // 1000 + 1}"):
            rows += more
            if len(more) < 1000:
                break
        return rows

    rows = with_rest(options.settings(config, data_dir), url, account, work)
    if json:
        print_json(rows)
        return
    shown = table("id", "title")
    for row in rows:
        shown.add_row(row["id"], row["title"])
    out().print(shown if rows else "No namespace. Make one: skerry kv namespace create TITLE")


def delete(
    namespace: Annotated[str, typer.Argument(help="A namespace's id, or its title.")],
    *,
    url: Url = None,
    account: Account = LOCAL,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    json: options.Json = False,
) -> None:
    """Delete a namespace and all its keys.

    Example: `skerry kv namespace delete cache`
    """

    async def work(rest: Rest) -> str:
        found = await namespace_id(rest, namespace)
        await rest.call("DELETE", f"{BASE}/{found}")
        return found

    found = with_rest(options.settings(config, data_dir), url, account, work)
    if json:
        print_json({"deleted": found})
    else:
        out().print(f"Deleted namespace {found}", markup=False)


def put(
    key: Key,
    value: Value = None,
    *,
    namespace: Namespace,
    path: Source = None,
    ttl: Ttl = None,
    expiration: Expiration = None,
    metadata: Metadata = None,
    url: Url = None,
    account: Account = LOCAL,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    json: options.Json = False,
) -> None:
    """Put a value.

    Example: `skerry kv key put greeting hello -n cache --ttl 3600`
    """
    data = _value(value, path)
    query = [f"expiration_ttl={ttl}"] if ttl is not None else []
    query += [f"expiration={expiration}"] if expiration is not None else []

    async def work(rest: Rest) -> None:
        import io

        import aiohttp

        where = f"{_at(await namespace_id(rest, namespace), key)}?{'&'.join(query)}"
        body: Any = io.BytesIO(data)
        if metadata is not None:
            body = aiohttp.FormData()
            body.add_field("value", data, filename="value")
            body.add_field("metadata", metadata)
        await rest.call("PUT", where, data=body)

    with_rest(options.settings(config, data_dir), url, account, work)
    if json:
        print_json({"key": key, "bytes": len(data)})
    else:
        out().print(f"Put {len(data)} bytes at {key}", markup=False)


def _value(value: str | None, path: Path | None) -> bytes:
    if path is not None:
        if value is not None:
            raise SettingsError("give a value or --path, not both")
        return path.read_bytes()
    return sys.stdin.buffer.read() if value in (None, "-") else str(value).encode()


def get(
    key: Key,
    *,
    namespace: Namespace,
    url: Url = None,
    account: Account = LOCAL,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    json: options.Json = False,
) -> None:
    """Print a value, byte for byte. With --json it is in base64, with its metadata.

    Example: `skerry kv key get greeting -n cache`
    """

    async def work(rest: Rest) -> tuple[bytes, str | None, Any]:
        where = await namespace_id(rest, namespace)
        async with rest.raw("GET", _at(where, key)) as answer:
            data, expiration = await answer.read(), answer.headers.get("expiration")
        about = f"{BASE}/{where}/metadata/{quote(key, safe='')}"
        return data, expiration, await rest.call("GET", about) if json else None

    data, expiration, metadata = with_rest(options.settings(config, data_dir), url, account, work)
    if json:
        until = int(expiration) if expiration else None
        print_json({"key": key, "value": data, "expiration": until, "metadata": metadata})
    else:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


def list_keys(
    *,
    namespace: Namespace,
    prefix: Prefix = "",
    url: Url = None,
    account: Account = LOCAL,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    json: options.Json = False,
) -> None:
    """List the keys, in the order of their bytes.

    Example: `skerry kv key list -n cache --prefix user:`
    """

    async def work(rest: Rest) -> list[dict[str, Any]]:
        where = f"{BASE}/{await namespace_id(rest, namespace)}/keys?prefix={quote(prefix, safe='')}"
        rows: list[dict[str, Any]] = []
        cursor = ""
        while True:
            more, info = await rest.paged("GET", f"{where}&cursor={quote(cursor, safe='')}")
            rows += more
            cursor = info["cursor"]
            if not cursor:
                return rows

    rows = with_rest(options.settings(config, data_dir), url, account, work)
    if json:
        print_json(rows)
        return
    for row in rows:
        out().print(row["name"], markup=False, soft_wrap=True)


def delete_key(
    key: Key,
    *,
    namespace: Namespace,
    url: Url = None,
    account: Account = LOCAL,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    json: options.Json = False,
) -> None:
    """Delete a key; one that is not there is no error.

    Example: `skerry kv key delete greeting -n cache`
    """

    async def work(rest: Rest) -> None:
        await rest.call("DELETE", _at(await namespace_id(rest, namespace), key))

    with_rest(options.settings(config, data_dir), url, account, work)
    if json:
        print_json({"deleted": key})
    else:
        out().print(f"Deleted {key}", markup=False)
