"""R2's pure rules: ranges, conditions, parts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.errors import StorageError
from skerry.storage.r2 import checks
from skerry.storage.r2.base import PART_BYTES
from skerry.storage.r2.errors import (
    BadUpload,
    EntityTooSmall,
    InvalidPart,
    InvalidRange,
    MetadataTooLarge,
)
from skerry.storage.r2.types import R2Conditional, R2Etag, R2Object, R2Part, R2Range

numbers = st.none() | st.integers(0, 30)


@given(st.binary(max_size=20), numbers, numbers)
def test_a_range_is_a_slice(data: bytes, offset: int | None, length: int | None) -> None:
    begin = offset or 0
    wanted = data[begin : None if length is None else begin + length]
    wish = R2Range(offset=offset, length=length)
    try:
        at, size = checks.resolve(wish, len(data))
    except InvalidRange:
        assert wanted == b""
        assert data or begin or length == 0
    else:
        assert data[at : at + size] == wanted
        assert len(wanted) == size


@given(st.binary(max_size=20), st.integers(0, 30))
def test_a_suffix_is_the_end(data: bytes, suffix: int) -> None:
    try:
        at, size = checks.resolve(R2Range(suffix=suffix), len(data))
    except InvalidRange:
        assert suffix == 0
    else:
        assert data[at : at + size] == data[-suffix:]


@given(st.text(alphabet="bytes=-0123456789, ", max_size=20) | st.text(max_size=20))
def test_any_header_is_a_range_or_none(text: str) -> None:
    wish = checks.from_header(text)
    if wish is not None:
        try:
            at, size = checks.resolve(wish, 10)
        except InvalidRange:
            return
        assert 0 <= at <= at + size <= 10


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("bytes=2-4", R2Range(offset=2, length=3)),
        ("bytes=2-", R2Range(offset=2)),
        ("bytes=-2", R2Range(suffix=2)),
        ("bytes=4-2", None),
        ("bytes=0-1,3-4", None),
        ("lines=0-1", None),
        ("bytes=-", None),
        ("bytes=٣-٤", None),
    ],
)
def test_range_headers(text: str, wanted: R2Range | None) -> None:
    assert checks.from_header(text) == wanted


FOUND = R2Object(key="k", version="v", size=1, etag="e", uploaded=1_500)
STRONG, WEAK, OTHER, ANY = R2Etag("e"), R2Etag("e", "weak"), R2Etag("x"), R2Etag(kind="wildcard")


@pytest.mark.parametrize(
    ("wish", "there", "missing"),
    [
        (R2Conditional(), True, True),
        (R2Conditional(etag_matches=[OTHER, STRONG]), True, False),
        (R2Conditional(etag_matches=[OTHER]), False, False),
        (R2Conditional(etag_matches=[WEAK]), False, False),
        (R2Conditional(etag_matches=[ANY]), True, False),
        (R2Conditional(etag_does_not_match=[STRONG]), False, True),
        (R2Conditional(etag_does_not_match=[WEAK]), False, True),
        (R2Conditional(etag_does_not_match=[OTHER]), True, True),
        (R2Conditional(etag_does_not_match=[ANY]), False, True),
        (R2Conditional(uploaded_before=1_501), True, True),
        (R2Conditional(uploaded_before=1_500), False, True),
        (R2Conditional(uploaded_after=1_499), True, False),
        (R2Conditional(uploaded_after=1_500), False, False),
        (R2Conditional(uploaded_after=1_000, seconds_granularity=True), False, False),
        (R2Conditional(uploaded_before=2_000, seconds_granularity=True), True, True),
        (R2Conditional(uploaded_before=1_900, seconds_granularity=True), False, True),
        # RFC 9110: an etag that matches makes the date moot.
        (R2Conditional(etag_matches=[STRONG], uploaded_before=0), True, False),
        (R2Conditional(etag_does_not_match=[OTHER], uploaded_after=9_999), True, False),
    ],
)
def test_conditions(wish: R2Conditional, there: bool, missing: bool) -> None:
    assert checks.holds(wish, FOUND) is there
    assert checks.holds(wish, None) is missing


@pytest.mark.parametrize(
    ("sizes", "chosen", "error"),
    [
        ({1: PART_BYTES, 2: 3}, [2, 1], None),
        ({1: 3}, [1], None),
        ({1: PART_BYTES, 7: PART_BYTES, 9: PART_BYTES}, [1, 7, 9], None),
        ({1: PART_BYTES - 1, 2: 3}, [1, 2], EntityTooSmall),
        ({1: PART_BYTES, 2: PART_BYTES + 1, 3: 1}, [1, 2, 3], BadUpload),
        ({1: PART_BYTES, 2: PART_BYTES + 1}, [1, 2], BadUpload),
        ({1: 3}, [1, 1], InvalidPart),
        ({1: 3}, [2], InvalidPart),
        ({1: 3}, [], InvalidPart),
    ],
)
def test_parts(sizes: dict[int, int], chosen: list[int], error: type[StorageError] | None) -> None:
    parts = [R2Part(number, f"e{number}") for number in chosen]
    uploaded = {number: (f"e{number}", size) for number, size in sizes.items()}
    if error is None:
        assert checks.check_parts(parts, uploaded) == sorted(chosen)
    else:
        with pytest.raises(error):
            checks.check_parts(parts, uploaded)


def test_the_size_of_metadata() -> None:
    checks.check_metadata({"k": "v" * 2047})
    checks.check_metadata({"k": "é" * 2047})
    checks.check_metadata({"k": "日" * 1023})
    for text in ("v" * 2048, "日" * 1024):
        with pytest.raises(MetadataTooLarge):
            checks.check_metadata({"k": text})
