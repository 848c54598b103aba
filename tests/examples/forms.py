"""Forms as a browser sends them."""

from __future__ import annotations

from uuid import uuid4


def form(fields: dict[str, str], photos: dict[str, bytes]) -> tuple[bytes, dict[str, str]]:
    """A multipart body with text fields and files called `photo`, and its headers."""
    boundary = uuid4().hex
    out = b""
    for name, text in fields.items():
        out += _part(boundary, f'name="{name}"', text.encode())
    for name, data in photos.items():
        out += _part(boundary, f'name="photo"; filename="{name}"', data)
    out += f"--{boundary}--\r\n".encode()
    return out, {"content-type": f"multipart/form-data; boundary={boundary}"}


def _part(boundary: str, disposition: str, data: bytes) -> bytes:
    head = f"--{boundary}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n"
    return head.encode() + data + b"\r\n"
