"""The Cache API's pure rules: messages, what is kept and how long, what a match answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from skerry.storage.cache.answer import answer
from skerry.storage.cache.base import HEAD_BYTES, Head, Headers, Uncacheable
from skerry.storage.cache.message import parse_head, split
from skerry.storage.cache.rules import directives, keep

NOW = 1_800_000_000.0


def head(status: int = 200, **headers: str) -> Head:
    return Head(status, "", [(name.replace("_", "-"), text) for name, text in headers.items()])


def seconds(response: Head, **request: str) -> float | None:
    asked = CIMultiDict({name.replace("_", "-"): text for name, text in request.items()})
    try:
        return keep(asked, response, NOW).seconds
    except Uncacheable:
        return None


def date(offset: float) -> str:
    return formatdate(NOW + offset, usegmt=True)


@pytest.mark.parametrize(
    ("response", "wanted"),
    [
        (head(cache_control="max-age=60"), 60),
        (head(cache_control="Max-Age=60, Public"), 60),
        (head(cache_control='max-age="60"'), 60),
        (head(cache_control="max-age=60, s-maxage=5"), 5),
        (head(cache_control="max-age=0, s-maxage=5"), 5),
        (head(cache_control="max-age=60", cdn_cache_control="max-age=7"), 7),
        (head(cache_control="max-age=60", expires=date(5)), 60),
        (head(cache_control="max-age=60", age="20"), 40),
        (head(cache_control="max-age=99999999999"), 1 << 31),
        (head(cache_control="public", expires=date(30)), 30),
        (head(expires=date(30), date=date(10)), 20),
        (head(), 7200),
        (head(301), 7200),
        (head(302), 1200),
        (head(404), 180),
        (head(500, cache_control="max-age=9"), 9),
        (head(cache_control="private=set-cookie, max-age=60", set_cookie="a=b"), 60),
        (head(cache_control='no-cache="set-cookie", max-age=60', set_cookie="a=b"), 60),
        (head(500), None),
        (head(206, cache_control="max-age=60"), None),
        (head(cache_control="no-store, max-age=60"), None),
        (head(cache_control="private, max-age=60"), None),
        (head(cache_control="no-cache, max-age=60"), None),
        (head(cache_control="max-age=0"), None),
        (head(cache_control="max-age=60", age="60"), None),
        (head(cache_control="max-age=soon"), None),
        (head(cache_control="max-age"), None),
        (head(cache_control="max-age=-5"), None),
        (head(expires="0"), None),
        (head(expires=date(-1)), None),
        (head(cache_control="max-age=60", set_cookie="a=b"), None),
        (head(cache_control="private=x-other, max-age=60", set_cookie="a=b"), None),
        (head(cache_control="max-age=60", vary="accept, *"), None),
    ],
)
def test_how_long_a_response_is_kept(response: Head, wanted: float | None) -> None:
    assert seconds(response) == wanted


def test_an_answer_to_authorization_must_be_public() -> None:
    assert seconds(head(cache_control="max-age=60"), authorization="Bearer x") is None
    for word in ("public", "must-revalidate", "s-maxage=60"):
        assert seconds(head(cache_control=f"{word}, max-age=60"), authorization="x") == 60


def test_what_is_not_kept_of_a_response() -> None:
    made = head(
        cache_control="private=set-cookie, max-age=60",
        set_cookie="a=b",
        connection="close",
        transfer_encoding="chunked",
        content_length="4",
        age="3",
        vary="B, a",
        etag='"e"',
    )
    kept = keep(CIMultiDict(), made, NOW)
    assert [name for name, _ in kept.head.headers] == ["cache-control", "vary", "etag"]
    assert (kept.vary, kept.age) == (["a", "b"], 3)


@given(st.text(alphabet='a=", \\1-', max_size=30) | st.text(max_size=30))
def test_any_cache_control_is_read(text: str) -> None:
    for name, _ in directives(text):
        assert name
        assert "," not in name


names = st.text(alphabet="abcXYZ09-_!", min_size=1, max_size=8)
values = st.text(
    alphabet=st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=12
).map(lambda text: text.strip(" \t"))


@given(
    st.integers(100, 999),
    values,
    st.lists(st.tuples(names, values), max_size=6),
    st.binary(max_size=60),
    st.lists(st.integers(0, 200), max_size=5),
)
async def test_a_message_is_read_however_it_is_cut(
    status: int, reason: str, headers: Headers, body: bytes, cuts: list[int]
) -> None:
    lines = [f"HTTP/1.1 {status} {reason}", *[f"{name}: {text}" for name, text in headers]]
    data = "\r\n".join([*lines, "", ""]).encode() + body

    async def pieces() -> AsyncIterator[bytes]:
        ends = [*sorted(cuts), len(data)]
        for begin, end in zip([0, *ends], ends, strict=False):
            yield data[begin:end]

    found, rest = await split(pieces())
    assert found == Head(status, reason, headers)
    assert b"".join([piece async for piece in rest]) == body


@given(st.binary(max_size=60))
def test_what_is_no_message_is_refused(data: bytes) -> None:
    try:
        found = parse_head(data)
    except Uncacheable:
        return
    assert data.startswith(b"HTTP/1.")
    assert 100 <= found.status <= 999


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"HTTP/1.1 200 OK",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\nX: y\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n: empty\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX : y\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n X: folded\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\nSet-Cookie: b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * HEAD_BYTES,
    ],
)
async def test_broken_messages(data: bytes) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield data

    with pytest.raises(Uncacheable):
        await split(pieces())


DATE = "Tue, 15 Nov 1994 12:45:26 GMT"
KEPT = head(etag='"e"', last_modified=DATE, content_type="x/y")


@pytest.mark.parametrize(
    ("request_headers", "status", "part"),
    [
        ({}, 200, (0, 10)),
        ({"If-None-Match": '"e"'}, 304, (0, 0)),
        ({"If-None-Match": 'W/"e"'}, 304, (0, 0)),
        ({"If-None-Match": '"x", "e"'}, 304, (0, 0)),
        ({"If-None-Match": "*"}, 304, (0, 0)),
        ({"If-None-Match": '"x"'}, 200, (0, 10)),
        ({"If-None-Match": "e"}, 200, (0, 10)),
        ({"If-Modified-Since": DATE}, 304, (0, 0)),
        ({"If-Modified-Since": "Tue, 15 Nov 1994 12:45:25 GMT"}, 200, (0, 10)),
        ({"If-Modified-Since": "never"}, 200, (0, 10)),
        ({"If-None-Match": '"x"', "If-Modified-Since": DATE}, 200, (0, 10)),
        ({"Range": "bytes=2-4"}, 206, (2, 3)),
        ({"Range": "bytes=2-"}, 206, (2, 8)),
        ({"Range": "bytes=-3"}, 206, (7, 3)),
        ({"Range": "bytes=-30"}, 206, (0, 10)),
        ({"Range": "bytes=5-99"}, 206, (5, 5)),
        ({"Range": "bytes=10-"}, 416, (0, 0)),
        ({"Range": "bytes=-0"}, 416, (0, 0)),
        ({"Range": "bytes=4-2"}, 200, (0, 10)),
        ({"Range": "bytes=0-1,4-5"}, 200, (0, 10)),
        ({"Range": "bytes=-"}, 200, (0, 10)),
        ({"Range": "bytes=2-4", "If-Range": '"e"'}, 206, (2, 3)),
        ({"Range": "bytes=2-4", "If-Range": DATE}, 206, (2, 3)),
        ({"Range": "bytes=2-4", "If-Range": '"x"'}, 200, (0, 10)),
        ({"Range": "bytes=2-4", "If-None-Match": '"e"'}, 304, (0, 0)),
    ],
)
def test_what_a_match_answers(
    request_headers: dict[str, str], status: int, part: tuple[int, int]
) -> None:
    got = answer(CIMultiDict(request_headers), KEPT, 10)
    assert (got.head.status, (got.offset, got.length)) == (status, part)
    if status == 206:
        end = part[0] + part[1] - 1
        assert got.head.get("content-range") == f"bytes {part[0]}-{end}/10"
    if status == 416:
        assert got.head.get("content-range") == "bytes */10"


def test_only_a_200_is_cut_or_not_modified() -> None:
    asked = CIMultiDict({"Range": "bytes=0-1", "If-None-Match": "*"})
    kept = head(404, etag='"e"')
    assert answer(asked, kept, 10).head is kept
