"""The values of R2, as a worker knows them. Times are milliseconds since 1970, UTC."""

from __future__ import annotations

import msgspec

STORAGE_CLASSES = ("Standard", "InfrequentAccess")


class HttpMetadata(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The headers that go with an object."""

    content_type: str | None = None
    content_language: str | None = None
    content_disposition: str | None = None
    content_encoding: str | None = None
    cache_control: str | None = None
    cache_expiry: int | None = None


class R2Object(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an object, but its bytes."""

    key: str
    version: str
    size: int
    etag: str
    """md5 in hex; of a multipart upload the md5 of its parts' md5s, a hyphen and their number."""
    uploaded: int
    http: HttpMetadata = HttpMetadata()
    custom: dict[str, str] = {}
    checksums: dict[str, str] = {}
    """md5, sha1, sha256, sha384, sha512 -> hex. A multipart upload has none."""
    storage_class: str = "Standard"


class R2Range(msgspec.Struct, frozen=True, kw_only=True):
    """A wish for some of the bytes: from `offset`, at most `length`; or the last `suffix`."""

    offset: int | None = None
    length: int | None = None
    suffix: int | None = None


class R2Etag(msgspec.Struct, frozen=True):
    """An etag in a condition. kind: strong, weak or wildcard."""

    value: str = ""
    kind: str = "strong"


class R2Conditional(msgspec.Struct, frozen=True, kw_only=True):
    """`onlyIf`: what must hold of the object that is there; None asks nothing."""

    etag_matches: list[R2Etag] | None = None
    etag_does_not_match: list[R2Etag] | None = None
    uploaded_before: int | None = None
    uploaded_after: int | None = None
    seconds_granularity: bool = False
    """Compare times in whole seconds, as HTTP's headers have them."""


class PutOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What goes with an object that is written."""

    http: HttpMetadata = HttpMetadata()
    custom: dict[str, str] = {}
    only_if: R2Conditional | None = None
    checksums: dict[str, bytes] = {}
    """Algorithm -> digest that the bytes must have; all given ones are verified and kept."""
    storage_class: str | None = None
    size: int | None = None
    """Bytes that were announced; others are refused."""


class GetOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What of an object is wanted, and when."""

    range: R2Range | None = None
    range_header: str | None = None
    """HTTP's Range header instead of `range`."""
    only_if: R2Conditional | None = None


class ListOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Which objects are wanted."""

    prefix: str = ""
    delimiter: str = ""
    cursor: str | None = None
    start_after: str | None = None
    limit: int = 1000
    http: bool = False
    """With their HTTP metadata."""
    custom: bool = False
    """With their custom metadata."""


class R2Objects(msgspec.Struct, frozen=True, kw_only=True):
    """A page of a list, in the order of the keys' UTF-8 bytes."""

    objects: list[R2Object]
    delimited_prefixes: list[str]
    cursor: str | None
    """Where the next page begins; None at the end."""


class R2Part(msgspec.Struct, frozen=True):
    """An uploaded part."""

    part: int
    etag: str


class Bucket(msgspec.Struct, frozen=True, kw_only=True):
    """A bucket of an account."""

    name: str
    created: int
    storage_class: str = "Standard"
    location: str = "default"
