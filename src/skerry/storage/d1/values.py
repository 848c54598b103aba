"""Values between JSON and SQLite, with JavaScript's numbers in between."""

from __future__ import annotations

from typing import Any

from skerry.storage.d1.base import D1Error

EXACT = 1 << 53
"""Past it a number of JavaScript is not every whole number any more."""


def bound(params: list[Any] | None) -> tuple[Any, ...]:
    """JSON values as SQLite takes them. Raises D1Error for what D1 has no type for."""
    return tuple(_bound(value) for value in params or ())


def _bound(value: Any) -> Any:
    if value is None or isinstance(value, str | float):
        return value
    if isinstance(value, int):  # true and false are 1 and 0
        return int(value) if -(1 << 63) <= value < 1 << 63 else float(value)
    if isinstance(value, list):
        try:
            return bytes(value)
        except (TypeError, ValueError) as error:
            raise D1Error(
                "D1_TYPE_ERROR: an array stands for a blob and must hold numbers from 0 to 255"
            ) from error
    raise D1Error(f"D1_TYPE_ERROR: Type 'object' not supported for value '{str(value)[:100]}'")


def shown(row: tuple[Any, ...]) -> list[Any]:
    """A row of SQLite as JSON: blobs are arrays, whole numbers past 2^53 what JavaScript gets."""
    return [
        value if type(value) is str or value is None or type(value) is float else _shown(value)
        for value in row
    ]


def _shown(value: Any) -> Any:
    if isinstance(value, int):
        return value if -EXACT <= value <= EXACT else int(float(value))
    return list(value)
