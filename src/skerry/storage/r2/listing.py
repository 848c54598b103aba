"""A page of a list: prefixes, delimiters, cursors.

A cursor says where the next page begins: the base64 of the least key that is not told yet. So
keys that come or go between two pages shift nothing.
"""

from __future__ import annotations

import base64
import binascii

import apsw
import msgspec

from skerry.storage.r2.base import LIST_BYTES, LIST_KEYS
from skerry.storage.r2.errors import InvalidArgument, InvalidMaxKeys
from skerry.storage.r2.rows import COLUMNS, found
from skerry.storage.r2.types import HttpMetadata, ListOptions, R2Object, R2Objects

_OBJECT_BYTES = 300
"""What an object costs in a page beside its key and metadata, at most."""
_ROWS = 100
"""Rows that are read at once; after a delimited prefix a new reading jumps over its keys."""


def page(db: apsw.Connection, bucket: str, options: ListOptions) -> R2Objects:
    """A page. Raises InvalidMaxKeys, InvalidArgument."""
    if not 1 <= options.limit <= LIST_KEYS:
        raise InvalidMaxKeys
    prefix, delimiter = options.prefix.encode(), options.delimiter.encode()
    start = max(prefix, _begin(options))
    end = after_prefix(prefix)
    objects: list[R2Object] = []
    prefixes: list[str] = []
    size = 0
    query = f"SELECT {COLUMNS} FROM objects WHERE bucket = ? AND key >= ?"  # noqa: S608 - constants
    if end is not None:
        query += " AND key < ?"
    query += f" ORDER BY key LIMIT {min(_ROWS, options.limit + 1)}"
    while True:
        bounds = (bucket, start) if end is None else (bucket, start, end)
        rows = db.execute(query, bounds).fetchall()
        for row in rows:
            made = found(row).object
            key = made.key.encode()
            if len(objects) + len(prefixes) >= options.limit or size > LIST_BYTES:
                return R2Objects(
                    objects=objects, delimited_prefixes=prefixes, cursor=_cursor(start)
                )
            at = key.find(delimiter, len(prefix)) if delimiter else -1
            if at >= 0:
                group = key[: at + len(delimiter)]
                # A prefix may end within a character, as may its delimiter: then it is no text,
                # but keys and delimiters are texts, so it does not.
                prefixes.append(group.decode())
                size += 2 * len(group)
                beyond = after_prefix(group)
                assert beyond is not None, "UTF-8 has no byte 0xff"
                start = beyond
                break
            told = _told(made, options)
            objects.append(told)
            size += _OBJECT_BYTES + len(msgspec.json.encode((told.key, told.http, told.custom)))
            start = key + b"\0"
        else:
            if len(rows) < min(_ROWS, options.limit + 1):
                return R2Objects(objects=objects, delimited_prefixes=prefixes, cursor=None)


def _told(made: R2Object, options: ListOptions) -> R2Object:
    if options.http and options.custom:
        return made
    return msgspec.structs.replace(
        made,
        http=made.http if options.http else HttpMetadata(),
        custom=made.custom if options.custom else {},
    )


def after_prefix(prefix: bytes) -> bytes | None:
    """The least bytes that come after all that begin with `prefix`; None where none do."""
    trimmed = prefix.rstrip(b"\xff")
    return trimmed[:-1] + bytes([trimmed[-1] + 1]) if trimmed else None


def _begin(options: ListOptions) -> bytes:
    """The least key that may be told."""
    begin = options.start_after.encode() + b"\0" if options.start_after is not None else b""
    if options.cursor is None:
        return begin
    try:
        known = base64.b64decode(options.cursor, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidArgument("cursor: not one that a list of this bucket gave") from error
    return max(begin, known)


def _cursor(start: bytes) -> str:
    return base64.urlsafe_b64encode(start).decode()
