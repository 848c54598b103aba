"""Which worker answers a public request: route patterns as Cloudflare documents them.

`example.com/*`, `*.example.com/api/*`, `https://example.com/one`: a `*` may stand at the start of
the host and at the end of the path, nowhere else. A pattern is held against the whole URL, its
query included, so `example.com/a` does not match `/a?b=1` and `example.com/a*` does. The most
specific pattern wins: a whole host before a `*`, then the longer host, then a whole path before a
`*`, then the longer path. A custom domain has every path of its host.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Generic, TypeVar

import msgspec

from skerry.errors import ProjectError
from skerry.workers.project import Route

T = TypeVar("T")

_PATTERN = re.compile(r"(?:(https?|\*)://)?([^/?#]*)([^?#]*)", re.IGNORECASE)
_HOST = re.compile(r"[^\s/\\@:*]+(?::[0-9]+)?|\[[0-9a-f:.]+\]")


class Pattern(msgspec.Struct, frozen=True):
    """A route pattern. host, path: what stands beside the `*`; scheme "": any."""

    scheme: str
    any_start: bool
    host: str
    path: str
    any_end: bool

    @classmethod
    def read(cls, route: Route) -> Pattern:
        """The pattern of a route. Raises ProjectError saying what it must be."""
        text = route.pattern.strip()
        found = _PATTERN.fullmatch(text)
        if found is None or not text:
            raise ProjectError(f"the route {text!r} has a query or a #: end it with * instead")
        scheme, host, path = (found[1] or "").lower(), _plain(found[2]), found[3]
        any_start = host.startswith("*")
        host = host.removeprefix("*")
        if "*" in host:
            raise ProjectError(f"the route {text!r}: in the host a * stands only at the start")
        if (host or not any_start) and not _HOST.fullmatch(host.removeprefix(".")):
            raise ProjectError(f"the route {text!r} has no host: example.com/* is one")
        if route.custom_domain:
            if any_start or path.strip("/"):
                raise ProjectError(f"the custom domain {text!r} must be a host, without * or path")
            return cls(scheme="", any_start=False, host=host, path="/", any_end=True)
        any_end = path.endswith("*")
        path = path.removesuffix("*") or ("" if any_end else "/")
        if "*" in path:
            raise ProjectError(f"the route {text!r}: in the path a * stands only at the end")
        return cls("" if scheme == "*" else scheme, any_start, host, path, any_end)

    def matches(self, scheme: str, host: str, target: str) -> bool:
        """host: in small letters; target: path and query."""
        if self.scheme and self.scheme != scheme:
            return False
        if not (host.endswith(self.host) if self.any_start else host == self.host):
            return False
        return target.startswith(self.path) if self.any_end else target == self.path

    @property
    def weight(self) -> tuple[bool, int, bool, int, bool]:
        """The heavier of two patterns is the more specific one."""
        return (
            not self.any_start,
            len(self.host),
            not self.any_end,
            len(self.path),
            bool(self.scheme),
        )


class RouteTable(Generic[T]):
    """Routes and whose they are."""

    def __init__(self, routes: Iterable[tuple[Route, T]]) -> None:
        """Raises ProjectError for a pattern that is none; of two equal ones the first counts."""
        patterns = [(Pattern.read(route), owner) for route, owner in routes]
        self._patterns = sorted(patterns, key=lambda each: each[0].weight, reverse=True)

    def match(self, host: str, target: str, scheme: str = "http") -> T | None:
        """Whose a request is, if anybody's. host: as its header has it; target: path and query."""
        plain = _plain(host)
        bare = plain if plain.endswith("]") else plain.rpartition(":")[0] or plain
        if not target.startswith("/"):
            target = f"/{target}"
        for pattern, owner in self._patterns:
            with_port = ":" in pattern.host and not pattern.host.endswith("]")
            if pattern.matches(scheme, plain if with_port else bare, target):
                return owner
        return None


def _plain(host: str) -> str:
    """A host as it is compared: small letters, no dot at the end, names in their ASCII form."""
    host = host.strip().lower().removesuffix(".")
    if host.isascii():
        return host
    try:
        return ".".join(
            part if part.isascii() else part.encode("idna").decode() for part in host.split(".")
        )
    except UnicodeError:  # no name that DNS could have: it matches nothing but itself
        return host
