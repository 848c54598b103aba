"""What a Vectorize index is: its values, its limits, its errors and its abstract classes.

Limits: Cloudflare, "Vectorize: Limits". Numbers of errors as far as published messages show them.
"""

from __future__ import annotations

import builtins
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from skerry.errors import StorageError

MAX_DIMENSIONS = 1536
MAX_ID = MAX_NAMESPACE = MAX_NAME = 64
"""Bytes."""
MAX_METADATA = 10_240
"""Bytes of a vector's metadata as JSON."""
MAX_INDEXED = 64
"""Bytes of a text that are indexed; filters compare no more."""
MAX_TOP_K = 100
MAX_TOP_K_WHOLE = 20
"""Where values or all metadata are returned."""
TOP_K = 5
MAX_FILTER = 2048
"""Bytes of a filter as JSON."""
MAX_METADATA_INDEXES = 10
WORKER_BATCH = 1000
"""Vectors of one insert or upsert from a worker."""
REST_BATCH = 5000
"""The same over REST."""
MAX_GET = 20
"""Ids of one getByIds."""
MAX_DELETE = 1000
MAX_LIST = 1000
MAX_VECTORS = 5_000_000

Metric = Literal["cosine", "euclidean", "dot-product"]
PropertyType = Literal["string", "number", "boolean"]
Returned = Literal["none", "indexed", "all"]


class VectorError(StorageError):
    """An index refused something."""


class IndexNotFound(VectorError):
    """There is no such index."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"vectorize.index.not_found: there is no index {name[:100]!r};"
            f" create it: skerry vectorize create {name[:100]} --dimensions N --metric cosine",
            code=3000,
            status=404,
        )


class IndexExists(VectorError):
    """The name is taken."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"vectorize.index.duplicate_name: index {name!r} exists", code=3002, status=409
        )


class InvalidIndex(VectorError):
    """A name, a number of dimensions or a metric that cannot be."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code=3003)


class InvalidVector(VectorError):
    """A vector that does not fit the index or its limits."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code=40012)


class InvalidVectors(VectorError):
    """A body that holds no vectors."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code=40023)


class TooMany(VectorError):
    """More ids or vectors than one call takes."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code=40007)


class InvalidQuery(VectorError):
    """A query with an option that cannot be."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code=40026)


class InvalidFilter(VectorError):
    """A filter that cannot be evaluated; the message names the property."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code=40006)


class Vector(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A vector as it is inserted and returned."""

    id: str
    values: list[float]
    namespace: str | None = None
    metadata: dict[str, Any] | None = None


class Match(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A vector that a query found. score: likeness, or for euclidean the distance."""

    id: str
    score: float
    values: list[float] | None = None
    namespace: str | None = None
    metadata: dict[str, Any] | None = None


class IndexConfig(msgspec.Struct, kw_only=True, frozen=True):
    """What an index was created with."""

    dimensions: int
    metric: Metric


class IndexDetails(msgspec.Struct, kw_only=True, frozen=True):
    """An index as it is listed. Times: Unix milliseconds."""

    id: str
    name: str
    config: IndexConfig
    description: str = ""
    created_ms: int = 0


class IndexState(msgspec.Struct, kw_only=True, frozen=True):
    """What an index holds now. Every mutation is processed before it is answered."""

    dimensions: int
    vector_count: int
    mutation: str
    """The id of the last mutation; empty where there was none."""
    mutation_ms: int


class VectorPage(msgspec.Struct, kw_only=True, frozen=True):
    """A part of all ids, in the order of their first insertion."""

    ids: list[str]
    total: int
    cursor: str | None
    """Where the next page begins; None on the last one."""


class Query(msgspec.Struct, kw_only=True, frozen=True):
    """How to search; the same names on the wire, in camel case."""

    top_k: int = TOP_K
    namespace: str | None = None
    filter: dict[str, Any] | None = None
    return_values: bool = False
    return_metadata: Returned = "none"


class VectorIndex(ABC):
    """One index. Writes survive any crash once they are answered, and are found at once."""

    details: IndexDetails

    @abstractmethod
    async def insert(self, vectors: Sequence[Vector]) -> str:
        """Add those whose id is new, leave the others as they are; answers a mutation id.

        All or none. Raises InvalidVector.
        """

    @abstractmethod
    async def upsert(self, vectors: Sequence[Vector]) -> str:
        """Add or replace; answers a mutation id. All or none. Raises InvalidVector."""

    @abstractmethod
    async def delete_by_ids(self, ids: Sequence[str]) -> str:
        """Delete those that are there; answers a mutation id. Raises TooMany."""

    @abstractmethod
    async def query(self, target: Sequence[float] | str, query: Query) -> list[Match]:
        """The vectors nearest to a vector, or to the one of an id; the nearest first.

        An id that is not there finds nothing. Raises InvalidQuery, InvalidFilter, InvalidVector.
        """

    @abstractmethod
    async def get_by_ids(self, ids: Sequence[str]) -> builtins.list[Vector]:
        """Those that are there, in the order of `ids`. Raises TooMany."""

    @abstractmethod
    async def state(self) -> IndexState:
        """What the index holds."""

    @abstractmethod
    async def list(self, count: int = 100, cursor: str | None = None) -> VectorPage:
        """A page of ids. Raises InvalidQuery for a cursor that is none."""

    @abstractmethod
    async def metadata_indexes(self) -> dict[str, PropertyType]:
        """Property -> its type."""

    @abstractmethod
    async def add_metadata_index(self, name: str, kind: PropertyType) -> str:
        """Let filters use a property, of vectors that are there already, too; a mutation id.

        Raises InvalidFilter for a name that cannot be, or one index too many.
        """

    @abstractmethod
    async def remove_metadata_index(self, name: str) -> str:
        """Answers a mutation id. Raises InvalidFilter where there is none."""


class VectorIndexes(ABC):
    """The indexes of one account."""

    @abstractmethod
    async def create(self, name: str, config: IndexConfig, description: str = "") -> IndexDetails:
        """Raises IndexExists, InvalidIndex."""

    @abstractmethod
    async def list(self) -> list[IndexDetails]:
        """All, in the order of their names."""

    @abstractmethod
    async def open(self, name: str) -> VectorIndex:
        """Raises IndexNotFound."""

    @abstractmethod
    async def delete(self, name: str) -> None:
        """With its vectors. Raises IndexNotFound."""
