"""An index in memory: one row of float32 per vector, searched whole and exactly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skerry.storage.vectorize.base import IndexConfig, PropertyType
from skerry.storage.vectorize.filter import Column, Condition, property_of

_BLOCK = 4096
"""Rows whose distances are computed at a time."""
_ROOM = 64
"""Rows of an empty index."""

Floats = NDArray[np.float32]


class Stored(NamedTuple):
    """A vector as it is stored. numbers: little-endian float32."""

    id: str
    numbers: bytes
    namespace: str | None
    metadata: Any


class Memory:
    """What is searched. Not thread safe: hold a lock."""

    def __init__(self, config: IndexConfig, indexed: Mapping[str, PropertyType]) -> None:
        self._metric = config.metric
        self.columns = {name: Column(kind, _ROOM) for name, kind in indexed.items()}
        self._matrix: Floats = np.zeros((_ROOM, config.dimensions), dtype=np.float32)
        self._live = np.zeros(_ROOM, dtype=np.bool_)
        self._spaces: NDArray[np.int32] = np.zeros(_ROOM, dtype=np.int32)
        self._space_codes: dict[str | None, int] = {None: 0}
        self._ids: list[str] = []
        self._rows: dict[str, int] = {}
        self._free: list[int] = []

    def __len__(self) -> int:
        return len(self._rows)

    def put(self, vectors: Sequence[Stored]) -> None:
        """Add or replace vectors, each id once."""
        rows = [self._row(each.id) for each in vectors]
        numbers = b"".join(each.numbers for each in vectors)
        table = np.frombuffer(numbers, dtype="<f4").reshape(len(rows), -1)
        self._matrix[rows] = self._prepared(table)
        self._live[rows] = True
        codes = self._space_codes
        self._spaces[rows] = [codes.setdefault(each.namespace, len(codes)) for each in vectors]
        for name, column in self.columns.items():
            for row, each in zip(rows, vectors, strict=True):
                column.set(row, property_of(each.metadata, name))

    def remove(self, ident: str) -> None:
        """Forget a vector, if it is there."""
        row = self._rows.pop(ident, None)
        if row is not None:
            self._live[row] = False
            self._free.append(row)

    def search(
        self, query: Floats, top_k: int, namespace: str | None, conditions: Sequence[Condition]
    ) -> list[tuple[str, float]]:
        """(id, score) of the nearest, the nearest first."""
        count = len(self._ids)
        mask = self._live[:count].copy()
        if namespace is not None:
            mask &= self._spaces[:count] == self._space_codes.get(namespace, -1)
        for name, op, operand in conditions:
            mask &= self.columns[name].mask(op, operand, count)
        rows = np.flatnonzero(mask)
        if not len(rows):
            return []
        query = self._prepared(query[None])[0]
        far = self._far(rows, query)
        if len(rows) > top_k:
            near = np.argpartition(far, top_k - 1)[:top_k]
            rows, far = rows[near], far[near]
        scores = self._scores(self._matrix[rows], query)
        sign = 1.0 if self._metric == "euclidean" else -1.0
        order = np.lexsort((rows, sign * scores))
        return [(self._ids[rows[at]], float(scores[at])) for at in order]

    def _far(self, rows: NDArray[np.intp], query: Floats) -> Floats:
        """What orders the rows: the smaller, the nearer."""
        whole = len(rows) == len(self._ids)
        if self._metric != "euclidean":
            if 2 * len(rows) >= len(self._ids):  # to gather them costs more than to do them all
                products = self._matrix[: len(self._ids)] @ query
                return -(products if whole else products[rows])
            return -(self._matrix[rows] @ query)
        far = np.empty(len(rows), dtype=np.float32)
        for start in range(0, len(rows), _BLOCK):
            part = rows[start : start + _BLOCK]
            apart = self._matrix[part] - query
            far[start : start + len(part)] = np.einsum("ij,ij->i", apart, apart)
        return far

    def _scores(self, found: Floats, query: Floats) -> NDArray[np.float64]:
        exact = found.astype(np.float64)
        if self._metric == "euclidean":
            distances: NDArray[np.float64] = np.linalg.norm(exact - query, axis=1)
            return distances
        scores: NDArray[np.float64] = exact @ query.astype(np.float64)
        return np.clip(scores, -1.0, 1.0) if self._metric == "cosine" else scores

    def _prepared(self, values: Floats) -> Floats:
        """For cosine of length 1; of a vector without a direction nothing is near."""
        if self._metric != "cosine":
            return values
        exact = values.astype(np.float64)
        length = np.linalg.norm(exact, axis=1, keepdims=True)
        out: Floats = (exact / np.where(length > 0, length, 1)).astype(np.float32)
        return out

    def _row(self, ident: str) -> int:
        """The row of an id; a new one where it has none."""
        known = self._rows.get(ident)
        if known is not None:
            return known
        if self._free:
            row = self._free.pop()
            self._ids[row] = ident
        else:
            row = len(self._ids)
            if row == len(self._live):
                self._grow(2 * row)
            self._ids.append(ident)
        self._rows[ident] = row
        return row

    def _grow(self, size: int) -> None:
        matrix = np.zeros((size, self._matrix.shape[1]), dtype=np.float32)
        matrix[: len(self._matrix)] = self._matrix
        self._matrix = matrix
        self._live = np.concatenate([self._live, np.zeros(size - len(self._live), dtype=np.bool_)])
        spaces = np.zeros(size, dtype=np.int32)
        spaces[: len(self._spaces)] = self._spaces
        self._spaces = spaces
        for column in self.columns.values():
            column.grow(size)
