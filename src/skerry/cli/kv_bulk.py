"""skerry kv bulk: many keys from a JSON file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from skerry.cli import options
from skerry.cli.kv import BASE, File, Namespace, namespace_id
from skerry.cli.output import out, print_json
from skerry.cli.rest import Rest, Url, with_rest
from skerry.cli.stores import LOCAL, Account
from skerry.errors import SettingsError

AT_ONCE = 10_000
READ_AT_ONCE = 100


def _items(path: Path) -> list[Any]:
    try:
        items = msgspec.json.decode(path.read_bytes())
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: not JSON: {error}") from error
    if not isinstance(items, list):
        raise SettingsError(f"{path}: not a list")
    return items


def _keys(path: Path) -> list[str]:
    """The keys of a file: a list of strings, or of objects with a `key` or a `name`."""
    keys = []
    for each in _items(path):
        key = each.get("key", each.get("name")) if isinstance(each, dict) else each
        if not isinstance(key, str):
            raise SettingsError(f"{path}: a key is not a string")
        keys.append(key)
    return keys


def put(
    file: File,
    *,
    namespace: Namespace,
    url: Url = None,
    account: Account = LOCAL,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    json: options.Json = False,
) -> None:
    """Put many values: `[{"key": …, "value": …, "expiration_ttl": …, "metadata": …}]`.

    Example: `skerry kv bulk put pairs.json -n cache`
    """
    items = _items(file)

    async def work(rest: Rest) -> None:
        where = f"{BASE}/{await namespace_id(rest, namespace)}/bulk"
        for at in range(0, len(items), AT_ONCE):
            await rest.call("PUT", where, json=items[at : at + AT_ONCE])

    with_rest(options.settings(config, data_dir), url, account, work)
    _done("put", len(items), json=json)


def get(
    file: File,
    *,
    namespace: Namespace,
    url: Url = None,
    account: Account = LOCAL,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    json: options.Json = False,
) -> None:
    """Print the values of many keys as one JSON object, null for what is not there.

    Example: `skerry kv bulk get keys.json -n cache`
    """
    keys = _keys(file)

    async def work(rest: Rest) -> dict[str, Any]:
        where = f"{BASE}/{await namespace_id(rest, namespace)}/bulk/get"
        found: dict[str, Any] = {}
        for at in range(0, len(keys), READ_AT_ONCE):
            part = await rest.call("POST", where, json={"keys": keys[at : at + READ_AT_ONCE]})
            found |= part["values"]
        return found

    print_json(with_rest(options.settings(config, data_dir), url, account, work))


def delete(
    file: File,
    *,
    namespace: Namespace,
    url: Url = None,
    account: Account = LOCAL,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    json: options.Json = False,
) -> None:
    """Delete many keys: `["a", "b"]`, or objects with a `key` or a `name`.

    Example: `skerry kv bulk delete keys.json -n cache`
    """
    keys = _keys(file)

    async def work(rest: Rest) -> None:
        where = f"{BASE}/{await namespace_id(rest, namespace)}/bulk/delete"
        for at in range(0, len(keys), AT_ONCE):
            await rest.call("POST", where, json=keys[at : at + AT_ONCE])

    with_rest(options.settings(config, data_dir), url, account, work)
    _done("deleted", len(keys), json=json)


def _done(what: str, count: int, *, json: bool) -> None:
    if json:
        print_json({what: count})
    else:
        out().print(f"{what} {count} keys".capitalize())
