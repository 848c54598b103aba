"""The JSON of R2's wire: what workerd asks, and how objects are told.

Numbers of 64 bits are strings, as Cap'n Proto's JSON has them. Fields that are not known are passed
over, but those that would change what is stored.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

import msgspec

from skerry.storage.r2.base import R2Body
from skerry.storage.r2.errors import InvalidArgument
from skerry.storage.r2.types import (
    GetOptions,
    HttpMetadata,
    ListOptions,
    PutOptions,
    R2Conditional,
    R2Etag,
    R2Object,
    R2Objects,
    R2Range,
)

HTTP, CUSTOM = 0, 1
"""What a list includes, as workerd numbers it."""
_CHECKSUMS = ("md5", "sha1", "sha256", "sha384", "sha512")
"""In the order of the numbers that are their names in an answer."""


class Range(msgspec.Struct):
    """The numbers are unsigned and of 64 bits."""

    offset: str | int | None = None
    length: str | int | None = None
    suffix: str | int | None = None


class Etag(msgspec.Struct):
    type: str = "strong"
    value: str = ""


class Conditional(msgspec.Struct):
    etagMatches: list[Etag] | None = None  # noqa: N815 - the wire's names, here and below
    etagDoesNotMatch: list[Etag] | None = None  # noqa: N815
    uploadedBefore: str | int | None = None  # noqa: N815
    uploadedAfter: str | int | None = None  # noqa: N815
    secondsGranularity: bool = False  # noqa: N815

    def condition(self) -> R2Conditional:
        return R2Conditional(
            etag_matches=_etags(self.etagMatches),
            etag_does_not_match=_etags(self.etagDoesNotMatch),
            uploaded_before=number(self.uploadedBefore),
            uploaded_after=number(self.uploadedAfter),
            seconds_granularity=self.secondsGranularity,
        )


class HttpFields(msgspec.Struct):
    contentType: str | None = None  # noqa: N815
    contentLanguage: str | None = None  # noqa: N815
    contentDisposition: str | None = None  # noqa: N815
    contentEncoding: str | None = None  # noqa: N815
    cacheControl: str | None = None  # noqa: N815
    cacheExpiry: str | int | None = None  # noqa: N815


class Record(msgspec.Struct):
    k: str = ""
    v: str = ""


class Published(msgspec.Struct):
    etag: str
    part: int


class _Request(msgspec.Struct, tag_field="method"):
    version: int


class _OfObject(_Request):
    object: str = ""


class _Encrypted(_OfObject):
    ssec: Any = None

    def check(self) -> None:
        """Raises InvalidArgument where bytes were to be encrypted: that must not be ignored."""
        if self.ssec is not None:
            raise InvalidArgument("ssecKey: encryption with a key of yours is not served here")


class Head(_OfObject, tag="head"):
    pass


class Get(_Encrypted, tag="get"):
    range: Range | None = None
    rangeHeader: str | None = None  # noqa: N815
    onlyIf: Conditional | None = None  # noqa: N815

    def options(self) -> GetOptions:
        self.check()
        wish = self.range
        return GetOptions(
            range=None
            if wish is None
            else R2Range(
                offset=number(wish.offset), length=number(wish.length), suffix=number(wish.suffix)
            ),
            range_header=self.rangeHeader,
            only_if=self.onlyIf.condition() if self.onlyIf is not None else None,
        )


class _Written(_Encrypted):
    customFields: list[Record] = []  # noqa: N815
    httpFields: HttpFields | None = None  # noqa: N815
    onlyIf: Conditional | None = None  # noqa: N815
    md5: str | None = None
    sha1: str | None = None
    sha256: str | None = None
    sha384: str | None = None
    sha512: str | None = None
    storageClass: str | None = None  # noqa: N815

    def options(self, size: int | None) -> PutOptions:
        """What is asked of an object of `size` bytes. Raises InvalidArgument."""
        self.check()
        http = self.httpFields or HttpFields()
        return PutOptions(
            http=HttpMetadata(
                content_type=http.contentType,
                content_language=http.contentLanguage,
                content_disposition=http.contentDisposition,
                content_encoding=http.contentEncoding,
                cache_control=http.cacheControl,
                cache_expiry=number(http.cacheExpiry),
            ),
            custom={each.k: each.v for each in self.customFields},
            only_if=self.onlyIf.condition() if self.onlyIf is not None else None,
            checksums={
                name: _digest(name, text)
                for name in _CHECKSUMS
                if (text := getattr(self, name)) is not None
            },
            storage_class=self.storageClass,
            size=size,
        )


class Put(_Written, tag="put"):
    pass


class Create(_Written, tag="createMultipartUpload"):
    pass


class List(_Request, tag="list"):
    limit: int | None = None
    prefix: str = ""
    cursor: str | None = None
    delimiter: str = ""
    startAfter: str | None = None  # noqa: N815
    include: list[int] = []
    newRuntime: bool = False  # noqa: N815

    def options(self) -> ListOptions:
        everything = not self.newRuntime  # such a runtime sent no `include` that counts
        return ListOptions(
            limit=1000 if self.limit is None else self.limit,
            prefix=self.prefix,
            cursor=self.cursor,
            delimiter=self.delimiter,
            start_after=self.startAfter,
            http=everything or HTTP in self.include,
            custom=everything or CUSTOM in self.include,
        )


class Delete(_Request, tag="delete"):
    object: str | None = None
    objects: list[str] | None = None

    def keys(self) -> list[str]:
        if self.objects is not None:
            return self.objects
        return [] if self.object is None else [self.object]


class UploadPart(_Encrypted, tag="uploadPart"):
    uploadId: str = ""  # noqa: N815
    partNumber: int = 0  # noqa: N815


class Complete(_OfObject, tag="completeMultipartUpload"):
    uploadId: str = ""  # noqa: N815
    parts: list[Published] = []


class Abort(_OfObject, tag="abortMultipartUpload"):
    uploadId: str = ""  # noqa: N815


Request = Head | Get | Put | Create | List | Delete | UploadPart | Complete | Abort

_decoder: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)


def decode(data: bytes) -> Request:
    """A request's JSON. Raises InvalidArgument."""
    try:
        return _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidArgument(f"{InvalidArgument.text}: {error}") from error


