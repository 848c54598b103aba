"""What a folder of static files answers to a request. No HTTP server: values in, values out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import msgspec

from skerry.workers.assets.folder import Folder
from skerry.workers.assets.pages import Redirect, Serve, page
from skerry.workers.assets.rules import (
    HeaderRule,
    RedirectRule,
    filled,
    parse_headers,
    parse_redirects,
)
from skerry.workers.diagnostics import Diagnostic
from skerry.workers.project import Assets

REVALIDATE = "public, max-age=0, must-revalidate"
NAVIGATION_DATE = "2025-04-01"
"""From this compatibility date on a browser's navigation prefers the not-found page."""


class AssetRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request: path as it came, still percent-encoded; query without its ?; names in small
    letters in `headers`."""

    path: str
    method: str = "GET"
    host: str = "localhost"
    query: str = ""
    headers: Mapping[str, str] = {}


class AssetAnswer(msgspec.Struct, frozen=True):
    """The answer; `path`: the file that is its body, else the body is empty."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    path: Path | None = None


class StaticSite:
    """One assets folder with its settings. Reads the disk: call its methods from a thread.

    Files may come, change and go; `_headers`, `_redirects` and `.assetsignore` are read once.
    """

    def __init__(
        self, assets: Assets, *, has_worker: bool = True, compatibility_date: str = NAVIGATION_DATE
    ) -> None:
        self.assets = assets
        self._folder = Folder(assets.directory)
        self._has_worker = has_worker
        self._navigates = compatibility_date >= NAVIGATION_DATE
        headers = self._folder.text("_headers") or ""
        redirects = self._folder.text("_redirects") or ""
        self._headers, odd_headers = parse_headers(headers, assets.directory / "_headers")
        self._redirects, odd_redirects = parse_redirects(
            redirects, assets.directory / "_redirects", assets.html_handling
        )
        self.diagnostics: tuple[Diagnostic, ...] = (*odd_headers, *odd_redirects)
        first = assets.run_worker_first
        rules = first if isinstance(first, tuple) else ()
        self._to_worker = [_glob(rule) for rule in rules if not rule.startswith("!")]
        self._to_assets = [_glob(rule[1:]) for rule in rules if rule.startswith("!")]

    def public(self, request: AssetRequest) -> AssetAnswer | None:
        """The answer to a public request; None: it is the worker's, which has what no file has."""
        if not self._has_worker or _any(self._to_assets, request.path):
            return self.answer(request)
        if self.assets.run_worker_first is True or _any(self._to_worker, request.path):
            return None
        navigates = self._navigates and request.headers.get("sec-fetch-mode") == "navigate"
        found = self._found(request, not_found=navigates)
        return None if found is None else self._with_rules(request, found)

    def answer(self, request: AssetRequest) -> AssetAnswer:
        """The answer to any request; 404 where nothing is there."""
        found = self._found(request, not_found=True)
        return self._with_rules(request, found or AssetAnswer(404))

    def _found(self, request: AssetRequest, *, not_found: bool) -> AssetAnswer | None:
        path = request.path
        rule, values = self._redirect(request)
        if rule is not None and rule.status != 200:
            return _redirected(request, filled(rule.to, values), rule.status)
        if rule is not None:
            path = urlsplit(re.sub("/+", "/", filled(rule.to, values))).path
        decoded = re.sub("/+", "/", "/".join(unquote_part(part) for part in path.split("/")))
        found = page(decoded, self.assets.html_handling, self._folder.find)
        status = 200
        if found is None and not_found:
            status, file = self._not_found(decoded)
            found = Serve(file) if file is not None else None
        if found is None:
            return AssetAnswer(404) if rule is not None else None
        if request.method not in ("GET", "HEAD"):
            return AssetAnswer(405, (("allow", "GET, HEAD"),))
        canonical = quote(found.to if isinstance(found, Redirect) else decoded, safe="/!~*'()")
        if isinstance(found, Redirect) or canonical != path:
            query = f"?{request.query}" if request.query else ""
            return AssetAnswer(307, (("location", canonical + query),))
        return self._file(request, found.file, status)

    def _redirect(self, request: AssetRequest) -> tuple[RedirectRule | None, dict[str, str]]:
        """The first rule that matches; static ones stand first."""
        for rule in self._redirects:
            values = rule.pattern.match(request.host, request.path)
            if values is not None:
                return rule, values
        return None, {}

    def _not_found(self, path: str) -> tuple[int, Path | None]:
        if self.assets.not_found_handling == "single-page-application":
            return 200, self._folder.find("/index.html")
        if self.assets.not_found_handling == "404-page":
            while path:
                path = path.rpartition("/")[0]
                file = self._folder.find(f"{path}/404.html")
                if file is not None:
                    return 404, file
        return 404, None

    def _file(self, request: AssetRequest, file: Path, status: int) -> AssetAnswer | None:
        try:
            etag = f'"{self._folder.etag(file)}"'
        except OSError:  # it went just now, or may not be read
            return None
        headers = [("etag", etag)]
        kind = self._folder.content_type(file)
        if kind is not None:
            headers.append(("content-type", kind))
        if "authorization" not in request.headers and "range" not in request.headers:
            headers.append(("cache-control", REVALIDATE))
        if status == 200 and _matches(request.headers.get("if-none-match", ""), etag):
            return AssetAnswer(304, tuple(headers))
        return AssetAnswer(status, tuple(headers), file)

    def _with_rules(self, request: AssetRequest, answer: AssetAnswer) -> AssetAnswer:
        """The answer with what `_headers` says: in order, later values of a name joined."""
        headers = dict(answer.headers)
        own: set[str] = set()
        for rule in self._headers:
            values = rule.pattern.match(request.host, request.path)
            if values is not None:
                _apply(rule, values, headers, own)
        return AssetAnswer(answer.status, tuple(headers.items()), answer.path)


def _apply(
    rule: HeaderRule, values: Mapping[str, str], headers: dict[str, str], own: set[str]
) -> None:
    for name in rule.unset:
        headers.pop(name, None)
    for name, text in rule.set:
        value = re.sub(r"[\r\n\0]", "", filled(text, values))
        headers[name] = f"{headers[name]}, {value}" if name in own and name in headers else value
        own.add(name)


def _redirected(request: AssetRequest, to: str, status: int) -> AssetAnswer:
    """A redirect that keeps the request's query where the rule has none.

    A path has no double slash, which a browser would take for another host.
    """
    if not to.startswith("https://"):
        to = re.sub("/+", "/", to)
    parts = urlsplit(re.sub(r"[\r\n\0\\]", "", to))
    return AssetAnswer(
        status, (("location", parts._replace(query=parts.query or request.query).geturl()),)
    )


def unquote_part(part: str) -> str:
    """A path segment decoded; as it is where it is no UTF-8."""
    try:
        return unquote(part, errors="strict")
    except UnicodeDecodeError:
        return part


def _matches(if_none_match: str, etag: str) -> bool:
    """Weak comparison, as RFC 9110 has it for If-None-Match."""
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return "*" in tags or etag in tags


def _any(rules: Iterable[re.Pattern[str]], path: str) -> bool:
    return any(rule.fullmatch(path) for rule in rules)


def _glob(rule: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in rule.split("*")), re.DOTALL)
