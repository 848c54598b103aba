"""R2's rules: names, sizes, conditions, ranges. No state, no files."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from skerry.storage.r2.base import (
    KEY_BYTES,
    METADATA_BYTES,
    MULTIPART_BYTES,
    PART_BYTES,
    PARTS,
)
from skerry.storage.r2.errors import (
    BadDigest,
    BadUpload,
    EntityTooLarge,
    EntityTooSmall,
    InvalidArgument,
    InvalidBucketName,
    InvalidObjectName,
    InvalidPart,
    InvalidRange,
    MetadataTooLarge,
)
from skerry.storage.r2.types import (
    STORAGE_CLASSES,
    GetOptions,
    R2Conditional,
    R2Etag,
    R2Object,
    R2Part,
    R2Range,
)

ALGORITHMS = {"md5": "MD5", "sha1": "SHA-1", "sha256": "SHA-256", "sha384": "SHA-384"} | {
    "sha512": "SHA-512"
}
"""hashlib's names -> Cloudflare's."""
DIGEST_BYTES = {"md5": 16, "sha1": 20, "sha256": 32, "sha384": 48, "sha512": 64}

_BUCKET = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
_RANGE = re.compile(r"\s*bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*", re.ASCII | re.IGNORECASE)


def check_bucket(name: str) -> str:
    """The name, which is then fit for a URL and a path. Raises InvalidBucketName."""
    if not _BUCKET.fullmatch(name):
        raise InvalidBucketName
    return name


def key_bytes(key: str) -> bytes:
    """A key as it is kept and ordered. Raises InvalidObjectName."""
    try:
        data = key.encode()
    except UnicodeEncodeError as error:
        raise InvalidObjectName from error
    if not 1 <= len(data) <= KEY_BYTES:
        raise InvalidObjectName
    return data


def check_metadata(custom: Mapping[str, str]) -> None:
    """Raises MetadataTooLarge. A text with one character past Latin-1 counts two bytes for each."""
    total = 0
    for text in (part for pair in custom.items() for part in pair):
        total += len(text) if text.isascii() or max(text) < "\u0100" else 2 * len(text)
    if total > METADATA_BYTES:
        raise MetadataTooLarge


def check_storage_class(name: str) -> str:
    """Raises InvalidArgument."""
    if name not in STORAGE_CLASSES:
        raise InvalidArgument(
            f"storageClass: {name[:40]!r} is none of {', '.join(STORAGE_CLASSES)}"
        )
    return name


def check_digests(given: Mapping[str, bytes]) -> None:
    """Raises InvalidArgument for a checksum that none can be."""
    for name, digest in given.items():
        if len(digest) != DIGEST_BYTES[name]:
            raise InvalidArgument(
                f"{ALGORITHMS[name]} must be {DIGEST_BYTES[name]} bytes, not {len(digest)}"
            )


def verify(given: Mapping[str, bytes], found: Mapping[str, bytes]) -> None:
    """Raises BadDigest for the first checksum that the bytes do not have."""
    for name, digest in given.items():
        if digest != found[name]:
            raise BadDigest(ALGORITHMS[name], digest, found[name])


def holds(condition: R2Conditional, found: R2Object | None) -> bool:
    """Whether `onlyIf` holds of what is there, in RFC 9110's order (13.2.2).

    A match of etags makes the time before which it may have been uploaded moot, and a mismatch
    that was asked for the time after which.
    """
    matches = condition.etag_matches
    differs = condition.etag_does_not_match
    if found is None:
        return matches is None and condition.uploaded_after is None
    if matches is not None and not _among(found.etag, matches, weak=False):
        return False
    if differs is not None and _among(found.etag, differs, weak=True):
        return False
    unit = 1000 if condition.seconds_granularity else 1
    uploaded = found.uploaded // unit
    before, after = condition.uploaded_before, condition.uploaded_after
    if before is not None and matches is None and uploaded >= before // unit:
        return False
    return after is None or differs is not None or uploaded > after // unit


def _among(etag: str, wanted: Sequence[R2Etag], *, weak: bool) -> bool:
    return any(
        each.kind == "wildcard" or (each.value == etag and (weak or each.kind == "strong"))
        for each in wanted
    )


def wanted_range(options: GetOptions, size: int) -> tuple[int, int]:
    """(offset, length) of what is wanted of an object of `size` bytes. Raises InvalidRange."""
    if options.range_header is not None:
        wish = from_header(options.range_header)
        return (0, size) if wish is None else resolve(wish, size)
    return (0, size) if options.range is None else resolve(options.range, size)


def from_header(text: str) -> R2Range | None:
    """HTTP's Range; None for what is no range, or several, which are as if not there."""
    match = _RANGE.fullmatch(text)
    if match is None:
        return None
    first, last = match.groups()
    if not first:
        return R2Range(suffix=int(last)) if last else None
    if not last:
        return R2Range(offset=int(first))
    if int(last) < int(first):
        return None
    return R2Range(offset=int(first), length=int(last) - int(first) + 1)


def resolve(wish: R2Range, size: int) -> tuple[int, int]:
    """(offset, length) within an object of `size` bytes. Raises InvalidRange where it is empty,
    but for the whole of an empty object."""
    if wish.suffix is not None:
        if wish.suffix <= 0:
            raise InvalidRange
        length = min(wish.suffix, size)
        return size - length, length
    offset = wish.offset or 0
    length = size - offset if wish.length is None else min(wish.length, size - offset)
    if offset < 0 or length < 0 or (length == 0 and not offset == size == 0):
        raise InvalidRange
    return offset, length


def check_part_number(number: int) -> None:
    """Raises InvalidArgument."""
    if not 1 <= number <= PARTS:
        raise InvalidArgument(f"Part number must be between 1 and {PARTS}, inclusive.")


def check_parts(chosen: Sequence[R2Part], uploaded: Mapping[int, tuple[str, int]]) -> list[int]:
    """The numbers of the chosen parts in order; `uploaded`: number -> (etag, size).

    Raises InvalidPart for one that was not uploaded so, or twice; EntityTooSmall for a small one
    that is not the last; BadUpload for parts of several sizes; EntityTooLarge.
    """
    numbers = sorted(each.part for each in chosen)
    if not numbers or len(set(numbers)) != len(numbers):
        raise InvalidPart
    for each in chosen:
        if each.part not in uploaded or uploaded[each.part][0] != each.etag:
            raise InvalidPart
    sizes = [uploaded[number][1] for number in numbers]
    if any(size < PART_BYTES for size in sizes[:-1]):
        raise EntityTooSmall
    if any(size != sizes[0] for size in sizes[:-1]) or sizes[-1] > sizes[0]:
        raise BadUpload
    if sum(sizes) > MULTIPART_BYTES:
        raise EntityTooLarge
    return numbers
