"""JavaScript's globals that published workers reach through the module `js`."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import hmac
import json
import secrets
import time
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import urljoin, urlsplit, urlunsplit

from _skerry.forms import URLSearchParams
from _skerry.streams import as_bytes
from _skerry.values import Array, Date, Result, Uint8Array, dumps, loads, result

DIGESTS = {
    "SHA-1": "sha1",
    "SHA-256": "sha256",
    "SHA-384": "sha384",
    "SHA-512": "sha512",
    "MD5": "md5",
}


class Json:
    """`JSON.parse` and `JSON.stringify`."""

    @staticmethod
    def parse(text: Any, *_: Any) -> Any:
        return loads(text)

    @staticmethod
    def stringify(value: Any, _replacer: Any = None, indent: Any = None) -> str:
        text = dumps(value)
        return (
            text if not indent else json.dumps(json.loads(text), indent=indent, ensure_ascii=False)
        )


class Object:
    """`Object.fromEntries`, keys, values, entries, assign."""

    @staticmethod
    def new(value: Any = None) -> Result:
        return Result(value or {})

    @staticmethod
    def fromEntries(pairs: Any) -> Result:
        return Result({str(pair[0]): result(pair[1]) for pair in _pairs(pairs)})

    @staticmethod
    def keys(value: Any) -> Array:
        return Array(name for name, _ in _pairs(value))

    @staticmethod
    def values(value: Any) -> Array:
        if isinstance(value, list):
            return Array(value)
        return Array(each for _, each in _pairs(value))

    @staticmethod
    def entries(value: Any) -> Array:
        return Array(Array(pair) for pair in _pairs(value))

    @staticmethod
    def assign(target: Any, *sources: Any) -> Any:
        for source in sources:
            for name, value in _pairs(source or {}):
                target[name] = value
        return target


def _pairs(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(dict.items(value))
    entries = getattr(value, "entries", None)
    return list(entries() if callable(entries) else value)


class JsArray:
    """`Array.new`, `Array.of`, `Array.from_`."""

    @staticmethod
    def new(*items: Any) -> Array:
        return Array(items)

    of = new

    @staticmethod
    def from_(items: Any) -> Array:
        return Array(items)

    @staticmethod
    def isArray(value: Any) -> bool:
        return isinstance(value, list)


class JsUint8Array:
    """`Uint8Array.new(bytes or length)`; of an ArrayBuffer the same."""

    @staticmethod
    def new(source: Any = 0, *_: Any) -> Uint8Array:
        if isinstance(source, int):
            return Uint8Array(source)
        return Uint8Array(bytes(source) if isinstance(source, list) else as_bytes(source))


class JsDate:
    """`Date.now()` and `Date.new(…)`."""

    @staticmethod
    def now() -> int:
        return int(time.time() * 1000)

    @staticmethod
    def new(moment: Any = None, *_: Any) -> Date:
        """Now, or of milliseconds, an ISO 8601 text, or a datetime."""
        if moment is None:
            return Date.at(time.time())
        if isinstance(moment, str):
            moment = dt.datetime.fromisoformat(moment)
        if isinstance(moment, dt.datetime):
            aware = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
            return Date.at(aware.timestamp())
        return Date.at(float(moment) / 1000)


class URL:
    """An absolute URL and its parts. Raises TypeError for what is none."""

    def __init__(self, url: Any, base: Any = None) -> None:
        text = str(url).strip()
        self._parts = urlsplit(urljoin(str(base), text) if base is not None else text)
        if not self._parts.scheme or not (self._parts.netloc or self._parts.path):
            raise TypeError("Invalid URL string.")
        self.searchParams = URLSearchParams(self._parts.query)

    @classmethod
    def new(cls, url: Any, base: Any = None) -> URL:
        return cls(url, base)

    def _replaced(self) -> Any:
        query = str(self.searchParams)
        known = str(URLSearchParams(self._parts.query))
        return self._parts if query == known else self._parts._replace(query=query)

    @property
    def href(self) -> str:
        parts = self._replaced()
        return str(urlunsplit(parts._replace(path=parts.path or "/")))

    @property
    def protocol(self) -> str:
        return f"{self._parts.scheme}:"

    @property
    def host(self) -> str:
        return self._parts.netloc.rpartition("@")[2].lower()

    @property
    def hostname(self) -> str:
        return self._parts.hostname or ""

    @property
    def port(self) -> str:
        usual = {"http": 80, "https": 443}.get(self._parts.scheme)
        return "" if self._parts.port in (None, usual) else str(self._parts.port)

    @property
    def origin(self) -> str:
        return f"{self._parts.scheme}://{self.host}"

    @property
    def pathname(self) -> str:
        return self._parts.path or "/"

    @pathname.setter
    def pathname(self, path: str) -> None:
        self._parts = self._parts._replace(path=path if path.startswith("/") else f"/{path}")

    @property
    def search(self) -> str:
        query = self._replaced().query
        return f"?{query}" if query else ""

    @search.setter
    def search(self, query: str) -> None:
        self._parts = self._parts._replace(query=query.removeprefix("?"))
        self.searchParams = URLSearchParams(self._parts.query)

    @property
    def hash(self) -> str:
        return f"#{self._parts.fragment}" if self._parts.fragment else ""

    @property
    def username(self) -> str:
        return self._parts.username or ""

    @property
    def password(self) -> str:
        return self._parts.password or ""

    def toString(self) -> str:
        return self.href

    __str__ = toString


class TextEncoder:
    @classmethod
    def new(cls, *_: Any) -> TextEncoder:
        return cls()

    def encode(self, text: str = "") -> Uint8Array:
        return Uint8Array(text.encode())


class TextDecoder:
    def __init__(self, encoding: str = "utf-8") -> None:
        self.encoding = encoding

    @classmethod
    def new(cls, encoding: str = "utf-8", *_: Any) -> TextDecoder:
        return cls(encoding)

    def decode(self, data: Any = b"", *_: Any, **__: Any) -> str:
        return as_bytes(data).decode(self.encoding, "replace")


class _Key:
    """A key for HMAC."""

    def __init__(self, data: bytes, digest: str) -> None:
        self.data = data
        self.digest = digest


class Subtle:
    """`crypto.subtle`: digest, and HMAC's importKey, sign and verify."""

    async def digest(self, algorithm: Any, data: Any) -> Uint8Array:
        made = hashlib.new(_digest(algorithm), as_bytes(data), usedforsecurity=False)
        return Uint8Array(made.digest())

    async def importKey(self, kind: str, data: Any, algorithm: Any, *_: Any) -> _Key:
        named = algorithm if isinstance(algorithm, str) else algorithm["name"]
        if kind != "raw" or named.upper() != "HMAC":
            raise NotImplementedError(
                "crypto.subtle has digest() and HMAC with raw keys here; for the rest take a"
                " Python package, cryptography say"
            )
        return _Key(as_bytes(data), _digest(algorithm["hash"]))

    async def sign(self, _algorithm: Any, key: _Key, data: Any) -> Uint8Array:
        return Uint8Array(hmac.digest(key.data, as_bytes(data), key.digest))

    async def verify(self, algorithm: Any, key: _Key, signature: Any, data: Any) -> bool:
        made = await self.sign(algorithm, key, data)
        return hmac.compare_digest(made, as_bytes(signature))

    def timingSafeEqual(self, one: Any, other: Any) -> bool:
        return hmac.compare_digest(as_bytes(one), as_bytes(other))


