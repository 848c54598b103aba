"""Tokens to text on the way: whole characters only, and never a part of a stop string."""

from __future__ import annotations

from collections.abc import Callable

REPLACEMENT = "\ufffd"
WINDOW = 6
"""Tokens kept before the new ones, so that a token's text is what it is in its context."""


class Pieces:
    """Grows the text of one answer, token by token."""

    def __init__(self, decode: Callable[[list[int]], str], stops: list[str]) -> None:
        self._decode = decode
        self._stops = [stop for stop in stops if stop]
        self._ids: list[int] = []
        self._prefix = 0
        self._read = 0
        self._held = ""
        self.text = ""
        """What has been given out."""
        self.tokens = 0
        self.stopped = False

    def add(self, ids: list[int], *, last: bool = False) -> str:
        """The text that these tokens make certain; with `last`, all that is left."""
        if self.stopped:
            return ""
        self._ids += ids
        self.tokens += len(ids)
        self._held += self._new_text(last=last)
        out = self._cut(last=last)
        self.text += out
        return out

    def _new_text(self, *, last: bool) -> str:
        before = self._decode(self._ids[self._prefix : self._read])
        after = self._decode(self._ids[self._prefix :])
        if len(after) <= len(before) and not last:
            return ""
        if after.endswith(REPLACEMENT) and not last:
            return ""  # the rest of a character is still to come
        self._prefix = max(self._prefix, min(self._read, len(self._ids) - WINDOW))
        self._read = len(self._ids)
        return after[len(before) :]

    def _cut(self, *, last: bool) -> str:
        found = [at for stop in self._stops if (at := self._held.find(stop)) >= 0]
        if found:
            self.stopped = True
            out, self._held = self._held[: min(found)], ""
            return out
        keep = 0 if last else max((_overlap(self._held, stop) for stop in self._stops), default=0)
        at = len(self._held) - keep
        out, self._held = self._held[:at], self._held[at:]
        return out


def _overlap(text: str, stop: str) -> int:
    """How many characters at the end of `text` may be the beginning of `stop`."""
    for size in range(min(len(text), len(stop) - 1), 0, -1):
        if text.endswith(stop[:size]):
            return size
    return 0
