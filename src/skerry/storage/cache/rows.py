"""The table of the Cache API. What is here runs in a thread of the database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import apsw
import msgspec

from skerry.storage.blob_index import to_garbage
from skerry.storage.cache.base import Head, RequestHeaders

SCHEMA = (
    """
    CREATE TABLE entries (
        cache TEXT NOT NULL, url TEXT NOT NULL,
        -- The request's headers that Vary names, as JSON: [[name, value or null], …].
        variant TEXT NOT NULL,
        head BLOB NOT NULL, size INTEGER NOT NULL, weight INTEGER NOT NULL, blob TEXT NOT NULL,
        stored REAL NOT NULL, age INTEGER NOT NULL, expires REAL NOT NULL, used REAL NOT NULL,
        PRIMARY KEY (cache, url, variant)
    ) WITHOUT ROWID;
    CREATE INDEX entries_blob ON entries (blob);
    CREATE INDEX entries_used ON entries (used);
    CREATE INDEX entries_expires ON entries (expires);
    -- The bytes of all entries, so that nothing counts them.
    CREATE TABLE total (bytes INTEGER NOT NULL);
    INSERT INTO total VALUES (0);
    CREATE TRIGGER entries_in AFTER INSERT ON entries
        BEGIN UPDATE total SET bytes = bytes + new.weight; END;
    CREATE TRIGGER entries_out AFTER DELETE ON entries
        BEGIN UPDATE total SET bytes = bytes - old.weight; END;
    """,
)

Variant = list[tuple[str, str | None]]

_head: msgspec.json.Decoder[Head] = msgspec.json.Decoder(Head)
_variant: msgspec.json.Decoder[Variant] = msgspec.json.Decoder(Variant)


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One kept response. Times are Unix seconds."""

    variant: Variant
    head: Head
    size: int
    blob: str
    stored: float
    age: int
    """Seconds that it was old when it was stored."""
    expires: float


def variants(db: apsw.Connection, cache: str, url: str) -> list[Entry]:
    """The responses to a URL, the newest first."""
    query = (
        "SELECT variant, head, size, blob, stored, age, expires FROM entries"
        " WHERE cache = ? AND url = ? ORDER BY stored DESC"
    )
    return [_entry(row) for row in db.execute(query, (cache, url))]


def _entry(row: Sequence[Any]) -> Entry:
    variant, head, size, blob, stored, age, expires = row
    return Entry(
        variant=_variant.decode(variant),
        head=_head.decode(head),
        size=size,
        blob=blob,
        stored=stored,
        age=age,
        expires=expires,
    )


def fits(entry: Entry, request: RequestHeaders) -> bool:
    """Whether a response answers a request, by what its Vary names."""
    return all(request.get(name) == value for name, value in entry.variant)


def put(
    db: apsw.Connection, cache: str, url: str, entry: Entry, request: RequestHeaders
) -> list[str]:
    """Keep a response in place of those that answered its request so far; the garbage."""
    variant = msgspec.json.encode(entry.variant).decode()
    head = msgspec.json.encode(entry.head)
    replaced = _delete(db, "cache = ? AND url = ? AND variant = ?", (cache, url, variant))
    for other in variants(db, cache, url):
        if fits(other, request):
            replaced += _delete(db, "blob = ?", (other.blob,))
    db.execute(
        "INSERT INTO entries"
        " (cache, url, variant, head, size, weight, blob, stored, age, expires, used)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            cache,
            url,
            variant,
            head,
            entry.size,
            entry.size + len(head) + len(url) + len(variant),
            entry.blob,
            entry.stored,
            entry.age,
            entry.expires,
            entry.stored,
        ),
    )
    return replaced


def delete(db: apsw.Connection, cache: str, url: str) -> list[str]:
    """Drop the responses to a URL; the garbage."""
    return _delete(db, "cache = ? AND url = ?", (cache, url))


def use(db: apsw.Connection, blobs: Iterable[tuple[str, float]]) -> None:
    """Note when responses, told by their files, were last used."""
    db.executemany(
        "UPDATE entries SET used = ? WHERE blob = ?", [(used, blob) for blob, used in blobs]
    )


def shrink(db: apsw.Connection, most: int, now: float) -> list[str]:
    """Drop what is stale, and what was used longest ago until `most` bytes are left."""
    garbage = _delete(db, "expires <= ?", (now,))
    while True:
        row = db.execute("SELECT bytes FROM total").fetchone()
        assert row is not None
        if row[0] <= most:
            return garbage
        oldest = db.execute("SELECT blob FROM entries ORDER BY used LIMIT 1").fetchone()
        if oldest is None:
            return garbage
        garbage += _delete(db, "blob = ?", (oldest[0],))


def _delete(db: apsw.Connection, where: str, values: tuple[Any, ...]) -> list[str]:
    query = f"DELETE FROM entries WHERE {where} RETURNING blob"  # noqa: S608 - our own texts
    return to_garbage(db, [str(blob) for (blob,) in db.execute(query, values)])
