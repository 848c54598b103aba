"""What a match answers: the whole, a part, or that the caller has it already (RFC 9110, 13, 14)."""

from __future__ import annotations

import re

import msgspec

from skerry.storage.cache.base import Head, RequestHeaders
from skerry.storage.cache.rules import http_date

_RANGE = re.compile(r"\s*bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*", re.ASCII | re.IGNORECASE)
_ETAG = re.compile(r'\s*(?:W/)?("[^"]*")\s*(?:,|$)')


class Answer(msgspec.Struct, frozen=True):
    """The head, and which bytes of the body follow."""

    head: Head
    offset: int
    length: int


def answer(request: RequestHeaders, head: Head, size: int) -> Answer:
    """The answer to a request that a kept response of `size` bytes fits."""
    if head.status == 200:
        if _has(request, head):
            return Answer(Head(304, "Not Modified", head.headers), 0, 0)
        part = _part(request, head, size)
        if part is not None:
            return part
    return Answer(head, 0, size)


def _has(request: RequestHeaders, head: Head) -> bool:
    """Whether the caller's copy is this one; dates count only where it names no etag."""
    none_match = request.get("If-None-Match")
    if none_match is not None:
        mine = _ETAG.fullmatch(head.get("etag") or "")
        if mine is None:
            return False
        return none_match.strip() == "*" or mine[1] in _ETAG.findall(none_match)
    since = http_date(request.get("If-Modified-Since") or "")
    changed = http_date(head.get("last-modified") or "")
    return since is not None and changed is not None and changed <= since


def _part(request: RequestHeaders, head: Head, size: int) -> Answer | None:
    """206 or 416 for one range; None where there is none, or several, or it is of another copy."""
    match = _RANGE.fullmatch(request.get("Range") or "")
    if match is None or not _same(request.get("If-Range"), head):
        return None
    first, last = match.groups()
    if not first and not last:
        return None
    if not first:
        begin, end = max(0, size - int(last)), size
    else:
        begin, end = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < begin:
            return None
    if begin >= end:
        kept = [*head.without("content-type"), ("Content-Range", f"bytes */{size}")]
        return Answer(Head(416, "Range Not Satisfiable", kept), 0, 0)
    kept = [*head.headers, ("Content-Range", f"bytes {begin}-{end - 1}/{size}")]
    return Answer(Head(206, "Partial Content", kept), begin, end - begin)


def _same(condition: str | None, head: Head) -> bool:
    """If-Range: a strong etag, or the date, of the copy that the caller has a part of."""
    return condition is None or condition.strip() in (
        head.get("etag") or "",
        head.get("last-modified") or "",
    )
