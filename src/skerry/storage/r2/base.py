"""What an R2 is, whatever keeps its bytes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager

import msgspec

from skerry.storage.r2.types import (
    Bucket,
    GetOptions,
    ListOptions,
    PutOptions,
    R2Object,
    R2Objects,
    R2Part,
)

KEY_BYTES = 1024
"""Bytes of a key in UTF-8."""
METADATA_BYTES = 2048
"""Bytes of an object's custom metadata."""
LIST_KEYS = 1000
"""Keys of a page, and of one delete."""
LIST_BYTES = 256 << 10
"""Bytes of a page's metadata, about; a page that would be longer ends before its limit."""
OBJECT_BYTES = (5 << 30) - (5 << 20)
"""Bytes of one upload, or of one part."""
MULTIPART_BYTES = (5 << 40) - (5 << 30)
"""Bytes of an object of many parts."""
PART_BYTES = 5 << 20
"""Bytes that every part but the last has at least."""
PARTS = 10_000
UPLOAD_SECONDS = 7 * 86400
"""An upload that is not completed by then is aborted."""

Body = bytes | AsyncIterable[bytes]


class R2Body(msgspec.Struct, frozen=True):
    """An object with the bytes that were asked for."""

    object: R2Object
    offset: int
    length: int
    pieces: AsyncIterator[bytes]


class R2Bucket(ABC):
    """One bucket. Every method raises R2Error, and StorageError where the disk fails."""

    name: str

    @abstractmethod
    async def head(self, key: str) -> R2Object:
        """Raises NoSuchKey."""

    @abstractmethod
    def get(
        self, key: str, options: GetOptions | None = None
    ) -> AbstractAsyncContextManager[R2Body]:
        """The object as it is now; what is written meanwhile does not change what is read.

        Raises NoSuchKey, PreconditionFailed with the object, InvalidRange.
        """

    @abstractmethod
    async def put(self, key: str, body: Body, options: PutOptions | None = None) -> R2Object:
        """Write an object. When it returns, the object survives a power loss.

        Raises PreconditionFailed, BadDigest, EntityTooLarge, MetadataTooLarge, IncompleteBody,
        StorageFull; what was there is then there still.
        """

    @abstractmethod
    async def delete(self, keys: Sequence[str]) -> None:
        """Delete up to 1000 objects, all or none; those that are not there are no error."""

    @abstractmethod
    async def list(self, options: ListOptions | None = None) -> R2Objects:
        """A page. Raises InvalidMaxKeys, InvalidArgument for a cursor of somebody else."""

    @abstractmethod
    async def create_multipart(self, key: str, options: PutOptions | None = None) -> str:
        """Begin an upload in parts; its id."""

    @abstractmethod
    async def upload_part(
        self, key: str, upload: str, number: int, body: Body, size: int | None = None
    ) -> R2Part:
        """Upload part `number`, 1 to 10000, replacing the one that there was.

        Raises NoSuchUpload.
        """

    @abstractmethod
    async def complete_multipart(self, key: str, upload: str, parts: Sequence[R2Part]) -> R2Object:
        """Make the object of these parts, in the order of their numbers.

        Raises NoSuchUpload, InvalidPart, EntityTooSmall, BadUpload.
        """

    @abstractmethod
    async def abort_multipart(self, key: str, upload: str) -> None:
        """Drop an upload; one that is over already is no error. Raises NoSuchUpload."""


class R2(ABC):
    """The buckets of one account."""

    @abstractmethod
    async def create(
        self, name: str, storage_class: str = "Standard", location: str = "default"
    ) -> Bucket:
        """Raises BucketConflict, InvalidBucketName."""

    @abstractmethod
    async def info(self, name: str) -> Bucket:
        """Raises NoSuchBucket."""

    @abstractmethod
    async def set_storage_class(self, name: str, storage_class: str) -> Bucket:
        """The class of objects that do not name one. Raises NoSuchBucket."""

    @abstractmethod
    async def buckets(self) -> Sequence[Bucket]:
        """All of them, in the order of names."""

    @abstractmethod
    async def delete(self, name: str) -> None:
        """Raises NoSuchBucket, BucketNotEmpty."""

    @abstractmethod
    def bucket(self, name: str, *, create: bool = False) -> R2Bucket:
        """A bucket's objects. `create`: it is made by the first write.

        Without it every call on one that is not there raises NoSuchBucket.
        Raises InvalidBucketName.
        """

    @abstractmethod
    async def close(self) -> None:
        """End; nothing may be under way."""
