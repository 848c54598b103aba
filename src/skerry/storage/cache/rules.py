"""What may be kept, and for how long, as Cloudflare documents it for `cache.put`.

Sources: Cloudflare, "Cache API" (headers, Set-Cookie), "Origin Cache Control" (directives), "Edge
TTL" (statuses without directives); RFC 9111 where they are silent.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from email.utils import parsedate_to_datetime

import msgspec

from skerry.storage.cache.base import Head, Headers, RequestHeaders, Uncacheable

EDGE_TTL = {200: 7200, 301: 7200, 302: 1200, 303: 1200, 404: 180, 410: 180}
"""Seconds by status where no header tells."""
FOREVER = 1 << 31
"""Seconds that stand for what is longer."""

_DIRECTIVE = re.compile(r"\s*([^\s=,;\"]+)\s*(?:=\s*(?:\"((?:[^\"\\]|\\.)*)\"|([^,]*)))?\s*(?:,|$)")
_CONNECTION = [
    *("connection", "keep-alive", "proxy-connection", "te", "trailer", "upgrade"),
    *("transfer-encoding", "content-length", "cf-cache-status", "age"),
]
"""Headers of one connection, and those that a match sets anew."""


class Kept(msgspec.Struct, frozen=True):
    """What is kept of a response."""

    head: Head
    seconds: float
    """How long it is fresh."""
    age: int
    """Seconds that it was old already."""
    vary: list[str]
    """Headers of the request that it depends on, in lower case, sorted."""


def keep(request: RequestHeaders, head: Head, now: float) -> Kept:
    """What to keep of a response. Raises Uncacheable with the reason."""
    if head.status == 206 or head.status < 200:
        raise Uncacheable(f"a response of status {head.status} is not kept")
    vary = sorted({name.strip().lower() for name in (head.get("vary") or "").split(",")} - {""})
    if "*" in vary:
        raise Uncacheable("a response with Vary: * is not kept")
    said = _directives(head)
    hidden = _fields(said, "private") | _fields(said, "no-cache")
    for name in ("no-store", "private", "no-cache"):
        if name in said and not _fields(said, name):
            raise Uncacheable(f"Cache-Control: {name}")
    if head.get("set-cookie") is not None and "set-cookie" not in hidden:
        raise Uncacheable("a response with Set-Cookie is not kept; set private=Set-Cookie")
    if request.get("Authorization") and not said.keys() & {
        "public",
        "s-maxage",
        "must-revalidate",
    }:
        raise Uncacheable("the answer to a request with Authorization must say that it is public")
    age = _seconds(head.get("age") or "0")
    seconds = _lifetime(head, said, now) - age
    if seconds <= 0:
        raise Uncacheable("the response is stale already")
    headers: Headers = head.without(*_CONNECTION, *hidden)
    return Kept(Head(head.status, head.reason, headers), seconds, age, vary)


def _directives(head: Head) -> dict[str, str]:
    """Those of the most special header that there is."""
    for name in ("cloudflare-cdn-cache-control", "cdn-cache-control", "cache-control"):
        text = head.get(name)
        if text is not None:
            return dict(directives(text))
    return {}


def directives(text: str) -> Iterator[tuple[str, str]]:
    """Names in lower case and values of Cache-Control; what cannot be read is passed over."""
    at = 0
    while at < len(text):
        match = _DIRECTIVE.match(text, at)
        if match is None:
            comma = text.find(",", at)
            if comma < 0:
                return
            at = comma + 1
            continue
        at = match.end()
        yield match[1].lower(), (match[2] if match[2] is not None else match[3] or "").strip()


def _fields(said: dict[str, str], name: str) -> set[str]:
    """The headers that `private=…` or `no-cache=…` names, in lower case."""
    return {field.strip().lower() for field in said.get(name, "").split(",")} - {""}


def _lifetime(head: Head, said: dict[str, str], now: float) -> float:
    for name in ("s-maxage", "max-age"):
        if name in said:
            return _seconds(said[name])
    expires = head.get("expires")
    if expires is not None:
        until = http_date(expires)
        written = http_date(head.get("date") or "")
        return 0 if until is None else until - (now if written is None else written)
    if head.status not in EDGE_TTL:
        raise Uncacheable(f"a response of status {head.status} must say how long it is fresh")
    return EDGE_TTL[head.status]


def _seconds(text: str) -> int:
    """A number of seconds; 0, that is stale, for what is none."""
    if not (text.isascii() and text.isdigit()):
        return 0
    return FOREVER if len(text) > 9 else int(text)


def http_date(text: str) -> float | None:
    """Unix time of an HTTP date; None for what is none."""
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