def _digest(algorithm: Any) -> str:
    name = str(algorithm if isinstance(algorithm, str) else algorithm["name"]).upper()
    if name not in DIGESTS:
        raise ValueError(f"Unrecognized or unimplemented digest algorithm requested: {name[:40]}")
    return DIGESTS[name]


class Crypto:
    """`crypto`."""

    def __init__(self) -> None:
        self.subtle = Subtle()

    def randomUUID(self) -> str:
        return str(uuid.uuid4())

    def getRandomValues(self, array: Any) -> Uint8Array:
        """As many random bytes as the array has; bytes cannot be filled in place."""
        return Uint8Array(secrets.token_bytes(len(array)))


class Performance:
    """`performance.now()` in milliseconds."""

    def __init__(self) -> None:
        self.timeOrigin = time.time() * 1000 - time.monotonic() * 1000

    def now(self) -> float:
        return time.monotonic() * 1000


class Promise:
    """`Promise.all` and its like, of awaitables."""

    @staticmethod
    async def all(work: Any) -> Array:
        return Array(await asyncio.gather(*work))

    @staticmethod
    async def allSettled(work: Any) -> Array:
        done = await asyncio.gather(*work, return_exceptions=True)
        return Array(
            Result(status="rejected", reason=each)
            if isinstance(each, BaseException)
            else Result(status="fulfilled", value=each)
            for each in done
        )

    @staticmethod
    async def race(work: Any) -> Any:
        tasks = [asyncio.ensure_future(each) for each in work]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return next(iter(done)).result()

    @staticmethod
    async def resolve(value: Any = None) -> Any:
        return value


def set_timeout(call: Callable[..., Any], milliseconds: float = 0, *args: Any) -> Any:
    """`setTimeout`: what it gives is taken by clearTimeout."""

    def run() -> None:
        made = call(*args)
        if hasattr(made, "__await__"):
            asyncio.ensure_future(made)  # noqa: RUF006 (as setTimeout has it: nobody waits)

    return asyncio.get_running_loop().call_later(milliseconds / 1000, run)


def clear_timeout(handle: Any) -> None:
    if handle is not None:
        handle.cancel()
