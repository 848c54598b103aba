"""Cloudflare's limits of KV, and its words for what is beyond them.

The texts reach a worker as "KV PUT failed: 400 <text>"; published code compares some of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from skerry.storage.kv.base import KvError

KEY = 512
"""Bytes of a key in UTF-8."""
VALUE = 25 << 20
"""Bytes of a value, and of all values of one bulk get together."""
METADATA = 1024
"""Bytes of metadata as JSON."""
LIST = 1000
"""Keys of one page."""
BULK_GET = 100
"""Keys of one bulk get."""
TTL = 60
"""Seconds that a key must live at least."""
CACHE_TTL = 30
"""Seconds that `cacheTtl` must be at least."""
LATEST = 1 << 53
"""A later expiration than this is no number of seconds."""


def key_bytes(key: str) -> bytes:
    """The bytes of a key that may be used. Raises KvError."""
    data = _length(key)
    if not data:
        raise KvError("Key names must not be empty")
    if key in (".", ".."):
        raise KvError(f'Illegal key name "{key}". Please use a different name.')
    return data


def prefix_bytes(prefix: str) -> bytes:
    """The bytes of a prefix, which may be empty. Raises KvError."""
    return _length(prefix)


def _length(key: str) -> bytes:
    try:
        data = key.encode()
    except UnicodeEncodeError as error:
        raise KvError("Key names must be valid UTF-8") from error
    if len(data) > KEY:
        raise KvError(
            f"UTF-8 encoded length of {len(data)} exceeds key length limit of {KEY}.", status=414
        )
    return data


def check_value(size: int) -> None:
    """Raises KvError for a value of more than 25 MiB."""
    if size > VALUE:
        raise KvError(f"Value length of {size} exceeds limit of {VALUE}.", status=413)


def metadata_text(metadata: str | None) -> str | None:
    """The JSON without white space. Raises KvError for too much of it, or what is no JSON."""
    if metadata is None:
        return None
    data = metadata.encode("utf-8", "surrogatepass")
    if len(data) > METADATA:
        raise KvError(f"Metadata length of {len(data)} exceeds limit of {METADATA}.", status=413)
    try:
        msgspec.json.decode(data)
        return msgspec.json.format(data, indent=-1).decode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise KvError(f"Metadata is not valid JSON: {error}") from error


def expires(now: float, expiration: int | None, expiration_ttl: int | None) -> int | None:
    """The Unix second of expiration. Raises KvError for one that is less than 60 s ahead."""
    second = int(now)
    if expiration_ttl is not None:
        if not 0 < expiration_ttl <= LATEST:
            raise KvError(
                f"Invalid expiration_ttl of {expiration_ttl}. "
                "Please specify integer greater than 0."
            )
        if expiration_ttl < TTL:
            raise KvError(
                f"Invalid expiration_ttl of {expiration_ttl}. "
                f"Expiration TTL must be at least {TTL}."
            )
        return second + expiration_ttl
    if expiration is None:
        return None
    if not second < expiration <= LATEST:
        raise KvError(
            f"Invalid expiration of {expiration}. Please specify integer greater than the "
            "current number of seconds since the UNIX epoch."
        )
    if expiration < second + TTL:
        raise KvError(
            f"Invalid expiration of {expiration}. "
            f"Expiration times must be at least {TTL} seconds in the future."
        )
    return expiration


def check_limit(limit: int) -> None:
    """Raises KvError for a page of less than 1 or more than 1000 keys."""
    if limit < 1:
        raise KvError(
            f"Invalid key_count_limit of {limit}. Please specify an integer greater than 0."
        )
    if limit > LIST:
        raise KvError(
            f"Invalid key_count_limit of {limit}. Please specify an integer less than {LIST}."
        )


def check_cache_ttl(seconds: int) -> None:
    """Raises KvError for less than 30 s. There is no cache to fill: one node has one store."""
    if seconds < CACHE_TTL:
        raise KvError(f"Invalid cache_ttl of {seconds}. Cache TTL must be at least {CACHE_TTL}.")


def check_bulk(keys: Sequence[str]) -> None:
    """Raises KvError for no key or more than 100."""
    if len(keys) > BULK_GET:
        raise KvError(f"You can request a maximum of {BULK_GET} keys")
    if not keys:
        raise KvError("You must request a minimum of 1 key")


def check_bulk_size(size: int) -> None:
    """Raises KvError where the values of one bulk get are more than 25 MiB together."""
    if size > VALUE:
        raise KvError(f"Total size of request exceeds the limit of {VALUE >> 20}MB", status=413)


def whole_number(name: str, text: str, otherwise: str) -> int:
    """A number of a query. Raises KvError in Cloudflare's words for what is none."""
    try:
        return int(text) if text.isascii() and len(text) < 20 else int("")
    except ValueError as error:
        raise KvError(f"Invalid {name} of {text[:100]}. {otherwise}") from error