def number(value: str | int | None) -> int | None:
    """A number of 64 bits, unsigned. Raises InvalidArgument."""
    if value is None:
        return None
    if isinstance(value, str):
        if not (value.isascii() and value.isdigit() and len(value) <= 20):
            raise InvalidArgument(f"{value[:40]!r} is not a number of 64 bits")
        value = int(value)
    if not 0 <= value < 1 << 64:
        raise InvalidArgument(f"{value} is not a number of 64 bits")
    return None if value == (1 << 64) - 1 else value  # which stands for none


def _etags(given: list[Etag] | None) -> list[R2Etag] | None:
    return None if given is None else [R2Etag(each.value, each.type) for each in given]


def _digest(name: str, text: str) -> bytes:
    """A checksum: md5 is base64, the others are hex. Raises InvalidArgument."""
    try:
        if name == "md5":
            return base64.b64decode(text, validate=True)
        return bytes.fromhex(text)
    except (ValueError, binascii.Error) as error:
        raise InvalidArgument(f"{name}: {text[:100]!r} is not a checksum") from error


def told(made: R2Object, body: R2Body | None = None) -> dict[str, Any]:
    """An object as workerd reads it, with the range that is sent."""
    http = {
        "contentType": made.http.content_type,
        "contentLanguage": made.http.content_language,
        "contentDisposition": made.http.content_disposition,
        "contentEncoding": made.http.content_encoding,
        "cacheControl": made.http.cache_control,
        "cacheExpiry": None if made.http.cache_expiry is None else str(made.http.cache_expiry),
    }
    out: dict[str, Any] = {
        "name": made.key,
        "version": made.version,
        "size": str(made.size),
        "etag": made.etag,
        "uploaded": str(made.uploaded),
        "checksums": {
            str(at): made.checksums[name]
            for at, name in enumerate(_CHECKSUMS)
            if name in made.checksums
        },
        "storageClass": made.storage_class,
        "httpFields": {name: text for name, text in http.items() if text is not None},
        "customFields": [{"k": k, "v": v} for k, v in made.custom.items()],
    }
    if body is not None:
        out["range"] = {"offset": str(body.offset), "length": str(body.length)}
    return out


def told_page(page: R2Objects, options: ListOptions) -> dict[str, Any]:
    """A page of a list; metadata that was not asked for is not there at all."""
    objects = [told(each) for each in page.objects]
    for each in objects:
        if not options.http:
            del each["httpFields"]
        if not options.custom:
            del each["customFields"]
    out = {
        "objects": objects,
        "truncated": page.cursor is not None,
        "delimitedPrefixes": page.delimited_prefixes,
    }
    return out if page.cursor is None else out | {"cursor": page.cursor}
