"""R2's tables, and how objects stand in them. What is here runs in a thread of the database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import apsw
import msgspec

from skerry.storage.blob_index import to_garbage
from skerry.storage.r2.types import Bucket, HttpMetadata, R2Object

SCHEMA = (
    """
    CREATE TABLE buckets (
        name TEXT PRIMARY KEY, created INTEGER NOT NULL,
        storage_class TEXT NOT NULL, location TEXT NOT NULL
    ) WITHOUT ROWID;
    -- A key is its UTF-8 bytes: they are the order of a list. The bytes of an object are in `blob`,
    -- or in the parts of `upload`.
    CREATE TABLE objects (
        bucket TEXT NOT NULL, key BLOB NOT NULL, version TEXT NOT NULL, size INTEGER NOT NULL,
        etag TEXT NOT NULL, uploaded INTEGER NOT NULL, storage_class TEXT NOT NULL,
        http BLOB NOT NULL, custom BLOB NOT NULL, checksums BLOB NOT NULL,
        blob TEXT, upload TEXT,
        PRIMARY KEY (bucket, key)
    ) WITHOUT ROWID;
    CREATE INDEX objects_blob ON objects (blob) WHERE blob IS NOT NULL;
    -- state: 0 under way, 1 over. One that is over stays for a while: to abort it is no error.
    CREATE TABLE uploads (
        id TEXT PRIMARY KEY, bucket TEXT NOT NULL, key BLOB NOT NULL, created INTEGER NOT NULL,
        state INTEGER NOT NULL, storage_class TEXT NOT NULL,
        http BLOB NOT NULL, custom BLOB NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE parts (
        upload TEXT NOT NULL, number INTEGER NOT NULL, size INTEGER NOT NULL,
        md5 BLOB NOT NULL, blob TEXT NOT NULL,
        PRIMARY KEY (upload, number)
    ) WITHOUT ROWID;
    CREATE INDEX parts_blob ON parts (blob);
    """,
)

COLUMNS = "key, version, size, etag, uploaded, storage_class, http, custom, checksums, blob, upload"

_http: msgspec.json.Decoder[HttpMetadata] = msgspec.json.Decoder(HttpMetadata)
_texts: msgspec.json.Decoder[dict[str, str]] = msgspec.json.Decoder(dict[str, str])


class Found(msgspec.Struct, frozen=True):
    """An object's row: what is known of it, and where its bytes are."""

    object: R2Object
    blob: str | None
    upload: str | None


def found(row: Sequence[Any]) -> Found:
    """A row of COLUMNS."""
    key, version, size, etag, uploaded, storage_class, http, custom, checksums, blob, upload = row
    made = R2Object(
        key=key.decode(),
        version=version,
        size=size,
        etag=etag,
        uploaded=uploaded,
        http=_http.decode(http),
        custom=_texts.decode(custom),
        checksums=_texts.decode(checksums),
        storage_class=storage_class,
    )
    return Found(made, blob, upload)


def find(db: apsw.Connection, bucket: str, key: bytes) -> Found | None:
    """The object of a key."""
    query = f"SELECT {COLUMNS} FROM objects WHERE bucket = ? AND key = ?"  # noqa: S608 - constants
    row = db.execute(query, (bucket, key)).fetchone()
    return None if row is None else found(row)


def bucket_of(db: apsw.Connection, name: str) -> Bucket | None:
    """The bucket of a name."""
    query = "SELECT name, created, storage_class, location FROM buckets WHERE name = ?"
    row = db.execute(query, (name,)).fetchone()
    if row is None:
        return None
    return Bucket(name=row[0], created=row[1], storage_class=row[2], location=row[3])


def add_bucket(db: apsw.Connection, bucket: Bucket) -> None:
    """A new bucket."""
    db.execute(
        "INSERT INTO buckets (name, created, storage_class, location) VALUES (?, ?, ?, ?)",
        (bucket.name, bucket.created, bucket.storage_class, bucket.location),
    )


def put(
    db: apsw.Connection, bucket: str, made: R2Object, *, blob: str | None, upload: str | None
) -> None:
    """An object, which must not be there; `remove` the one that is first."""
    db.execute(
        f"INSERT INTO objects (bucket, {COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",  # noqa: S608
        (
            bucket,
            made.key.encode(),
            made.version,
            made.size,
            made.etag,
            made.uploaded,
            made.storage_class,
            msgspec.json.encode(made.http),
            msgspec.json.encode(made.custom),
            msgspec.json.encode(made.checksums),
            blob,
            upload,
        ),
    )


def remove(db: apsw.Connection, bucket: str, key: bytes) -> list[str]:
    """Delete an object; the files that it had, which are garbage now."""
    query = "DELETE FROM objects WHERE bucket = ? AND key = ? RETURNING blob, upload"
    row = db.execute(query, (bucket, key)).fetchone()
    if row is None:
        return []
    blob, upload = row
    return to_garbage(db, [str(blob)]) if upload is None else remove_parts(db, str(upload))


def remove_parts(db: apsw.Connection, upload: str, keep: Iterable[int] = ()) -> list[str]:
    """Delete the parts of an upload, but those to keep; the files, which are garbage now."""
    kept = set(keep)
    rows = db.execute("SELECT number, blob FROM parts WHERE upload = ?", (upload,)).fetchall()
    gone = [(number, blob) for number, blob in rows if number not in kept]
    db.executemany(
        "DELETE FROM parts WHERE upload = ? AND number = ?",
        [(upload, number) for number, _ in gone],
    )
    return to_garbage(db, [str(blob) for _, blob in gone])


def parts_of(db: apsw.Connection, upload: str) -> list[tuple[int, int, bytes, str]]:
    """(number, size, md5, blob) of an upload's parts, in order."""
    query = "SELECT number, size, md5, blob FROM parts WHERE upload = ? ORDER BY number"
    return [(row[0], row[1], row[2], row[3]) for row in db.execute(query, (upload,))]
