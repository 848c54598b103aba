"""What cannot fit a model's context, told before a tokenizer has to look at it."""

from __future__ import annotations

from skerry.errors import ContextTooLong

WIDEST = 32
"""More characters than any tokenizer's average token; past context x this nothing can fit."""


def check_fits(characters: int, context: int | None) -> None:
    """Raises ContextTooLong. context: in tokens; None: not known."""
    if context is not None and characters > context * WIDEST:
        raise ContextTooLong(
            f"the input has {characters} characters and cannot fit the model's context of"
            f" {context} tokens; shorten it or choose a model with a longer context"
        )
