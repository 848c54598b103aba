"""HTTP/1.1 as bytes (RFC 9112): heads, and bodies by length, in chunks, or to the end."""

from __future__ import annotations

from _skerry.headers import BAD_VALUE, TOKEN

HEAD_LIMIT = 64 << 10
"""Bytes of a request's or an answer's head."""
SIZE_LINE = 256
"""Bytes of the line before a chunk."""

Pairs = list[tuple[str, str]]


class WireError(Exception):
    """The other side does not speak HTTP; `status` is what it is told."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


def parse_head(head: bytes) -> tuple[str, Pairs]:
    """The first line and the headers of what stands before the empty line. Raises WireError."""
    first, *lines = head.decode("utf-8", "surrogateescape").split("\r\n")
    headers = []
    for line in lines:
        name, parted, value = line.partition(":")
        if not parted or not TOKEN.fullmatch(name):
            raise WireError("a header is not a name, a colon and a value")
        value = value.strip(" \t")
        if BAD_VALUE.search(value):
            raise WireError("a header holds a control character")
        headers.append((name, value))
    return first, headers


def format_head(first: str, headers: Pairs) -> bytes:
    """First line and headers, with the empty line."""
    lines = [first, *(f"{name}: {value}" for name, value in headers), "", ""]
    return "\r\n".join(lines).encode("utf-8", "surrogateescape")


def tokens(headers: Pairs, name: str) -> list[str]:
    """The comma-separated values of a header, in lower case."""
    found = (value for key, value in headers if key.lower() == name)
    return [token.strip().lower() for value in found for token in value.split(",") if token.strip()]


def body_length(headers: Pairs) -> int | None:
    """Bytes of the body; -1 for chunks, None where nothing is said. Raises WireError."""
    lengths = set(tokens(headers, "content-length"))
    codings = tokens(headers, "transfer-encoding")
    if codings and (lengths or codings != ["chunked"]):
        raise WireError("a body is sent by its length or in chunks, nothing else and not both")
    if codings:
        return -1
    if not lengths:
        return None
    if len(lengths) > 1 or not (length := lengths.pop()).isascii() or not length.isdigit():
        raise WireError("content-length is not one number")
    return int(length)


class Decoder:
    """Takes a body's bytes from the front of a buffer.

    length: as of `body_length`; `to_end`: no length, the body ends with the connection.
    """

    def __init__(self, length: int | None, *, to_end: bool = False) -> None:
        self.done = length == 0 or (length is None and not to_end)
        self._chunked = length == -1
        self._left = -1 if length is None else 0 if self._chunked else length
        self._trailer = self._after = False

    def feed(self, buffer: bytearray) -> bytes:
        """What of the body stands in the buffer, taken out of it. Raises WireError."""
        if self.done:
            return b""
        if not self._chunked:
            return self._take(buffer)
        out = []
        while not self.done:
            if self._left:
                data = self._take(buffer)
                if not data:
                    break
                out.append(data)
                self._after = not self._left
                continue
            end = buffer.find(b"\r\n")
            if end < 0:
                if len(buffer) > (HEAD_LIMIT if self._trailer else SIZE_LINE):
                    raise WireError("a chunk has no size")
                break
            line = bytes(buffer[:end])
            del buffer[: end + 2]
            self._line(line)
        return b"".join(out)

    def _line(self, line: bytes) -> None:
        if self._after:
            if line:
                raise WireError("a chunk is longer than its size")
            self._after = False
        elif self._trailer:
            self.done = not line
        else:
            size = line.split(b";")[0].strip()
            if not size or len(size) > 15 or size.strip(b"0123456789abcdefABCDEF"):
                raise WireError("a chunk's size is no number")
            self._left = int(size, 16)
            self._trailer = not self._left

    def _take(self, buffer: bytearray) -> bytes:
        count = len(buffer) if self._left < 0 else min(self._left, len(buffer))
        data = bytes(buffer[:count])
        del buffer[:count]
        if self._left > 0:
            self._left -= count
            self.done = not self._left and not self._chunked
        return data

    def ended(self) -> bool:
        """Was that the last of it?"""
        return self.done

    def end(self) -> None:
        """The connection ended. Raises WireError where the body had not."""
        if not self.done and (self._chunked or self._left >= 0):
            raise WireError("the connection ended within a body")
        self.done = True


def chunk(data: bytes) -> bytes:
    """The data as one chunk; b"" is the last one."""
    return b"%x\r\n%b\r\n" % (len(data), data)
