"""An image's size from its first bytes, with nothing decoded and no library."""

from __future__ import annotations

import struct

from skerry.errors import InvalidData, RequestTooLarge

MAX_PIXELS = 50_000_000
"""Width x height of the largest image: a decoded one takes four bytes a pixel."""
MAX_SEGMENTS = 4096
"""Of a JPEG, before its size; a photo has some tens."""


_BEGINNINGS = (
    b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"BM",
    b"II*\0", b"MM\0*", b"II\0*", b"MM*\0", b"II+\0", b"MM\0+",
)  # fmt: skip
"""Of PNG, JPEG, GIF, BMP and TIFF."""


def check_format(data: bytes, field: str = "image") -> None:
    """Raises InvalidData for what begins like none of the formats that are read."""
    webp = data.startswith(b"RIFF") and data[8:12] == b"WEBP"
    avif = data[4:8] == b"ftyp"
    if not (data.startswith(_BEGINNINGS) or webp or avif):
        raise InvalidData(
            f"{field} is no image that can be read. Send PNG, JPEG, GIF, WebP, BMP, TIFF or AVIF"
        )


def check_size(data: bytes, field: str = "image") -> None:
    """Raises RequestTooLarge for too many pixels, InvalidData for none or an unreadable header.

    A format that this does not know passes; it is looked at again when it is opened.
    """
    size = image_size(data)
    if size is not None:
        check_pixels(*size, field)
    elif data.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8", b"GIF8")):
        raise InvalidData(f"{field} ends, or is broken, before it says its size. Send another file")


def check_pixels(width: int, height: int, field: str = "image") -> None:
    """Raises RequestTooLarge, or InvalidData."""
    if width < 1 or height < 1:
        raise InvalidData(f"{field} says that it is {width} x {height} pixels. Send another file")
    if width * height > MAX_PIXELS:
        raise RequestTooLarge(
            f"{field} is {width} x {height} pixels; at most {MAX_PIXELS // 1_000_000} million"
            " are taken. Make it smaller"
        )


def image_size(data: bytes) -> tuple[int, int] | None:
    """(width, height) of a PNG, JPEG, GIF, WebP or BMP; None for what is none of them.

    A file that ends before its size has none either.
    """
    try:
        if data.startswith(b"\x89PNG\r\n\x1a\n"):
            return _pair(">II", data, 16)
        if data.startswith((b"GIF87a", b"GIF89a")):
            return _pair("<HH", data, 6)
        if data.startswith(b"\xff\xd8"):
            return _jpeg(data)
        if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
            return _webp(data)
        if data.startswith(b"BM"):
            width, height = _pair("<ii", data, 18)
            return abs(width), abs(height)
    except struct.error:
        return None
    return None


def _pair(form: str, data: bytes, at: int) -> tuple[int, int]:
    first, second = struct.unpack_from(form, data, at)
    return first, second


def _jpeg(data: bytes) -> tuple[int, int] | None:
    """ITU T.81 B.1: segments of marker and length up to the frame header (SOF)."""
    at = 2
    for _ in range(MAX_SEGMENTS):
        if at + 9 > len(data):
            return None
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = _pair(">HH", data, at + 5)
            return width, height
        elif marker == 0x01 or 0xD0 <= marker <= 0xD8:
            at += 2
        elif marker in (0xD9, 0xDA):
            return None
        else:
            at += 2 + max(2, int.from_bytes(data[at + 2 : at + 4], "big"))
    return None


def _webp(data: bytes) -> tuple[int, int] | None:
    """RFC 9649: the first chunk is VP8X (canvas), VP8 (lossy) or VP8L (lossless)."""
    kind = data[12:16]
    if kind == b"VP8X" and len(data) >= 30:
        width = int.from_bytes(data[24:27], "little") + 1
        return width, int.from_bytes(data[27:30], "little") + 1
    if kind == b"VP8 ":
        width, height = _pair("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L" and len(data) >= 25:
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return None
