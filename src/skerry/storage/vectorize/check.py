"""Limits and shapes, checked before anything is stored."""

from __future__ import annotations

import re

import msgspec

from skerry.storage.vectorize.base import (
    MAX_DIMENSIONS,
    MAX_ID,
    MAX_METADATA,
    MAX_NAME,
    MAX_NAMESPACE,
    MAX_TOP_K,
    MAX_TOP_K_WHOLE,
    IndexConfig,
    InvalidIndex,
    InvalidQuery,
    InvalidVector,
    InvalidVectors,
    Query,
    TooMany,
    Vector,
)

_NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9_-]{{0,{MAX_NAME - 1}}}")
_decoder = msgspec.json.Decoder(Vector)
_texts = msgspec.json.Decoder(str)
_wrapped = msgspec.json.Decoder(dict[str, list[Vector]])


def check_index(name: str, config: IndexConfig) -> None:
    """Raises InvalidIndex."""
    if _NAME.fullmatch(name) is None:
        raise InvalidIndex(
            f"{name[:100]!r} is no index name: 1 to {MAX_NAME} letters, digits, '-' and '_', the"
            " first a letter or digit"
        )
    if not 1 <= config.dimensions <= MAX_DIMENSIONS:
        raise InvalidIndex(f"dimensions: {config.dimensions} is not from 1 to {MAX_DIMENSIONS}")


def check_vector(vector: Vector) -> str | None:
    """The metadata as JSON; the values are not looked at. Raises InvalidVector."""
    size = len(vector.id.encode("utf-8", "replace"))
    if not 1 <= size <= MAX_ID:
        raise InvalidVector(
            f"invalid vector id {vector.id[:70]!r}: {size} bytes, not from 1 to {MAX_ID}"
        )
    space = vector.namespace
    if space is not None and not 1 <= len(space.encode("utf-8", "replace")) <= MAX_NAMESPACE:
        raise InvalidVector(
            f'invalid namespace for id="{vector.id}": not from 1 to {MAX_NAMESPACE} bytes'
        )
    if vector.metadata is None:
        return None
    for key in vector.metadata:
        if not key or key.startswith("$") or any(sign in key for sign in '."'):
            raise InvalidVector(
                f'invalid metadata for id="{vector.id}": the key {key[:70]!r} is empty, begins'
                " with $, or has a dot or a quotation mark"
            )
    try:
        text = msgspec.json.encode(vector.metadata)
    except (OverflowError, UnicodeEncodeError, RecursionError) as error:
        raise InvalidVector(f'invalid metadata for id="{vector.id}": {error}') from error
    if len(text) > MAX_METADATA:
        raise InvalidVector(
            f'invalid metadata for id="{vector.id}": {len(text)} bytes, at most {MAX_METADATA}'
        )
    return text.decode()


def check_query(query: Query) -> None:
    """Raises InvalidQuery."""
    whole = query.return_values or query.return_metadata == "all"
    most = MAX_TOP_K_WHOLE if whole else MAX_TOP_K
    if not 1 <= query.top_k <= most:
        raise InvalidQuery(
            f"topK: {query.top_k} is not from 1 to {most}"
            + (" where values or all metadata are returned" if whole else "")
        )


def vectors_of(data: bytes, most: int, *, discard: bool = False) -> list[Vector]:
    """The vectors of a body: one JSON object per line; or {"vectors": […]}, as before v2.

    discard: leave out lines that cannot be read. Raises InvalidVectors, TooMany.
    """
    found: list[Vector] = []
    if data[:1] == b'"':  # NDJSON that a client has wrapped in a JSON text
        data = _unwrapped(data)
    for number, line in enumerate(data.splitlines(), 1):
        if not line or line.isspace():
            continue
        if len(found) == most:
            raise _too_many(most)
        try:
            found.append(_decoder.decode(line))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            if b'"vectors"' in line[:100] and (whole := _all(data)):
                if len(whole) > most:
                    raise _too_many(most) from error
                return whole
            if not discard:
                raise InvalidVectors(
                    f"failed to parse vectors in NDJSON format: line {number}: {error}"
                ) from error
    if not found:
        raise InvalidVectors("there is no vector in the body; send one JSON object per line")
    return found


def _too_many(most: int) -> TooMany:
    return TooMany(f"too many vectors in payload; max vector count is {most}")


def _unwrapped(data: bytes) -> bytes:
    try:
        return _texts.decode(data).encode()
    except (msgspec.DecodeError, UnicodeError) as error:
        raise InvalidVectors(f"failed to parse vectors: {error}") from error


def _all(data: bytes) -> list[Vector] | None:
    try:
        return _wrapped.decode(data).get("vectors")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
