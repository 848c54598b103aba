"""HTTP's headers of an R2 object, both ways."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime

from skerry.storage.r2.types import HttpMetadata, R2Conditional, R2Etag, R2Object

WRITTEN = (
    ("content_type", "contentType"),
    ("content_language", "contentLanguage"),
    ("content_disposition", "contentDisposition"),
    ("content_encoding", "contentEncoding"),
    ("cache_control", "cacheControl"),
)
"""Fields of HttpMetadata that are texts, and Cloudflare's names for them in JSON."""

_ETAG = re.compile(r'(\*)|(W/)?"([^"]*)"|([^\s,"]+)')


def metadata_of(headers: Mapping[str, str]) -> HttpMetadata:
    """What a PUT says of its object."""
    texts = {name: headers.get(name.replace("_", "-")) for name, _ in WRITTEN}
    return HttpMetadata(**texts, cache_expiry=_milliseconds(headers.get("Expires")))


def headers_of(made: R2Object) -> dict[str, str]:
    """What a GET says of its object.

    An object may be a web page, and stands here on the node's own origin: it runs no script.
    """
    out = {
        "ETag": f'"{made.etag}"',
        "Last-Modified": _http_date(made.uploaded),
        "Accept-Ranges": "bytes",
        "cf-r2-storage-class": made.storage_class,
        "Content-Type": "application/octet-stream",
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "X-Content-Type-Options": "nosniff",
    }
    for name, _ in WRITTEN:
        value = getattr(made.http, name)
        if value is not None:
            out["-".join(part.capitalize() for part in name.split("_"))] = _one_line(value)
    if made.http.cache_expiry is not None:
        out["Expires"] = _http_date(made.http.cache_expiry)
    return out


def condition_of(headers: Mapping[str, str]) -> R2Conditional | None:
    """If-Match, If-None-Match, If-Modified-Since and If-Unmodified-Since as one condition.

    HTTP's "since" includes its second, R2's "before" does not.
    """
    before = _milliseconds(headers.get("If-Unmodified-Since"))
    made = R2Conditional(
        etag_matches=_etags(headers.get("If-Match")),
        etag_does_not_match=_etags(headers.get("If-None-Match")),
        uploaded_before=None if before is None else before + 1000,
        uploaded_after=_milliseconds(headers.get("If-Modified-Since")),
        seconds_granularity=True,
    )
    return None if made == R2Conditional(seconds_granularity=True) else made


def wants_cached(headers: Mapping[str, str]) -> bool:
    """Whether a condition that fails means 304: the caller has the object already."""
    since = {"If-None-Match", "If-Modified-Since"} & set(headers)
    return bool(since) and not {"If-Match", "If-Unmodified-Since"} & set(headers)


def _etags(text: str | None) -> list[R2Etag] | None:
    if text is None:
        return None
    out = []
    for star, weak, quoted, plain in _ETAG.findall(text):
        if star:
            out.append(R2Etag(kind="wildcard"))
        else:
            out.append(R2Etag(quoted or plain, "weak" if weak else "strong"))
    return out


def _milliseconds(date: str | None) -> int | None:
    """An HTTP date; None for what is none, as HTTP wants it."""
    if date is None:
        return None
    try:
        return int(parsedate_to_datetime(date).timestamp() * 1000)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _http_date(milliseconds: int) -> str:
    try:
        when = datetime.fromtimestamp(milliseconds // 1000, UTC)
    except (ValueError, OverflowError, OSError):
        when = datetime.max.replace(tzinfo=UTC)
    return format_datetime(when, usegmt=True)


def _one_line(text: str) -> str:
    """A header's value: what would end it is a space."""
    return re.sub(r"[\x00-\x1f\x7f]", " ", text)
