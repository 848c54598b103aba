"""FormData and URLSearchParams, and how forms are written and read (RFC 7578, WHATWG URL)."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlencode

from _skerry.blobs import Blob, File
from _skerry.headers import pairs_of
from _skerry.values import Array

PARAMETER = re.compile(r';\s*([\w*-]+)=("[^"\r\n]*"|[^;\s]*)')
"""A quote within quotes is %22, as browsers and RFC 7578 have it; a backslash is a backslash."""


class _Pairs:
    """Names with any number of values, in order."""

    def __init__(self, init: Any = None) -> None:
        self._pairs: list[tuple[str, Any]] = []
        for name, value in pairs_of(init):
            self.append(name, value)

    @classmethod
    def new(cls, init: Any = None) -> Any:
        return cls(init)

    def append(self, name: str, value: Any, *_: Any) -> None:
        self._pairs.append((name, value if isinstance(value, Blob) else str(value)))

    def set(self, name: str, value: Any, *_: Any) -> None:
        if isinstance(value, list):
            raise TypeError(f"one value at a time: append() {name!r} for each")
        self.delete(name)
        self.append(name, value)

    __setitem__ = set

    def delete(self, name: str) -> None:
        self._pairs = [pair for pair in self._pairs if pair[0] != name]

    __delitem__ = delete

    def get(self, name: str, default: Any = None) -> Any:
        return next((value for key, value in self._pairs if key == name), default)

    def __getitem__(self, name: str) -> Any:
        return self.get(name)

    def get_all(self, name: str) -> Array:
        return Array(value for key, value in self._pairs if key == name)

    getAll = get_all

    def has(self, name: str) -> bool:
        return any(key == name for key, _ in self._pairs)

    def __contains__(self, name: object) -> bool:
        return any(key == name for key, _ in self._pairs)

    def keys(self) -> Iterator[str]:
        return (name for name, _ in self._pairs)

    def values(self) -> Iterator[Any]:
        return (value for _, value in self._pairs)

    def items(self) -> Iterator[tuple[str, Any]]:
        return iter(list(self._pairs))

    entries = items

    def __len__(self) -> int:
        return len(self._pairs)

    def to_py(self, **_: Any) -> dict[str, Any]:
        return dict(self._pairs)


class FormData(_Pairs):
    """Fields and files of a form."""

    def append(self, name: str, value: Any, filename: str | None = None, *_: Any) -> None:
        if isinstance(value, Blob) and (filename or not isinstance(value, File)):
            value = File(value, filename or "blob", value.content_type)
        super().append(name, value)

    def __iter__(self) -> Iterator[str]:
        return self.keys()

    @property
    def js_object(self) -> FormData:
        return self

    def encode(self) -> tuple[bytes, str]:
        """The body as multipart/form-data, and its content type."""
        boundary = f"----skerry{secrets.token_hex(16)}"
        out: list[bytes] = []
        for name, value in self._pairs:
            head = f'--{boundary}\r\nContent-Disposition: form-data; name="{_quoted(name)}"'
            if isinstance(value, Blob):
                kind = value.content_type or "application/octet-stream"
                name = _quoted(value.name if isinstance(value, File) else "blob")
                head += f'; filename="{name}"\r\nContent-Type: {kind}'
            data = value.content() if isinstance(value, Blob) else value.encode()
            out += [head.encode(), b"\r\n\r\n", data, b"\r\n"]
        out.append(f"--{boundary}--\r\n".encode())
        return b"".join(out), f"multipart/form-data; boundary={boundary}"


class URLSearchParams(_Pairs):
    """The query of a URL."""

    def __init__(self, init: Any = None) -> None:
        if isinstance(init, str):
            init = parse_qsl(init.removeprefix("?"), keep_blank_values=True)
        super().__init__(init)

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        return self.items()

    def toString(self) -> str:
        return urlencode(self._pairs)

    __str__ = toString

    @property
    def size(self) -> int:
        return len(self._pairs)


def _quoted(name: str) -> str:
    return name.replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22")


def _parameters(value: str) -> dict[str, str]:
    found = {}
    for name, given in PARAMETER.findall(value):
        found[name.lower()] = given[1:-1] if given.startswith('"') else given
    return found


def parse_form(data: bytes, content_type: str) -> FormData:
    """The fields of a body. Raises TypeError where it is no form."""
    kind = content_type.split(";")[0].strip().lower()
    if kind == "application/x-www-form-urlencoded":
        return FormData(parse_qsl(data.decode(errors="replace"), keep_blank_values=True))
    boundary = _parameters(content_type).get("boundary")
    if kind != "multipart/form-data" or not boundary:
        raise TypeError(
            f"Unrecognized Content-Type header value {content_type[:100]!r}: form_data() reads"
            " multipart/form-data with a boundary and application/x-www-form-urlencoded"
        )
    mark = b"--" + boundary.encode()
    form = FormData()
    ended = False
    # The first piece is what stands before the first boundary.
    for piece in (b"\r\n" + data).split(b"\r\n" + mark)[1:]:
        if piece.startswith(b"--"):
            ended = True
            break
        head, parted, content = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        if not parted:
            raise TypeError("a part of the multipart body has no end of its headers")
        _add_part(form, head.decode(errors="replace"), content)
    if not ended:
        raise TypeError("the multipart body ends before its last boundary")
    return form


def _add_part(form: FormData, head: str, content: bytes) -> None:
    lines = (line.partition(":") for line in head.split("\r\n"))
    headers = {name.strip().lower(): value.strip() for name, _, value in lines}
    given = _parameters(headers.get("content-disposition", ""))
    if "name" not in given:
        raise TypeError("a part of the multipart body has no name")
    name = _unquoted(given["name"])
    if "filename" in given:
        kind = headers.get("content-type", "application/octet-stream")
        form.append(name, File([content], _unquoted(given["filename"]), kind))
    else:
        form.append(name, content.decode(errors="replace"))


def _unquoted(name: str) -> str:
    return name.replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n")
