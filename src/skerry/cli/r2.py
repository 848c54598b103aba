"""skerry r2: buckets, and the objects in them."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from skerry.cli import options
from skerry.cli.output import out, print_json, size, table
from skerry.cli.stores import LOCAL, Account, with_stores
from skerry.errors import SettingsError

if TYPE_CHECKING:
    from skerry.storage.open import Stores
    from skerry.storage.r2.types import Bucket, ListOptions, R2Object

Name = Annotated[str, typer.Argument(help="A bucket's name.", metavar="BUCKET")]
At = Annotated[
    str,
    typer.Argument(
        help="A bucket and a key, with a slash between; the key may have more.",
        metavar="BUCKET/KEY",
    ),
]
StorageClass = Annotated[
    str | None,
    typer.Option(
        help="Standard or InfrequentAccess; the bucket's where not given.", show_default=False
    ),
]
BucketClass = Annotated[
    str, typer.Option("--storage-class", help="Of objects that name none of their own.")
]
Source = Annotated[
    Path | None,
    typer.Option("--file", help="The file; standard input where not given.", show_default=False),
]
Target = Annotated[
    Path | None,
    typer.Option(
        "--file", help="Where to write it; standard output where not given.", show_default=False
    ),
]
ContentType = Annotated[str | None, typer.Option(help="Its Content-Type.", show_default=False)]
ContentEncoding = Annotated[
    str | None, typer.Option(help="Its Content-Encoding.", show_default=False)
]
ContentDisposition = Annotated[
    str | None, typer.Option(help="Its Content-Disposition.", show_default=False)
]
ContentLanguage = Annotated[
    str | None, typer.Option(help="Its Content-Language.", show_default=False)
]
CacheControl = Annotated[str | None, typer.Option(help="Its Cache-Control.", show_default=False)]
Prefix = Annotated[str, typer.Option(help="Only keys that begin so.", show_default=False)]
Delimiter = Annotated[
    str, typer.Option(help="Tell keys as one up to this, / for folders.", show_default=False)
]

_CHUNK = 1 << 20


def create(
    bucket: Name,
    *,
    storage_class: BucketClass = "Standard",
    account: Account = LOCAL,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    json: options.Json = False,
) -> None:
    """Create a bucket. A worker's bucket is also made by its first object.

    Example: `skerry r2 bucket create photos`
    """
    made = with_stores(
        options.settings(config, data_dir),
        lambda stores: stores.r2_buckets(account).create(bucket, storage_class),
    )
    if json:
        print_json(made)
    else:
        out().print(f"Created bucket {made.name}", markup=False)


def list_buckets(
    *,
    account: Account = LOCAL,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    json: options.Json = False,
) -> None:
    """List the buckets.

    Example: `skerry r2 bucket list`
    """

    async def work(stores: Stores) -> list[Bucket]:
        return list(await stores.r2_buckets(account).buckets())

    found = with_stores(options.settings(config, data_dir), work)
    if json:
        print_json(found)
        return
    shown = table("bucket", "storage class", "created")
    for each in found:
        shown.add_row(each.name, each.storage_class, _time(each.created))
    out().print(shown if found else "No buckets yet. Make one: skerry r2 bucket create NAME")


def delete(
    bucket: Name,
    *,
    account: Account = LOCAL,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    json: options.Json = False,
) -> None:
    """Delete a bucket that has no objects.

    Example: `skerry r2 bucket delete photos`
    """
    with_stores(
        options.settings(config, data_dir),
        lambda stores: stores.r2_buckets(account).delete(bucket),
    )
    if json:
        print_json({"deleted": bucket})
    else:
        out().print(f"Deleted bucket {bucket}", markup=False)


def put(
    at: At,
    *,
    file: Source = None,
    content_type: ContentType = None,
    content_encoding: ContentEncoding = None,
    content_disposition: ContentDisposition = None,
    content_language: ContentLanguage = None,
    cache_control: CacheControl = None,
    storage_class: StorageClass = None,
    account: Account = LOCAL,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    json: options.Json = False,
) -> None:
    """Write an object. Without --content-type the name of the file tells it.

    Example: `skerry r2 object put photos/summer/sea.jpg --file sea.jpg`
    """
    import mimetypes

    from skerry.storage.r2.types import HttpMetadata, PutOptions

    bucket, key = _split(at)
    wish = PutOptions(
        http=HttpMetadata(
            content_type=content_type or mimetypes.guess_type(file.name if file else key)[0],
            content_encoding=content_encoding,
            content_disposition=content_disposition,
            content_language=content_language,
            cache_control=cache_control,
        ),
        storage_class=storage_class,
    )
    settings = options.settings(config, data_dir)

    async def work(stores: Stores) -> R2Object:
        objects = stores.r2_buckets(account).bucket(bucket)
        if file is None:
            return await objects.put(key, _pieces(sys.stdin.buffer), wish)
        with file.open("rb") as source:
            return await objects.put(key, _pieces(source), wish)

    made = with_stores(settings, work)
    if json:
        print_json(made)
    else:
        out().print(f"Put {at}, {made.size} bytes, etag {made.etag}", markup=False)


def get(
    at: At,
    *,
    file: Target = None,
    account: Account = LOCAL,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    json: options.Json = False,
) -> None:
    """Read an object; with --json and no --file, only what is known of it.

    Example: `skerry r2 object get photos/summer/sea.jpg --file sea.jpg`
    """
    bucket, key = _split(at)

    async def work(stores: Stores) -> R2Object:
        async with stores.r2_buckets(account).bucket(bucket).get(key) as body:
            if file is not None:
                await _write(body.pieces, file)
            elif not json:
                await _pour(body.pieces, sys.stdout.buffer)
            return body.object

    made = with_stores(options.settings(config, data_dir), work)
    if json:
        print_json(made)
    elif file is not None:
        out().print(f"Wrote {file}, {made.size} bytes", markup=False)


def list_objects(
    bucket: Name,
    *,
    prefix: Prefix = "",
    delimiter: Delimiter = "",
    account: Account = LOCAL,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    json: options.Json = False,
) -> None:
    """List the objects of a bucket.

    Example: `skerry r2 object list photos --prefix summer/`
    """
    import msgspec

    from skerry.storage.r2.types import ListOptions

    async def work(stores: Stores) -> tuple[list[R2Object], list[str]]:
        objects = stores.r2_buckets(account).bucket(bucket)
        wish: ListOptions = ListOptions(prefix=prefix, delimiter=delimiter, http=True, custom=True)
        found: list[R2Object] = []
        folders: list[str] = []
        while True:
            page = await objects.list(wish)
            found += page.objects
            folders += page.delimited_prefixes
            if page.cursor is None:
                return found, folders
            wish = msgspec.structs.replace(wish, cursor=page.cursor)

    found, folders = with_stores(options.settings(config, data_dir), work)
    if json:
        print_json({"objects": found, "delimited_prefixes": folders})
        return
    shown = table("key", ">size", "type", "uploaded")
    for folder in folders:
        shown.add_row(folder, "-", "-", "-")
    for each in found:
        kind = each.http.content_type or "-"
        shown.add_row(each.key, size(each.size), kind, _time(each.uploaded))
    out().print(shown if found or folders else "No object fits.")


def delete_object(
    at: At,
    *,
    account: Account = LOCAL,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    json: options.Json = False,
) -> None:
    """Delete an object.

    Example: `skerry r2 object delete photos/summer/sea.jpg`
    """
    bucket, key = _split(at)

    async def work(stores: Stores) -> None:
        objects = stores.r2_buckets(account).bucket(bucket)
        await objects.head(key)  # a name that was mistyped is told
        await objects.delete([key])

    with_stores(options.settings(config, data_dir), work)
    if json:
        print_json({"deleted": at})
    else:
        out().print(f"Deleted {at}", markup=False)


def _split(at: str) -> tuple[str, str]:
    bucket, slash, key = at.partition("/")
    if not (slash and key):
        raise SettingsError(f"{at!r}: name a bucket and a key, BUCKET/KEY")
    return bucket, key


async def _pieces(source: BinaryIO) -> AsyncIterator[bytes]:
    while piece := source.read(_CHUNK):
        yield piece


async def _write(pieces: AsyncIterator[bytes], file: Path) -> None:
    """The whole file or, where the bytes break off, what was there."""
    part = file.with_name(f"{file.name}.part")
    try:
        with part.open("wb") as sink:
            await _pour(pieces, sink)
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)


async def _pour(pieces: AsyncIterator[bytes], sink: Any) -> None:
    async for piece in pieces:
        sink.write(piece)
    sink.flush()


def _time(milliseconds: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(sep=" ", timespec="seconds")
