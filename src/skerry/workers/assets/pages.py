"""html_handling: at which path an HTML file is served, and which other paths lead there.

Each mode is a list of steps for a path: serve a file, or redirect to another path if that path
would serve this file. The first step that holds decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from skerry.workers.project import HtmlHandling


class Step(msgspec.Struct, frozen=True):
    """Serve the file at the path `file`; or, with `to`, redirect there because of that file."""

    file: str
    to: str | None = None


class Serve(msgspec.Struct, frozen=True):
    """This file answers."""

    file: Path


class Redirect(msgspec.Struct, frozen=True):
    """The page is at another path, not yet encoded."""

    to: str


Find = Callable[[str], Path | None]


def page(path: str, mode: HtmlHandling, find: Find) -> Serve | Redirect | None:
    """What a decoded path gives; None: nothing is there."""
    for step in _steps(path, mode):
        if step.to is None:
            file = find(step.file)
            if file is not None:
                return Serve(file)
        elif _leads(step, mode, find):
            return Redirect(step.to)
    return None


def _leads(step: Step, mode: HtmlHandling, find: Find) -> bool:
    """Whether the path redirected to serves just this file: so no redirect ends in a 404."""
    assert step.to is not None
    file = find(step.file)
    if file is None or find(step.to) is not None:
        return False
    for other in _steps(step.to, mode):
        if other.to is None:
            served = find(other.file)
            if served is not None:
                return served == file
    return False


def _steps(path: str, mode: HtmlHandling) -> Iterator[Step]:
    if mode == "none":
        yield Step(path)
    elif mode == "auto-trailing-slash":
        yield from _auto(path)
    elif mode == "force-trailing-slash":
        yield from _force(path)
    else:
        yield from _drop(path)


def _auto(path: str) -> Iterator[Step]:
    """/foo.html is at /foo, /foo/index.html at /foo/."""
    if path.endswith(("/index", "/index.html")):
        base = path.removesuffix(".html").removesuffix("/index")
        if path.endswith("/index"):
            yield Step(path)
        yield Step(f"{base}/index.html", f"{base}/")
        yield Step(f"{base}.html", base)
    elif path.endswith("/"):
        yield Step(f"{path}index.html")
        yield Step(f"{path[:-1]}.html", path[:-1])
    elif path.endswith(".html"):
        base = path.removesuffix(".html")
        yield Step(path, base)
        yield Step(f"{base}/index.html", f"{base}/")
    yield Step(path)
    yield Step(f"{path}.html")
    yield Step(f"{path}/index.html", f"{path}/")


def _force(path: str) -> Iterator[Step]:
    """Both are at /foo/."""
    if path.endswith(("/index", "/index.html")):
        base = path.removesuffix(".html").removesuffix("/index")
        if path.endswith("/index"):
            yield Step(path)
        yield Step(f"{base}/index.html", f"{base}/")
        yield Step(f"{base}.html", f"{base}/")
    elif path.endswith("/"):
        yield Step(f"{path}index.html")
        yield Step(f"{path[:-1]}.html")
    elif path.endswith(".html"):
        base = path.removesuffix(".html")
        yield Step(path, f"{base}/")
        yield Step(path)
        yield Step(f"{base}/index.html", f"{base}/")
    yield Step(path)
    yield Step(f"{path}.html", f"{path}/")
    yield Step(f"{path}/index.html", f"{path}/")


def _drop(path: str) -> Iterator[Step]:
    """Both are at /foo; the root stays /."""
    if path.endswith("/index"):
        base = path.removesuffix("/index")
        yield Step(path)
        if base:
            yield Step(f"{base}.html", base)
        yield Step(f"{base}/index.html", base or "/")
    elif path.endswith("/index.html"):
        base = path.removesuffix("/index.html")
        yield Step(path, base or "/")
        if base:
            yield Step(path)
            yield Step(f"{base}.html", base)
    elif path == "/":
        yield Step("/index.html")
    elif path.endswith("/"):
        yield Step(f"{path[:-1]}.html", path[:-1])
        yield Step(f"{path}index.html", path[:-1])
    elif path.endswith(".html"):
        base = path.removesuffix(".html")
        yield Step(path, base)
        yield Step(f"{base}/index.html", base)
    yield Step(path)
    yield Step(f"{path}.html")
    yield Step(f"{path}/index.html")
