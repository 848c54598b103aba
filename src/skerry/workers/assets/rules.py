"""`_headers` and `_redirects`: parsed as Cloudflare documents them, and matched.

A path may have one `*` (called :splat in what follows) and :names, each one path segment.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import quote

import msgspec

from skerry.workers.diagnostics import Diagnostic
from skerry.workers.project import HtmlHandling

LONGEST_LINE = 2000
MOST_HEADER_RULES = 100
MOST_STATIC_REDIRECTS = 2000
MOST_DYNAMIC_REDIRECTS = 100
FRAMING = ("connection", "content-encoding", "content-length", "transfer-encoding", "upgrade")
"""Headers that say how the body is sent: not a file's to set."""
STATUSES = (200, 301, 302, 303, 307, 308)

_NAME = re.compile(r":([A-Za-z]\w*)", re.ASCII)
_ABSOLUTE = re.compile(r"https://+([^/]+)/?(.*)")
_TO_INDEX = re.compile(r"/index(\.html)?$")
_SAFE = "/:*?#[]@!$&'()+,;=%~"


class Pattern:
    """A path, or `https://host/path`, with `*` and `:names`."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.has_host = text.startswith("https://")
        self.is_static = "*" not in text and not _NAME.search(text)
        start = text.find("/", 8) if self.has_host else 0
        host, path = text[:start], text[start:]
        self._pattern = re.compile(_regex(host, "[^/.]+") + _regex(path, "[^/]+"), re.DOTALL)

    def match(self, host: str, path: str) -> dict[str, str] | None:
        """The values of `*` and the names; None: another path."""
        found = self._pattern.fullmatch(f"https://{host}{path}" if self.has_host else path)
        return found.groupdict() if found else None


def _regex(text: str, name: str) -> str:
    """The regular expression for a part of a pattern. Raises re.error where a name stands twice."""
    out = ""
    at = 0
    for found in re.finditer(r"\*|:[A-Za-z]\w*", text, re.ASCII):
        out += re.escape(text[at : found.start()])
        out += "(?P<splat>.*)" if found[0] == "*" else f"(?P<{found[0][1:]}>{name})"
        at = found.end()
    return out + re.escape(text[at:])


def filled(text: str, values: Mapping[str, str]) -> str:
    """The text with `:name` replaced by its value; a name that is not known stays."""
    return _NAME.sub(lambda found: values.get(found[1], found[0]), text)


class HeaderRule(msgspec.Struct, frozen=True):
    """Headers to set, and to take away, for the paths that match."""

    pattern: Pattern
    set: tuple[tuple[str, str], ...]
    unset: tuple[str, ...]


class RedirectRule(msgspec.Struct, frozen=True):
    """Where a path leads; status 200: another file of the folder answers."""

    pattern: Pattern
    to: str
    status: int
    line: int


class _Reader:
    """The lines of a settings file that say something, and what was wrong with others."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.diagnostics: list[Diagnostic] = []

    def odd(self, line: int, message: str) -> None:
        text = f"{message}; this line is left out"
        self.diagnostics.append(Diagnostic("warning", text, self.file, line, 1))

    def lines(self, text: str) -> Iterable[tuple[int, str]]:
        for number, raw in enumerate(text.splitlines(), 1):
            line = raw.strip()
            if len(line) > LONGEST_LINE:
                self.odd(number, f"a line has at most {LONGEST_LINE} characters")
            elif line and not line.startswith("#"):
                yield number, line

    def pattern(self, line: int, text: str) -> Pattern | None:
        """The pattern, percent-encoded as the paths of requests are."""
        absolute = _ABSOLUTE.match(text)
        if absolute and re.search(r":\d+$", absolute[1]):
            self.odd(line, "a port has no place in a rule")
            return None
        if absolute:
            text = f"https://{absolute[1]}/{absolute[2]}"
        elif not text.startswith("/"):
            self.odd(line, "a rule starts with / or https://")
            return None
        try:
            return Pattern(quote(text, safe=_SAFE))
        except re.error:
            self.odd(line, "a rule has one * and no name twice")
            return None


