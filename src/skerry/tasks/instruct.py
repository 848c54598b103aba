"""Tasks that a chat model does by instruction, and how much text fits its context."""

from __future__ import annotations

from skerry.tasks.base import Generate

CHARACTERS = 3
"""Of a token, at least, on average: English has 4 to 5, code and other scripts fewer."""


def instruct(instruction: str, text: str, max_tokens: int) -> Generate:
    """A deterministic (temperature 0) answer to an instruction about a text."""
    return Generate(
        messages=[
            {"role": "system", "content": instruction},
            {"role": "user", "content": text},
        ],
        max_tokens=max_tokens,
        temperature=0.0,
    )


def clip(text: str, context: int | None, answer: int, instruction: str) -> str:
    """As much of the text, from its start, as surely fits beside the instruction and the answer."""
    if context is None:
        return text
    room = (context - answer - 64) * CHARACTERS - len(instruction)
    if len(text) <= max(room, 256):
        return text
    cut = text[: max(room, 256)]
    head, _, _ = cut.rpartition(" ")
    return head or cut
