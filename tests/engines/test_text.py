"""Tokens to text: whatever the cut of characters and stop strings, the pieces make the text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from skerry.engines.text import Pieces


def decode(ids: list[int]) -> str:
    """Byte tokens, as the hardest case: every character beyond ASCII is cut."""
    return bytes(ids).decode("utf-8", errors="replace")


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ufffd"), max_size=40)


@given(texts)
def test_pieces_are_whole_characters_and_make_the_text(text: str) -> None:
    pieces = Pieces(decode, [])
    data = text.encode()
    out = [pieces.add([byte], last=at == len(data) - 1) for at, byte in enumerate(data)]
    assert "".join(out) == text == pieces.text
    assert not any("\ufffd" in piece for piece in out)
    assert pieces.tokens == len(data)


@given(texts, st.lists(st.text("ab é", min_size=1, max_size=4), max_size=3), st.integers(1, 5))
def test_nothing_of_a_stop_string_is_given_out(text: str, stops: list[str], step: int) -> None:
    pieces = Pieces(decode, stops)
    data = text.encode()
    for at in range(0, max(1, len(data)), step):
        pieces.add(list(data[at : at + step]), last=at + step >= len(data))
    found = [at for stop in stops if (at := text.find(stop)) >= 0]
    assert pieces.stopped == bool(found)
    # With several tokens at once the earliest stop wins; token by token the one complete first.
    assert text.startswith(pieces.text)
    assert not any(stop in pieces.text for stop in stops)
    if not found:
        assert pieces.text == text


def test_half_a_character_at_the_end_is_shown_as_such() -> None:
    pieces = Pieces(decode, [])
    assert pieces.add([0x41]) == "A"
    assert pieces.add([0xC3]) == ""
    assert pieces.add([], last=True) == "\ufffd"
