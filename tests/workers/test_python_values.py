"""The parsers and values of the runtime of Python workers, in this process."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import skerry.workers.python

sys.path.append(str(Path(skerry.workers.python.__file__).parent / "runtime"))

from _skerry import logs
from _skerry.bindings.r2_objects import condition, http_fields, range_of
from _skerry.blobs import Blob, File
from _skerry.forms import FormData, URLSearchParams, parse_form
from _skerry.handlers import fitting
from _skerry.headers import Headers, JsHeaders
from _skerry.messages import Request, Response
from _skerry.streams import ReadableStream, TransformStream
from _skerry.values import Date, Result, Uint8Array, dumps, loads, options, plain, result
from _skerry.web import URL, Json, Object, Subtle
from _skerry.wire import Decoder, WireError, body_length, chunk, format_head, parse_head

NAMES = st.text("abcXYZ-_09", min_size=1, max_size=8)
VALUES = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=20)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(st.binary(max_size=500), st.lists(st.integers(1, 50), max_size=20), st.integers(1, 7))
def test_chunks_come_back_however_they_are_cut(data: bytes, sizes: list[int], step: int) -> None:
    sent, at = b"", 0
    for size in sizes:
        piece = data[at : at + size]
        at += size
        if piece:
            sent += chunk(piece)
    sent += chunk(data[at:]) if data[at:] else b""
    sent += chunk(b"") + b"next"
    decoder, buffer, got = Decoder(-1), bytearray(), b""
    for start in range(0, len(sent), step):
        buffer += sent[start : start + step]
        got += decoder.feed(buffer)
    assert (got, bytes(buffer), decoder.done) == (data, b"next", True)


@given(st.binary(max_size=200))
def test_no_bytes_break_the_decoder(data: bytes) -> None:
    decoder, buffer = Decoder(-1), bytearray(data)
    try:
        got = decoder.feed(buffer)
        decoder.end()
    except WireError:
        return
    assert len(got) <= len(data)


@given(st.lists(st.tuples(NAMES, VALUES), max_size=6))
def test_heads_come_back(pairs: list[tuple[str, str]]) -> None:
    pairs = [(name, value.strip(" \t")) for name, value in pairs]
    head = format_head("GET / HTTP/1.1", pairs)
    assert parse_head(head[:-4]) == ("GET / HTTP/1.1", pairs)


@given(st.binary(max_size=200))
def test_no_head_breaks_the_parser(data: bytes) -> None:
    try:
        _, headers = parse_head(data)
        body_length(headers)
    except WireError:
        return


@given(st.lists(st.tuples(NAMES, VALUES), max_size=6))
def test_headers_keep_every_value(pairs: list[tuple[str, str]]) -> None:
    headers = Headers(pairs)
    for name, value in pairs:
        assert value.strip(" \t") in headers.get_all(name.upper())
    assert dict(headers.items()).keys() == {name.lower() for name, _ in pairs}
    assert [list(pair) for pair in JsHeaders(headers)] == [list(p) for p in headers.items()]
    assert set(headers) == set(headers.keys())


def test_headers_by_name() -> None:
    headers = Headers({"A": "1"})
    headers.append("a", "2")
    headers.append("Set-Cookie", "x=1")
    headers.append("set-cookie", "y=2")
    assert headers["a"] == "1, 2"
    assert headers.getSetCookie() == ["x=1", "y=2"]
    assert list(headers.items()) == [("a", "1, 2"), ("set-cookie", "x=1"), ("set-cookie", "y=2")]
    headers.set("A", 3)
    assert (headers["a"], len(headers), "B" in headers, headers.get("b", "d")) == (
        "3", 2, False, "d",
    )  # fmt: skip
    for name, value in [("a b", "x"), ("", "x"), ("a", "x\r\ny"), ("a", "\0")]:
        with pytest.raises(TypeError):
            headers.append(name, value)


FIELDS = st.lists(
    st.tuples(st.text(min_size=1, max_size=8), st.text(max_size=20) | st.binary(max_size=40)),
    max_size=5,
)


@given(FIELDS)
def test_forms_come_back(fields: list[tuple[str, str | bytes]]) -> None:
    clean = [(n.encode("utf-8", "replace").decode(), v) for n, v in fields]
    form = FormData()
    for name, value in clean:
        if isinstance(value, bytes):
            form.append(name, File([value], f"{name}.bin", "a/b"))
        else:
            form.append(name, value.encode("utf-8", "replace").decode())
    back = parse_form(*form.encode())
    told = [(n, v.content() if isinstance(v, Blob) else v) for n, v in back.items()]
    wanted = [(n, v.content() if isinstance(v, Blob) else v) for n, v in form.items()]
    lost = [n for n, _ in wanted if any(each in n for each in ("%22", "%0D", "%0A"))]
    assert told == wanted or lost


@given(
    st.binary(max_size=200),
    st.sampled_from(
        [
            "",
            "multipart/form-data",
            "text/plain",
            "multipart/form-data; boundary=x",
            "application/x-www-form-urlencoded",
        ]
    ),
)
def test_no_body_breaks_the_form_parser(data: bytes, kind: str) -> None:
    try:
        parse_form(b"--x\r\n" + data + b"\r\n--x--", kind)
    except TypeError:
        return


@given(JSON)
def test_json_comes_back(value: Any) -> None:
    assert plain(loads(dumps(value))) == value
    assert plain(result(value)) == value
    assert json.loads(json.dumps(result({"a": value}))) == {"a": value}
    assert Json.parse(Json.stringify(value)) == value


def test_json_of_what_is_not_json() -> None:
    value = {
        "array": np.ones(2, np.float32), "scalar": np.int64(3), "nan": float("nan"),
        "bytes": b"\x01", "set": {1}, "when": dt.datetime(2020, 1, 2, tzinfo=dt.UTC),
    }  # fmt: skip
    assert json.loads(dumps(value)) == {
        "array": [1.0, 1.0], "scalar": 3, "nan": None, "bytes": {"0": 1}, "set": [1],
        "when": "2020-01-02T00:00:00.000Z",
    }  # fmt: skip
    with pytest.raises(TypeError, match="cannot be written as JSON"):
        dumps(object())


def test_results_have_both_faces() -> None:
    found = loads('{"keys": [{"name": "a"}], "items": 3, "get": "x", "a": {"b": null}}')
    assert found.keys[0].name == found["keys"][0]["name"] == "a"
    assert sorted(found.keys()) == ["a", "get", "items", "keys"]
    assert dict(found)["items"] == 3
    assert found.a.b is None
    assert found.get("none", 1) == 1
    assert found.keys.length == 1
    with pytest.raises(AttributeError, match="'nope': there are keys, items, get, a"):
        _ = found.nope
    found.new = 1
    assert found["new"] == 1
    assert type(found.to_py()["a"]) is dict
    assert Object.fromEntries([["x", {"y": 1}]]).x.y == 1
    assert options({"cacheTtl": 1}, {"expiration_ttl": 2, "none": None}) == {
        "cacheTtl": 1, "expirationTtl": 2,
    }  # fmt: skip


def test_bytes_and_dates() -> None:
    data = Uint8Array(b"abc")
    assert (data.length, data.buffer.byteLength, data.to_bytes(), bytes(data.to_py())) == (
        3, 3, b"abc", b"abc",
    )  # fmt: skip
    moment = Date.at(0.5)
    assert (moment.toISOString(), moment.getTime()) == ("1970-01-01T00:00:00.500Z", 500)


def test_urls() -> None:
    url = URL.new("HTTPS://user:p@Example.com:8443/a/b?x=1&y=%20#frag")
    assert (url.protocol, url.host, url.port, url.pathname, url.search, url.hash) == (
        "https:", "example.com:8443", "8443", "/a/b", "?x=1&y=%20", "#frag",
    )  # fmt: skip
    assert url.searchParams.get("y") == " "
    url.searchParams.set("x", "2")
    url.pathname = "c"
    assert url.href.endswith("/c?y=+&x=2#frag")
    assert str(URL.new("../d", "https://e.test/a/b/c")) == "https://e.test/a/d"
    assert URL.new("https://e.test").href == "https://e.test/"
    for bad in ("", "nope", "/path", "//host"):
        with pytest.raises(TypeError):
            URL.new(bad)
    assert str(URLSearchParams("?a=1&a=2&b=")) == "a=1&a=2&b="


async def test_streams() -> None:
    async def source() -> Any:
        for piece in (b"a", b"b", b"c"):
            yield piece

    one, two = ReadableStream(source()).tee()
    assert [chunk async for chunk in one] == [b"a", b"b", b"c"]
    assert [chunk async for chunk in two] == [b"a", b"b", b"c"]
    reader = ReadableStream(source()).getReader()
    assert (await reader.read()) == {"done": False, "value": b"a"}
    locked = ReadableStream(source())
    locked.getReader()
    with pytest.raises(TypeError, match="locked"):
        locked.getReader()
    transform = TransformStream.new()
    writer = transform.writable.getWriter()

    async def write() -> None:
        for number in range(40):
            await writer.write(str(number))
        await writer.close()

    task = asyncio.create_task(write())
    assert len([chunk async for chunk in transform.readable]) == 40
    await task


async def test_requests_and_responses() -> None:
    request = Request("https://e.test/", method="post", headers={"a": "b"}, body="hi")
    assert (request.method, str(request.method), request.js_object.method) == ("POST",) * 3
    copy = request.clone()
    assert await request.text() == await copy.text() == "hi"
    with pytest.raises(OSError, match="Body already used"):
        await request.text()
    with pytest.raises(TypeError, match="cannot have a body"):
        Request("https://e.test/", body="x")
    made = Response.json({"a": 1}, status=201)
    assert (made.status, made.headers["content-type"], await made.json()) == (
        201, "application/json", {"a": 1},
    )  # fmt: skip
    assert Response.json([], headers={"Content-Type": "x/y"}).headers["content-type"] == "x/y"
    assert Response.redirect("https://e.test/").status == 302
    assert Response.new("x", {"status": 404, "headers": {"a": "b"}}).headers["a"] == "b"
    assert Response(Response("x", status=418)).status == 418
    for status in (199, 600, 101):
        with pytest.raises(ValueError, match="range 200 to 599"):
            Response("", status=status)
    with pytest.raises(TypeError, match="null body status"):
        Response("x", status=204)
    with pytest.raises(TypeError, match="Unsupported type"):
        Response({"a": 1})


async def test_crypto() -> None:
    subtle = Subtle()
    digest = await subtle.digest("SHA-256", b"abc")
    assert digest.hex().startswith("ba7816bf")
    key = await subtle.importKey("raw", b"k", {"name": "HMAC", "hash": "SHA-256"}, False, ["sign"])
    signed = await subtle.sign("HMAC", key, b"data")
    assert await subtle.verify("HMAC", key, signed, b"data")
    assert not await subtle.verify("HMAC", key, signed, b"other")
    with pytest.raises(ValueError, match="digest algorithm"):
        await subtle.digest("SHA-3", b"")


def test_r2_options_for_the_wire() -> None:
    headers = Headers({
        "If-None-Match": '"a", W/"b", *', "If-Modified-Since": "Thu, 01 Jan 1970 00:00:10 GMT",
    })  # fmt: skip
    assert condition(headers) == {
        "onlyIf": {
            "etagDoesNotMatch": [
                {"type": "strong", "value": "a"}, {"type": "weak", "value": "b"},
                {"type": "wildcard", "value": ""},
            ],
            "uploadedAfter": "10000", "secondsGranularity": True,
        }
    }  # fmt: skip
    assert condition(None) == condition(Headers()) == {}
    assert range_of({"suffix": 5}) == {"range": {"suffix": "5"}}
    assert range_of(Headers({"range": "bytes=0-1"})) == {"rangeHeader": "bytes=0-1"}
    assert http_fields({"content_type": "x", "cacheExpiry": dt.datetime(1970, 1, 1)}) == {  # noqa: DTZ001
        "contentType": "x", "cacheExpiry": "0",
    }  # fmt: skip


def test_a_handler_is_given_what_it_declares() -> None:
    given_ = (1, 2, 3)
    assert fitting(lambda: 0, given_) == ()
    assert fitting(lambda a, b=2: 0, given_) == (1, 2)
    assert fitting(lambda *a: 0, given_) == given_
    assert fitting(lambda a, *, b=1: 0, given_) == (1,)
    assert fitting(Result, given_) in (given_, ())


def test_a_trace_begins_at_the_first_line_that_is_not_ours() -> None:
    try:
        loads("{")
    except ValueError as error:
        text = logs.trace(error)
    assert text.splitlines()[1].strip().startswith(f'File "{__file__}"')
