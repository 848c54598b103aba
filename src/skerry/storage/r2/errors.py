"""What R2 refuses, with Cloudflare's codes and texts.

StorageError
└── R2Error
    ├── InvalidBucketName    10005 400
    ├── NoSuchBucket         10006 404
    ├── NoSuchKey            10007 404
    ├── BucketNotEmpty       10008 409
    ├── EntityTooSmall       10011 400
    ├── MetadataTooLarge     10012 400
    ├── IncompleteBody       10013 400
    ├── InvalidObjectName    10020 400
    ├── InvalidMaxKeys       10022 400
    ├── NoSuchUpload         10024 404
    ├── InvalidPart          10025 400
    ├── InvalidArgument      10029 400
    ├── PreconditionFailed   10031 412
    ├── BadDigest            10037 400
    ├── InvalidRange         10039 416
    ├── BadUpload            10048 400
    ├── BucketConflict       10073 409
    └── EntityTooLarge       100100 400

Source: Cloudflare, "R2 error codes"; the texts are those that a worker sees.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from skerry.errors import StorageError

if TYPE_CHECKING:
    from skerry.storage.r2.types import R2Object


class R2Error(StorageError):
    """An error with a v4 code."""

    number: ClassVar[int] = 10001
    http: ClassVar[int] = 500
    text: ClassVar[str] = "We encountered an internal error. Please try again."

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or type(self).text, code=type(self).number, status=type(self).http)


class InvalidBucketName(R2Error):
    """3 to 63 lowercase letters, digits and hyphens, no hyphen at either end."""

    number, http = 10005, 400
    text = "The specified bucket name is not valid."


class NoSuchBucket(R2Error):
    """No bucket of that name."""

    number, http = 10006, 404
    text = "The specified bucket does not exist."


class NoSuchKey(R2Error):
    """No object of that key."""

    number, http = 10007, 404
    text = "The specified key does not exist."


class BucketNotEmpty(R2Error):
    """A bucket with objects is not deleted."""

    number, http = 10008, 409
    text = "The bucket you tried to delete is not empty."


class EntityTooSmall(R2Error):
    """A part below 5 MiB that is not the last."""

    number, http = 10011, 400
    text = "Your proposed upload is smaller than the minimum allowed object size."


class MetadataTooLarge(R2Error):
    """More than 2048 bytes of custom metadata."""

    number, http = 10012, 400
    text = "Your metadata headers exceed the maximum allowed metadata size."


class IncompleteBody(R2Error):
    """Fewer bytes came than were announced."""

    number, http = 10013, 400
    text = "The request body ended before its announced length."


class InvalidObjectName(R2Error):
    """An empty key, or one of more than 1024 bytes."""

    number, http = 10020, 400
    text = "The specified object name is not valid."


class InvalidMaxKeys(R2Error):
    """A list's limit that is not between 1 and 1000."""

    number, http = 10022, 400
    text = "MaxKeys params must be positive integer <= 1000."


class NoSuchUpload(R2Error):
    """A multipart upload that never was, or is over."""

    number, http = 10024, 404
    text = "The specified multipart upload does not exist."


class InvalidPart(R2Error):
    """A part that was not uploaded, or has another etag."""

    number, http = 10025, 400
    text = "One or more of the specified parts could not be found."


class InvalidArgument(R2Error):
    """A request that cannot be understood."""

    number, http = 10029, 400
    text = "Metadata missing or invalid"


class PreconditionFailed(R2Error):
    """`onlyIf` did not hold; `object` is what is there."""

    number, http = 10031, 412
    text = "At least one of the pre-conditions you specified did not hold."

    def __init__(self, found: R2Object | None = None) -> None:
        super().__init__()
        self.object = found


class BadDigest(R2Error):
    """The bytes have another checksum than the caller said."""

    number, http = 10037, 400

    def __init__(self, algorithm: str, given: bytes, found: bytes) -> None:
        super().__init__(
            f"The {algorithm} checksum you specified did not match what we received.\n"
            f"You provided a {algorithm} checksum with value: {given.hex()}\n"
            f"Actual {algorithm} was: {found.hex()}"
        )


class InvalidRange(R2Error):
    """No byte of the object is in the range."""

    number, http = 10039, 416
    text = "The requested range is not satisfiable"


class BadUpload(R2Error):
    """Parts of different sizes."""

    number, http = 10048, 400
    text = "There was a problem with the multipart upload."


class BucketConflict(R2Error):
    """The bucket is there already."""

    number, http = 10073, 409
    text = "The bucket you tried to create already exists, and you own it."


class EntityTooLarge(R2Error):
    """More bytes than an object or a part may have."""

    number, http = 100100, 400
    text = "Your proposed upload exceeds the maximum allowed object size."
