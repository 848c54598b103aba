"""skerry vectorize."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skerry.cli import options
from skerry.cli.output import out, print_json, table
from skerry.cli.stores import LOCAL, Account, with_stores
from skerry.errors import SettingsError

if TYPE_CHECKING:
    from skerry.storage.open import Stores
    from skerry.storage.vectorize.base import IndexDetails, IndexState, Match

Name = Annotated[str, typer.Argument(help="An index's name.", metavar="INDEX")]
Dimensions = Annotated[int, typer.Option(help="Numbers of a vector, 1 to 1536.")]
HowLike = Annotated[str, typer.Option(help="cosine, euclidean or dot-product.")]
Description = Annotated[str, typer.Option(help="A text for people.")]
File = Annotated[Path, typer.Option(help="NDJSON: one vector per line; - reads standard input.")]
Upsert = Annotated[bool, typer.Option("--upsert", help="Replace vectors whose id is there.")]
Numbers = Annotated[
    str | None, typer.Option("--vector", help="The vector, as a JSON array.", show_default=False)
]
Ident = Annotated[
    str | None,
    typer.Option("--id", help="Or the id of a vector of the index.", show_default=False),
]
TopK = Annotated[int, typer.Option(help="How many to find, at most 100.")]
Filter = Annotated[
    str | None,
    typer.Option("--filter", help="A metadata filter, as a JSON object.", show_default=False),
]
Namespace = Annotated[
    str | None, typer.Option(help="Only vectors of this namespace.", show_default=False)
]
Property = Annotated[str, typer.Option(help="The property; a dot leads into an object.")]
PropertyKind = Annotated[str, typer.Option("--type", help="string, number or boolean.")]


def create(
    index: Name,
    *,
    dimensions: Dimensions,
    metric: HowLike = "cosine",
    description: Description = "",
    account: Account = LOCAL,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    json: options.Json = False,
) -> None:
    """Create an index.

    Example: `skerry vectorize create notes --dimensions 384 --metric cosine`
    """
    from skerry.storage.vectorize.base import IndexConfig, InvalidIndex

    if metric not in ("cosine", "euclidean", "dot-product"):
        raise InvalidIndex(f"--metric {metric}: not cosine, euclidean or dot-product")
    wanted = IndexConfig(dimensions=dimensions, metric=metric)  # type: ignore[arg-type]
    made = with_stores(
        options.settings(config, data_dir),
        lambda stores: stores.vectorize(account).create(index, wanted, description),
    )
    if json:
        print_json(made)
    else:
        out().print(f"Created index {made.name} ({made.id})", markup=False)


def list_indexes(
    *,
    account: Account = LOCAL,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    json: options.Json = False,
) -> None:
    """List the indexes.

    Example: `skerry vectorize list`
    """
    found = with_stores(
        options.settings(config, data_dir), lambda stores: stores.vectorize(account).list()
    )
    if json:
        print_json(found)
        return
    shown = table("index", ">dimensions", "metric", "description")
    for each in found:
        shown.add_row(each.name, str(each.config.dimensions), each.config.metric, each.description)
    out().print(
        shown if found else "No indexes yet. Make one: skerry vectorize create NAME --dimensions N"
    )


def get(
    index: Name,
    *,
    account: Account = LOCAL,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    json: options.Json = False,
) -> None:
    """Show an index: its vectors, its metric and its metadata indexes.

    Example: `skerry vectorize get notes`
    """

    async def work(stores: Stores) -> tuple[IndexDetails, IndexState, dict[str, Any]]:
        one = await stores.vectorize(account).open(index)
        return one.details, await one.state(), dict(await one.metadata_indexes())

    details, state, properties = with_stores(options.settings(config, data_dir), work)
    if json:
        print_json({"index": details, "state": state, "metadata_indexes": properties})
        return
    console = out()
    console.print(f"{details.name}  {details.description}", markup=False)
    console.print(
        f"{state.vector_count} vectors of {state.dimensions} dimensions, {details.config.metric}",
        markup=False,
    )
    for name, kind in properties.items():
        console.print(f"metadata index {name}, {kind}", markup=False)


def delete(
    index: Name,
    *,
    account: Account = LOCAL,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    json: options.Json = False,
) -> None:
    """Delete an index and its vectors.

    Example: `skerry vectorize delete notes`
    """
    with_stores(
        options.settings(config, data_dir), lambda stores: stores.vectorize(account).delete(index)
    )
    if json:
        print_json({"deleted": index})
    else:
        out().print(f"Deleted index {index}", markup=False)


def insert(
    index: Name,
    *,
    file: File,
    upsert: Upsert = False,
    account: Account = LOCAL,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    json: options.Json = False,
) -> None:
    """Add vectors of a file, each line {"id": …, "values": […], "namespace"?, "metadata"?}.

    Examples: `skerry vectorize insert notes --file notes.ndjson`,
    `skerry vectorize insert notes --file - --upsert`
    """
    from skerry.storage.vectorize.base import MAX_VECTORS, REST_BATCH
    from skerry.storage.vectorize.check import vectors_of

    data = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    vectors = vectors_of(data, MAX_VECTORS)

    async def work(stores: Stores) -> str:
        one = await stores.vectorize(account).open(index)
        put = one.upsert if upsert else one.insert
        mutation = ""
        for start in range(0, len(vectors), REST_BATCH):
            mutation = await put(vectors[start : start + REST_BATCH])
        return mutation

    mutation = with_stores(options.settings(config, data_dir), work)
    if json:
        print_json({"vectors": len(vectors), "mutation": mutation})
    else:
        out().print(f"{len(vectors)} vectors went into {index}", markup=False)


def query(
    index: Name,
    *,
    vector: Numbers = None,
    ident: Ident = None,
    top_k: TopK = 5,
    metadata_filter: Filter = None,
    namespace: Namespace = None,
    account: Account = LOCAL,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    json: options.Json = False,
) -> None:
    """Find the vectors nearest to a vector, or to one of the index.

    Examples: `skerry vectorize query notes --vector '[0.1, 0.2, 0.3]'`,
    `skerry vectorize query notes --id note-7 --top-k 10`
    """
    from skerry.storage.vectorize.base import MAX_TOP_K_WHOLE, Query

    if (vector is None) == (ident is None):
        raise SettingsError("give one of --vector and --id")
    target: Any = ident if vector is None else _json("--vector", vector, list[float])
    chosen = Query(
        top_k=top_k,
        namespace=namespace,
        filter=None
        if metadata_filter is None
        else _json("--filter", metadata_filter, dict[str, Any]),
        return_metadata="all" if top_k <= MAX_TOP_K_WHOLE else "indexed",
    )

    async def work(stores: Stores) -> list[Match]:
        return await (await stores.vectorize(account).open(index)).query(target, chosen)

    found = with_stores(options.settings(config, data_dir), work)
    if json:
        print_json(found)
        return
    import msgspec

    shown = table("id", ">score", "namespace", "metadata")
    for each in found:
        told = "" if each.metadata is None else msgspec.json.encode(each.metadata).decode()
        shown.add_row(each.id, f"{each.score:.4f}", each.namespace or "", told)
    out().print(shown if found else "Nothing was found.")


def create_metadata_index(
    index: Name,
    *,
    property_name: Property,
    kind: PropertyKind,
    account: Account = LOCAL,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    json: options.Json = False,
) -> None:
    """Let filters use a property of the metadata.

    Example: `skerry vectorize create-metadata-index notes --property-name year --type number`
    """
    if kind not in ("string", "number", "boolean"):
        raise SettingsError(f"--type {kind}: not string, number or boolean")

    async def work(stores: Stores) -> str:
        one = await stores.vectorize(account).open(index)
        return await one.add_metadata_index(property_name, kind)  # type: ignore[arg-type]

    mutation = with_stores(options.settings(config, data_dir), work)
    if json:
        print_json({"property": property_name, "type": kind, "mutation": mutation})
    else:
        out().print(f"Filters of {index} can use {property_name} now", markup=False)


def _json(option: str, text: str, kind: Any) -> Any:
    import msgspec

    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        raise SettingsError(f"{option}: {error}") from error
