"""https://… (and http:// for mirrors in your own network: the hash decides)."""

from __future__ import annotations

from typing import ClassVar

from skerry.catalog.mirrors.base import Fetch, Mirror
from skerry.catalog.mirrors.http import download


class Web(Mirror):
    """A plain URL."""

    scheme: ClassVar[str] = "https"

    async def fetch(self, address: str, want: Fetch) -> None:
        await download(f"{self.scheme}:{address}", want)


class PlainWeb(Web):
    """The same without TLS."""

    scheme: ClassVar[str] = "http"
