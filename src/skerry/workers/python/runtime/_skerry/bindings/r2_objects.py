"""R2's objects, conditions, ranges and metadata, between Python and the wire."""

from __future__ import annotations

import base64
import datetime as dt
from email.utils import parsedate_to_datetime
from typing import Any

from _skerry.body import Body
from _skerry.headers import Headers
from _skerry.streams import ReadableStream
from _skerry.values import Date, Result, Uint8Array, options

CHECKSUMS = ("md5", "sha1", "sha256", "sha384", "sha512")
HTTP_HEADERS = {
    "contentType": "content-type", "contentLanguage": "content-language",
    "contentDisposition": "content-disposition", "contentEncoding": "content-encoding",
    "cacheControl": "cache-control", "cacheExpiry": "expires",
}  # fmt: skip


class Checksums(Result):
    """Name -> digest as bytes."""

    def toJSON(self) -> dict[str, str]:
        return {name: value.hex() for name, value in dict.items(self)}


class R2Object:
    """What is known of an object."""

    def __init__(self, found: dict[str, Any]) -> None:
        self.key: str = found["name"]
        self.version: str = found["version"]
        self.size = int(found["size"])
        self.etag: str = found["etag"]
        self.httpEtag = f'"{self.etag}"'
        self.uploaded = Date.at(int(found["uploaded"]) / 1000)
        self.storageClass: str = found.get("storageClass") or "Standard"
        http = Result(found.get("httpFields") or {})
        if "cacheExpiry" in http:
            http["cacheExpiry"] = Date.at(int(http["cacheExpiry"]) / 1000)
        self.httpMetadata = http
        custom = found.get("customFields") or []
        self.customMetadata = Result({each["k"]: each["v"] for each in custom})
        sums = found.get("checksums") or {}
        named = {CHECKSUMS[int(at)]: Uint8Array(bytes.fromhex(text)) for at, text in sums.items()}
        self.checksums = Checksums(named)
        span = found.get("range")
        self.range = None
        if span:
            self.range = Result({name: int(number) for name, number in span.items()})

    @property
    def http_etag(self) -> str:
        return self.httpEtag

    @property
    def http_metadata(self) -> Result:
        return self.httpMetadata

    @property
    def custom_metadata(self) -> Result:
        return self.customMetadata

    def writeHttpMetadata(self, headers: Any) -> None:
        """Set the headers that the object's metadata names."""
        for name, header in HTTP_HEADERS.items():
            value = self.httpMetadata.get(name)
            if isinstance(value, Date):
                value = value.astimezone(dt.UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
            if value is not None:
                headers[header] = value

    write_http_metadata = writeHttpMetadata

    def __getitem__(self, name: str) -> Any:
        try:
            return getattr(self, name)
        except AttributeError:
            raise KeyError(name) from None

    def to_py(self, **_: Any) -> dict[str, Any]:
        shown = {
            name: value
            for name, value in vars(self).items()
            if not name.startswith("_") and name != "checksums" and value is not None
        }
        return {**shown, "checksums": self.checksums.toJSON()}

    def __repr__(self) -> str:
        return f"{type(self).__name__}(key={self.key!r}, size={self.size})"


class R2ObjectBody(R2Object, Body):
    """An object and its bytes: text(), json(), bytes(), blob(), body."""

    def __init__(self, found: dict[str, Any], body: Any) -> None:
        R2Object.__init__(self, found)
        headers = Headers()
        self.writeHttpMetadata(headers)
        Body.__init__(self, ReadableStream(body), headers)


def condition(given: Any) -> dict[str, Any]:
    """`onlyIf` for the wire: an object, or headers as RFC 9110 has them."""
    if given is None:
        return {}
    if isinstance(given, Headers):
        return {"onlyIf": _from_headers(given)} if _from_headers(given) else {}
    fields = options(given, {})
    out: dict[str, Any] = {}
    for name in ("etagMatches", "etagDoesNotMatch"):
        if name in fields:
            out[name] = _etags(fields[name])
    for name in ("uploadedBefore", "uploadedAfter"):
        if name in fields:
            out[name] = str(_milliseconds(fields[name]))
    if fields.get("secondsGranularity"):
        out["secondsGranularity"] = True
    return {"onlyIf": out}


def _from_headers(headers: Headers) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for header, name in (("if-match", "etagMatches"), ("if-none-match", "etagDoesNotMatch")):
        if header in headers:
            out[name] = _etags(headers[header])
    dates = (("if-unmodified-since", "uploadedBefore"), ("if-modified-since", "uploadedAfter"))
    for header, name in dates:
        text = headers[header]
        if text:
            out[name] = str(_milliseconds(parsedate_to_datetime(text)))
            out["secondsGranularity"] = True
    return out


def _etags(given: Any) -> list[dict[str, str]]:
    texts = given.split(",") if isinstance(given, str) else list(given)
    out = []
    for text in (str(each).strip() for each in texts):
        if text == "*":
            out.append({"type": "wildcard", "value": ""})
        elif text.startswith("W/"):
            out.append({"type": "weak", "value": text[2:].strip('"')})
        else:
            out.append({"type": "strong", "value": text.strip('"')})
    return out


def _milliseconds(moment: Any) -> int:
    if isinstance(moment, dt.datetime):
        return round(
            (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp() * 1000
        )
    return int(moment)


def range_of(given: Any) -> dict[str, Any]:
    """`range` for the wire: an object, or headers that hold a Range."""
    if isinstance(given, Headers):
        text = given["range"]
        return {"rangeHeader": text} if text else {}
    fields = options(given, {})
    return {"range": {name: str(int(number)) for name, number in fields.items()}}


def http_fields(given: Any) -> dict[str, str]:
    """`httpMetadata` for the wire: an object, or headers."""
    if isinstance(given, Headers):
        found = {name: given[header] for name, header in HTTP_HEADERS.items()}
        fields: dict[str, Any] = {name: text for name, text in found.items() if text is not None}
        if "cacheExpiry" in fields:
            fields["cacheExpiry"] = parsedate_to_datetime(fields["cacheExpiry"])
    else:
        fields = options(given, {})
    if "cacheExpiry" in fields:
        fields["cacheExpiry"] = _milliseconds(fields["cacheExpiry"])
    return {name: str(text) for name, text in fields.items()}


def digest(name: str, given: Any) -> str:
    """A checksum for the wire: given as hex or bytes; md5 goes as base64, the others as hex."""
    data = bytes.fromhex(given) if isinstance(given, str) else bytes(given)
    return base64.b64encode(data).decode() if name == "md5" else data.hex()
