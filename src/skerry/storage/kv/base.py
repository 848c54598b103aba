"""What a KV namespace can do, whichever backend holds it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import msgspec

from skerry.errors import StorageError


class KvError(StorageError):
    """What a caller of KV sees; the texts are Cloudflare's."""


class NamespaceNotFound(KvError):
    """No namespace of that id: 10013, 404."""

    def __init__(self, namespace: str) -> None:
        super().__init__(f"namespace not found: {namespace[:64]}", code=10013, status=404)


class NamespaceExists(KvError):
    """Another namespace of the account has this title: 10014, 400."""

    def __init__(self, title: str) -> None:
        super().__init__(
            f"a namespace with this account ID and title already exists: {title}",
            code=10014,
            status=400,
        )


class KvEntry(msgspec.Struct, frozen=True):
    """A value and what was put with it."""

    value: bytes
    metadata: str | None = None
    """JSON text."""
    expiration: int | None = None
    """Unix seconds; from then on the key is gone."""


class KvKey(msgspec.Struct, frozen=True, omit_defaults=True):
    """A key as a listing has it."""

    name: str
    expiration: int | None = None
    metadata: str | None = None
    """JSON text."""


class KvPage(msgspec.Struct, frozen=True):
    """Keys in the order of their UTF-8 bytes."""

    keys: list[KvKey]
    cursor: str
    """Where the next page starts; empty at the end."""


class KvWrite(msgspec.Struct, frozen=True):
    """One put of many; `expiration_ttl` wins over `expiration`, as in `put`."""

    key: str
    value: bytes
    metadata: str | None = None
    expiration: int | None = None
    expiration_ttl: int | None = None


class KvNamespace(ABC):
    """One namespace. All methods check Cloudflare's limits and raise KvError with its texts."""

    @abstractmethod
    async def get(self, key: str) -> KvEntry | None:
        """The entry, or None where there is none or it has expired."""

    @abstractmethod
    async def get_many(self, keys: Sequence[str]) -> Mapping[str, KvEntry | None]:
        """Up to 100 keys at one moment; together at most 25 MiB."""

    @abstractmethod
    async def put(
        self,
        key: str,
        value: bytes,
        *,
        metadata: str | None = None,
        expiration: int | None = None,
        expiration_ttl: int | None = None,
    ) -> None:
        """Put; durable once this returns. Both times are seconds, at least 60 ahead."""

    @abstractmethod
    async def put_many(self, writes: Sequence[KvWrite]) -> None:
        """All or none."""

    @abstractmethod
    async def delete(self, key: str) -> None:
        """Delete; a key that is not there is no error."""

    @abstractmethod
    async def delete_many(self, keys: Sequence[str]) -> None:
        """All or none."""

    @abstractmethod
    async def list(self, prefix: str = "", limit: int = 1000, cursor: str = "") -> KvPage:
        """Keys that start with `prefix`, at most `limit` (1 to 1000), from `cursor` on."""


class KvNamespaceInfo(msgspec.Struct, frozen=True):
    """A namespace as the REST API has it."""

    id: str
    title: str


class KvNamespaces(ABC):
    """The namespaces of an account."""

    @abstractmethod
    async def create(self, title: str) -> KvNamespaceInfo:
        """A new namespace with an id of its own. Raises NamespaceExists."""

    @abstractmethod
    async def ensure(self, namespace: str) -> KvNamespaceInfo:
        """The namespace of this id, which a project's configuration chose; made where need be, as
        its first put would."""

    @abstractmethod
    async def get(self, namespace: str) -> KvNamespaceInfo:
        """Raises NamespaceNotFound."""

    @abstractmethod
    async def list(self) -> list[KvNamespaceInfo]:
        """All, in the order in which they were made."""

    @abstractmethod
    async def rename(self, namespace: str, title: str) -> KvNamespaceInfo:
        """Raises NamespaceNotFound, NamespaceExists."""

    @abstractmethod
    async def delete(self, namespace: str) -> None:
        """The namespace and all that is in it. Raises NamespaceNotFound."""