def parse_headers(text: str, file: Path) -> tuple[list[HeaderRule], list[Diagnostic]]:
    """The rules of a `_headers` file and what is wrong in it."""
    reader = _Reader(file)
    rules: list[HeaderRule] = []
    blocks: list[tuple[int, Pattern | None, dict[str, str], list[str]]] = []
    for number, line in reader.lines(text):
        if re.match(r"\S+://|/", line):
            blocks.append((number, reader.pattern(number, line), {}, []))
            continue
        if not blocks:
            reader.odd(number, "a path comes before its headers")
            continue
        _, _, headers, unset = blocks[-1]
        name, colon, value = line.partition(":")
        name, value = name.strip().lower(), value.strip()
        if not colon and line.startswith("! "):
            unset.append(line[2:].strip().lower())
        elif not colon or not re.fullmatch(r"[!#$%&'*+.^_`|~0-9a-z-]+", name) or not value:
            reader.odd(number, "a header is `Name: value`, or `! Name` to take one away")
        elif name in FRAMING:
            reader.odd(number, f"{name} is the server's to set")
        else:
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
    for number, pattern, headers, unset in blocks:
        if pattern is None:
            continue
        if not headers and not unset:
            reader.odd(number, "no headers follow this path")
        elif len(rules) >= MOST_HEADER_RULES:
            reader.odd(number, f"there are at most {MOST_HEADER_RULES} rules")
        else:
            rules.append(HeaderRule(pattern, tuple(headers.items()), tuple(unset)))
    return rules, reader.diagnostics


def parse_redirects(
    text: str, file: Path, html_handling: HtmlHandling
) -> tuple[list[RedirectRule], list[Diagnostic]]:
    """The rules of a `_redirects` file, static ones first, and what is wrong in it."""
    reader = _Reader(file)
    static: dict[str, RedirectRule] = {}
    dynamic: dict[str, RedirectRule] = {}
    for number, line in reader.lines(text):
        rule = _redirect(reader, number, re.sub(r"\s+#.*$", "", line).split(), html_handling)
        if rule is None:
            continue
        # once a dynamic rule has come, all that follow keep their order behind it
        kind = static if rule.pattern.is_static and not dynamic else dynamic
        most = MOST_STATIC_REDIRECTS if kind is static else MOST_DYNAMIC_REDIRECTS
        if rule.pattern.text in static or rule.pattern.text in dynamic:
            reader.odd(number, f"{rule.pattern.text} has a rule already")
        elif len(kind) >= most:
            reader.odd(number, f"there are at most {most} rules of this kind")
        else:
            kind[rule.pattern.text] = rule
    return [*static.values(), *dynamic.values()], reader.diagnostics


def _redirect(
    reader: _Reader, line: int, words: list[str], html_handling: HtmlHandling
) -> RedirectRule | None:
    if len(words) not in (2, 3):
        reader.odd(line, "a redirect is FROM TO, or FROM TO STATUS")
        return None
    source, to = words[:2]
    if not words[2:]:
        status = 302
    elif re.fullmatch("[0-9]{3}", words[2]) and int(words[2]) in STATUSES:
        status = int(words[2])
    else:
        reader.odd(line, f"the status is one of {', '.join(map(str, STATUSES))}")
        return None
    if "://" in source:
        reader.odd(line, "a redirect is from a path, without a host")
        return None
    pattern = reader.pattern(line, source if source.startswith("/") else f"/{source}")
    if pattern is None:
        return None
    if not to.startswith("/") and not _ABSOLUTE.match(to):
        reader.odd(line, "a redirect leads to a path or to https://")
        return None
    own = to.startswith("/")
    loops = source.endswith("/*") or (source.endswith("/") and html_handling != "none")
    if own and loops and _TO_INDEX.search(to):
        reader.odd(line, "this would redirect to itself for ever")
        return None
    if status == 200 and not own:
        reader.odd(line, "with status 200 a rule leads to a path of this site")
        return None
    return RedirectRule(pattern, quote(to, safe=_SAFE), status, line)
