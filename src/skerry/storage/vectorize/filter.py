"""Metadata filters: what they may say, and the columns that answer them.

Source: Cloudflare, "Vectorize: Metadata filtering". A property that a vector does not have is not
equal to anything but null, and in no range.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from skerry.storage.vectorize.base import MAX_FILTER, MAX_INDEXED, InvalidFilter, PropertyType

_RANGES: dict[str, Callable[[Any, Any], Any]] = {
    "$lt": operator.lt,
    "$lte": operator.le,
    "$gt": operator.gt,
    "$gte": operator.ge,
}
_LISTS = frozenset({"$in", "$nin"})
_EQUALS = frozenset({"$eq", "$ne"})

Scalar = str | float | bool | None


class Condition(NamedTuple):
    """One comparison; all of a filter's must hold."""

    name: str
    op: str
    operand: Any


def conditions(given: Mapping[str, Any], indexed: Mapping[str, PropertyType]) -> list[Condition]:
    """The comparisons of a filter. Raises InvalidFilter, which names the property."""
    if not given:
        raise InvalidFilter("filter: an empty object; leave it out")
    size = json_size(given)
    if size >= MAX_FILTER:
        raise InvalidFilter(f"filter: {size} bytes of JSON; less than {MAX_FILTER} are taken")
    found: list[Condition] = []
    for name, value in given.items():
        check_property(name)
        if name not in indexed:
            raise InvalidFilter(
                f"filter: {name} has no metadata index, so it cannot be filtered by; add one:"
                f" skerry vectorize create-metadata-index INDEX --property-name {name}"
                " --type string, number or boolean"
            )
        if not isinstance(value, dict):
            found.append(_condition(name, "$eq", value, indexed[name]))
            continue
        if not value:
            raise InvalidFilter(f"filter: {name}: an empty object")
        found += [_condition(name, op, each, indexed[name]) for op, each in value.items()]
    return found


def json_size(value: Any) -> int:
    """Bytes of a value as JSON. Raises InvalidFilter for what no JSON number can hold."""
    try:
        return len(msgspec.json.encode(value))
    except (OverflowError, RecursionError) as error:
        raise InvalidFilter(f"filter: {error}") from error


def check_property(name: str) -> None:
    """Raises InvalidFilter for what can be no property; a dot leads into an object."""
    if not all(name.split(".")) or name.startswith("$") or '"' in name or len(name) > 512:
        raise InvalidFilter(f"{name[:100]!r} can be no property of metadata")


def _condition(name: str, op: str, value: Any, kind: PropertyType) -> Condition:
    if op in _LISTS:
        if not isinstance(value, list) or not value:
            raise InvalidFilter(f"filter: {name}: {op} takes a list that is not empty")
        return Condition(name, op, [_scalar(name, op, each) for each in value])
    if op in _RANGES:
        if kind == "boolean" or value is None or isinstance(value, bool):
            raise InvalidFilter(f"filter: {name}: {op} compares numbers or texts")
    elif op not in _EQUALS:
        raise InvalidFilter(
            f"filter: {name}: {op[:40]!r} is none of $eq $ne $in $nin $lt $lte $gt $gte"
        )
    return Condition(name, op, _scalar(name, op, value))


def _scalar(name: str, op: str, value: Any) -> Scalar:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return indexed_text(value)
    raise InvalidFilter(f"filter: {name}: {op} takes texts, numbers, true, false or null")


def indexed_text(text: str) -> str:
    """The part of a text that is indexed: 64 bytes, cut between characters."""
    if len(text) * 4 <= MAX_INDEXED:
        return text
    return text.encode("utf-8", "replace")[:MAX_INDEXED].decode("utf-8", "ignore")


def property_of(metadata: Any, name: str) -> Any:
    """What stands under a property; None where nothing does."""
    for part in name.split("."):
        if not isinstance(metadata, dict):
            return None
        metadata = metadata.get(part)
    return metadata


def indexed_value(value: Any, kind: PropertyType) -> Scalar:
    """A value as the index of its property holds it; None for one of another type."""
    if kind == "boolean":
        return value if isinstance(value, bool) else None
    if kind == "string":
        return indexed_text(value) if isinstance(value, str) else None
    return _float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _float(value: float) -> float:
    """As float64; a whole number beyond its range is infinite."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


class Column:
    """One property of all rows, as numbers, or as codes of texts and booleans."""

    def __init__(self, kind: PropertyType, size: int) -> None:
        self.kind = kind
        self._numbers: NDArray[np.float64] = np.full(size if kind == "number" else 0, np.nan)
        self._codes: NDArray[np.int32] = np.full(
            0 if kind == "number" else size, -1, dtype=np.int32
        )
        self._known: dict[Any, int] = {}

    def grow(self, size: int) -> None:
        """Make room for `size` rows."""
        if self.kind == "number":
            self._numbers = _grown(self._numbers, size, np.nan)
        else:
            self._codes = _grown(self._codes, size, -1)

    def set(self, row: int, value: Any) -> None:
        """What a row holds now."""
        held = indexed_value(value, self.kind)
        if self.kind == "number":
            self._numbers[row] = np.nan if held is None else held
        elif held is None:
            self._codes[row] = -1
        else:
            self._codes[row] = self._known.setdefault(held, len(self._known))

    def mask(self, op: str, operand: Any, count: int) -> NDArray[np.bool_]:
        """Which of the first `count` rows fit."""
        if op == "$ne":
            return ~self.mask("$eq", operand, count)
        if op == "$nin":
            return ~self.mask("$in", operand, count)
        if op == "$in":
            found = np.zeros(count, dtype=np.bool_)
            for each in operand:
                found |= self.mask("$eq", each, count)
            return found
        if self.kind == "number":
            return self._fitting_numbers(op, operand, count)
        table = np.zeros(len(self._known) + 1, dtype=np.bool_)  # the last: not there
        if op == "$eq":
            table[-1 if operand is None else self._code(operand)] = True
            table[-1] = operand is None
        elif isinstance(operand, str):
            compare = _RANGES[op]
            for value, code in self._known.items():
                table[code] = compare(value, operand)
        return table[self._codes[:count]]

    def _code(self, operand: Any) -> int:
        # True == 1: a number is no boolean.
        if isinstance(operand, bool) != (self.kind == "boolean"):
            return -1
        return self._known.get(operand, -1)

    def _fitting_numbers(self, op: str, operand: Any, count: int) -> NDArray[np.bool_]:
        numbers = self._numbers[:count]
        if operand is None:
            return np.isnan(numbers)
        if isinstance(operand, bool | str):
            return np.zeros(count, dtype=np.bool_)
        number = _float(operand)
        found: NDArray[np.bool_] = (
            numbers == number if op == "$eq" else _RANGES[op](numbers, number)
        )
        return found


def _grown(array: NDArray[Any], size: int, fill: float) -> NDArray[Any]:
    out = np.full(size, fill, dtype=array.dtype)
    out[: len(array)] = array
    return out
