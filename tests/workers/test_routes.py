"""Which route pattern a public request belongs to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.errors import ProjectError
from skerry.workers.project import Route
from skerry.workers.routes import Pattern, RouteTable


def table(*patterns: str) -> RouteTable[str]:
    return RouteTable((Route(pattern=pattern), pattern) for pattern in patterns)


@pytest.mark.parametrize(
    ("pattern", "host", "target", "matches"),
    [
        ("example.com/*", "example.com", "/", True),
        ("example.com/*", "EXAMPLE.com:8787", "/a/b?c=d", True),
        ("example.com/*", "example.com.", "/a", True),
        ("example.com/*", "www.example.com", "/", False),
        ("example.com", "example.com", "/", True),
        ("example.com/", "example.com", "/", True),
        ("example.com", "example.com", "/a", False),
        ("example.com*", "example.com", "/a", False),
        ("*.example.com/*", "www.example.com", "/", True),
        ("*.example.com/*", "a.b.example.com", "/", True),
        ("*.example.com/*", "example.com", "/", False),
        ("*example.com/*", "example.com", "/", True),
        ("*example.com/*", "www.example.com", "/", True),
        ("*/*", "anything.test", "/x", True),
        ("*", "anything.test", "/", True),
        ("example.com/a", "example.com", "/a", True),
        ("example.com/a", "example.com", "/a?b", False),
        ("example.com/a", "example.com", "/A", False),
        ("example.com/a*", "example.com", "/ab?c", True),
        ("https://example.com/*", "example.com", "/", False),
        ("http://example.com/*", "example.com", "/", True),
        ("*://example.com/*", "example.com", "/", True),
        ("example.com:81/*", "example.com:81", "/", True),
        ("example.com:81/*", "example.com:82", "/", False),
        ("[::1]/*", "[::1]:8787", "/", True),
        ("b\u00fccher.de/*", "xn--bcher-kva.de", "/", True),
    ],
)
def test_what_a_pattern_matches(pattern: str, host: str, target: str, matches: bool) -> None:
    if pattern == "example.com*":
        with pytest.raises(ProjectError):
            table(pattern)
        return
    assert (table(pattern).match(host, target) is not None) == matches


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("", "query"),
        ("/*", "no host"),
        ("example.com/?a=1", "a query"),
        ("example.com/a#b", "a query or a #"),
        ("a.*.com/*", "only at the start"),
        ("example.com/*/a", "only at the end"),
        ("example.com/**", "only at the end"),
        ("user@example.com/*", "no host"),
        ("exam ple.com/*", "no host"),
        ("ftp://example.com/*", "no host"),
    ],
)
def test_what_is_no_pattern(pattern: str, words: str) -> None:
    with pytest.raises(ProjectError, match=words.replace("*", r"\*")):
        table(pattern)


def test_the_most_specific_pattern_wins() -> None:
    order = [
        "www.example.com/a/b",
        "https://www.example.com/a/*",
        "www.example.com/a/*",
        "www.example.com/*",
        "*.example.com/a/b",
        "*.example.com/*",
        "*example.com/*",
        "*/*",
    ]
    for routes in (order, order[::-1]):
        found = table(*routes)
        assert found.match("www.example.com", "/a/b", "https") == "www.example.com/a/b"
        assert found.match("www.example.com", "/a/c", "https") == "https://www.example.com/a/*"
        assert found.match("www.example.com", "/a/c") == "www.example.com/a/*"
        assert found.match("www.example.com", "/b") == "www.example.com/*"
        assert found.match("x.example.com", "/a/b") == "*.example.com/a/b"
        assert found.match("x.example.com", "/c") == "*.example.com/*"
        assert found.match("example.com", "/c") == "*example.com/*"
        assert found.match("other.test", "/c") == "*/*"


def test_a_custom_domain_has_every_path_of_its_host() -> None:
    routes: RouteTable[str] = RouteTable(
        [
            (Route(pattern="shop.test", custom_domain=True), "shop"),
            (Route(pattern="shop.test/api/*"), "api"),
        ]
    )
    assert routes.match("shop.test", "/x?y") == "shop"
    assert routes.match("shop.test", "/api/x") == "api"
    assert routes.match("www.shop.test", "/") is None
    for pattern in ("*.shop.test", "shop.test/path"):
        with pytest.raises(ProjectError, match="must be a host"):
            Pattern.read(Route(pattern=pattern, custom_domain=True))


def test_of_equal_patterns_the_first_counts() -> None:
    routes = RouteTable([(Route(pattern="a.test/*"), 1), (Route(pattern="A.TEST/*"), 2)])
    assert routes.match("a.test", "/") == 1


labels = st.sampled_from(["a", "b", "www", "example"])
hosts = st.lists(labels, min_size=1, max_size=3).map(".".join)
paths = st.lists(st.sampled_from(["a", "b", "ab", ""]), max_size=3).map(
    lambda it: "/" + "/".join(it)
)
patterns = st.tuples(
    st.sampled_from(["", "*", "*."]), hosts, paths, st.sampled_from(["", "*"])
).map("".join)


def by_definition(pattern: str, host: str, target: str) -> bool:
    """Held against the whole, each `*` any characters."""
    start, at, end = 0, pattern.index("/"), len(pattern)
    for part, value in ((pattern[start:at], host), (pattern[at:end], target)):
        if part.startswith("*"):
            fits = value.endswith(part[1:])
        elif part.endswith("*"):
            fits = value.startswith(part[:-1])
        else:
            fits = value == part
        if not fits:
            return False
    return True


@given(st.lists(patterns, max_size=5), hosts, paths)
def test_a_match_is_a_match_and_none_is_missed(each: list[str], host: str, target: str) -> None:
    winner = table(*each).match(host, target)
    fitting = [pattern for pattern in each if by_definition(pattern, host, target)]
    if winner is None:
        assert fitting == []
    else:
        assert winner in fitting
        heaviest = Pattern.read(Route(pattern=winner)).weight
        assert all(Pattern.read(Route(pattern=other)).weight <= heaviest for other in fitting)
        assert table(*reversed(each)).match(host, target) in fitting


@given(st.text(max_size=30), st.text(max_size=30), st.text(max_size=30))
def test_no_text_breaks_it(pattern: str, host: str, target: str) -> None:
    try:
        found = table(pattern)
    except ProjectError:
        return
    found.match(host, target)
