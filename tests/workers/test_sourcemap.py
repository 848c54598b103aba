"""Base64 VLQ and source maps, whole and broken."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.workers.sourcemap import Place, SourceMap, vlq

CHARS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def encoded(number: int) -> str:
    value = (abs(number) << 1) | (number < 0)
    out = ""
    while True:
        value, digit = value >> 5, value & 31
        out += CHARS[digit | (32 if value else 0)]
        if not value:
            return out


@given(st.lists(st.integers(-(2**31), 2**31)))
def test_numbers_come_back(numbers: list[int]) -> None:
    assert list(vlq("".join(map(encoded, numbers)))) == numbers


@given(st.text())
def test_any_text_is_numbers_or_a_clear_error(text: str) -> None:
    try:
        assert all(isinstance(number, int) for number in vlq(text))
    except ValueError as error:
        assert "VLQ" in str(error) or "ends within" in str(error)


Spot = tuple[int, int, int]


@given(st.lists(st.lists(st.tuples(st.integers(0, 200), st.integers(0, 1), st.integers(0, 99)))))
def test_every_place_is_found(lines: list[list[Spot]]) -> None:
    rows = [sorted({spot[0]: spot for spot in line}.values()) for line in lines]
    source = line_before = 0
    texts = []
    for row in rows:
        column = 0
        segments = []
        for start, file, line in row:
            fields = (start - column, file - source, line - line_before, 0)
            segments.append("".join(map(encoded, fields)))
            column, source, line_before = start, file, line
        texts.append(",".join(segments))
    data = {"version": 3, "sources": ["a.ts", "b.ts"], "mappings": ";".join(texts)}
    places = SourceMap(json.dumps(data).encode(), Path("/p"), Path("/p"))
    for at, row in enumerate(rows, 1):
        for start, file, line in row:
            assert places.find(at, start + 1) == Place(["a.ts", "b.ts"][file], line + 1, 1)
    assert places.find(len(rows) + 5, 1) is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b'{"version":2,"sources":[],"mappings":""}',
        b'{"version":3,"sources":[],"mappings":"AAAA"}',
        b'{"version":3,"sources":["a"],"mappings":"AA"}',
        b'{"version":3,"sources":["a"],"mappings":"A\\u00e9"}',
    ],
)
def test_a_broken_map_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        SourceMap(data, Path("/p"), Path("/p"))
