"""An index as rows: what happens inside one transaction, and what is checked before it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import apsw
import msgspec
import numpy as np

from skerry.storage.vectorize.base import (
    InvalidVector,
    Match,
    PropertyType,
    Query,
    TooMany,
    Vector,
    VectorError,
)
from skerry.storage.vectorize.check import check_vector
from skerry.storage.vectorize.filter import indexed_value, property_of
from skerry.storage.vectorize.memory import Floats

SCHEMA = (
    """
    CREATE TABLE state (
        change INTEGER NOT NULL,
        epoch INTEGER NOT NULL,      -- counts the changes of metadata indexes
        forgotten INTEGER NOT NULL,  -- deletions up to this change are in no list any more
        vectors INTEGER NOT NULL,
        mutation TEXT NOT NULL,
        mutation_ms INTEGER NOT NULL
    ) STRICT;
    INSERT INTO state VALUES (0, 0, 0, 0, '', 0);
    CREATE TABLE vectors (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        namespace TEXT,
        numbers BLOB NOT NULL,       -- little-endian float32
        metadata TEXT,
        change INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX vectors_change ON vectors (change);
    CREATE TABLE gone (change INTEGER NOT NULL, id TEXT NOT NULL) STRICT;
    CREATE INDEX gone_change ON gone (change);
    CREATE TABLE properties (name TEXT PRIMARY KEY, type TEXT NOT NULL) STRICT;
    CREATE TRIGGER vector_in AFTER INSERT ON vectors BEGIN
        UPDATE state SET vectors = vectors + 1;
    END;
    CREATE TRIGGER vector_out AFTER DELETE ON vectors BEGIN
        UPDATE state SET vectors = vectors - 1;
        INSERT INTO gone SELECT change, old.id FROM state;
    END;
    """,
)

_KEPT = 10_000
"""Changes whose deletions stay listed; memory that is further behind is built anew."""

INSERT = (
    "INSERT INTO vectors (id, namespace, numbers, metadata, change) VALUES (?, ?, ?, ?, ?)"
    " ON CONFLICT (id) DO NOTHING"
)
UPSERT = (
    "INSERT INTO vectors (id, namespace, numbers, metadata, change) VALUES (?, ?, ?, ?, ?)"
    " ON CONFLICT (id) DO UPDATE SET namespace = excluded.namespace, numbers = excluded.numbers,"
    " metadata = excluded.metadata, change = excluded.change"
)


def stored_rows(
    vectors: Sequence[Vector], dimensions: int
) -> list[tuple[str, str | None, bytes, str | None]]:
    """Id, namespace, numbers and metadata as they are stored. Raises InvalidVector."""
    return [
        (
            each.id,
            each.namespace,
            float32(each.values, dimensions, f'vector for id="{each.id}"').tobytes(),
            check_vector(each),
        )
        for each in vectors
    ]


def float32(values: Sequence[float], dimensions: int, what: str) -> Floats:
    """Raises InvalidVector, with the words that Cloudflare's clients know."""
    if len(values) != dimensions:
        raise InvalidVector(
            f"invalid {what}, expected {dimensions} dimensions, and got {len(values)} dimensions"
        )
    exact = np.asarray(values, dtype=np.float64)
    if not np.all(np.abs(exact) <= np.finfo(np.float32).max):  # NaN is not, either
        raise InvalidVector(f"invalid {what}, a value does not fit in 32 bits")
    return exact.astype("<f4")


def changed(connection: apsw.Connection, mutation: str, now: int) -> int:
    """Count a mutation; its number."""
    connection.execute(
        "UPDATE state SET change = change + 1, mutation = ?, mutation_ms = ?", (mutation, now)
    )
    change: Any = connection.execute("SELECT change FROM state").get
    if change % 1000 == 0:
        connection.execute("DELETE FROM gone WHERE change <= ?", (change - _KEPT,))
        connection.execute("UPDATE state SET forgotten = max(forgotten, change - ?)", (_KEPT,))
    return int(change)


def properties(connection: apsw.Connection) -> dict[str, PropertyType]:
    rows: Any = connection.execute("SELECT name, type FROM properties ORDER BY name")
    return dict(rows)


def numbers_of(connection: apsw.Connection, target: Floats | str) -> Floats | None:
    if not isinstance(target, str):
        return target
    found: Any = connection.execute("SELECT numbers FROM vectors WHERE id = ?", (target,)).get
    return None if found is None else np.frombuffer(found, dtype="<f4")


def matches(
    connection: apsw.Connection,
    found: Sequence[tuple[str, float]],
    query: Query,
    kinds: dict[str, PropertyType],
) -> list[Match]:
    out: list[Match] = []
    for ident, score in found:
        row: Any = connection.execute(
            "SELECT namespace, numbers, metadata FROM vectors WHERE id = ?", (ident,)
        ).fetchone()
        if row is None:  # the lock orders memory and file, so this is a fault worth hearing of
            raise VectorError(f"vector {ident!r} is in memory and not in the file", status=500)
        namespace, numbers, metadata = row
        out.append(
            Match(
                id=ident,
                score=score,
                namespace=namespace,
                values=floats(numbers) if query.return_values else None,
                metadata=_shown(decoded(metadata), query, kinds),
            )
        )
    return out


def _shown(
    metadata: dict[str, Any] | None, query: Query, kinds: dict[str, PropertyType]
) -> dict[str, Any] | None:
    if query.return_metadata == "none" or metadata is None:
        return None
    if query.return_metadata == "all":
        return metadata
    shown: dict[str, Any] = {}
    for name, kind in kinds.items():
        value = property_of(metadata, name)
        if indexed_value(value, kind) is not None:
            *path, last = name.split(".")
            place = shown
            for part in path:
                place = place.setdefault(part, {})
            place[last] = indexed_value(value, kind) if kind == "string" else value
    return shown


def floats(numbers: bytes) -> list[float]:
    return [float(each) for each in np.frombuffer(numbers, dtype="<f4")]


def decoded(metadata: str | None) -> dict[str, Any] | None:
    if metadata is None:
        return None
    found: dict[str, Any] = msgspec.json.decode(metadata)
    return found


def check_count(ids: Sequence[str], most: int) -> None:
    if len(ids) > most:
        raise TooMany(f"too many ids in payload; max id count is {most}")
