"""The stream that skerry.AI answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from skerry.client import Stream


async def pieces(*items: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
    for item in items:
        yield item


@pytest.mark.parametrize("streamed", [["one ", "two"], []])
async def test_the_text_comes_once_streamed_or_not(streamed: list[str]) -> None:
    last = {"response": "one two", "usage": {"total_tokens": 2}}
    got = [p async for p in Stream(pieces(*({"response": text} for text in streamed), last))]
    assert "".join(piece["response"] for piece in got) == "one two"
    assert got[-1]["usage"] == {"total_tokens": 2}
