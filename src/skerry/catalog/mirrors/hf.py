"""hf:org/repo@revision/path from the Hugging Face hub, or anything that speaks its protocol."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar
from urllib.parse import quote

from skerry.catalog.mirrors.base import Fetch, Mirror
from skerry.catalog.mirrors.http import download
from skerry.errors import ArtifactError, HashMismatch

ADDRESS = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)@(?P<revision>[^/@]+)/(?P<path>.+)")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class Hub(Mirror):
    """GET {base}/{repo}/resolve/{revision}/{path}, with redirects to the hub's storage.

    The hub names the sha256 of a large file in X-Linked-Etag, before the first byte: other bytes
    than the catalog's are refused then and there. `token` goes to the hub's own host only.
    """

    scheme: ClassVar[str] = "hf"

    def __init__(self, base: str, token: str | None = None) -> None:
        self._base = base.rstrip("/")
        self._token = token

    async def fetch(self, address: str, want: Fetch) -> None:
        match = ADDRESS.fullmatch(address)
        if match is None:
            raise ArtifactError("is not of the form hf:org/repo@revision/path")
        revision, path = quote(match["revision"], safe=""), quote(match["path"])
        url = f"{self._base}/{match['repo']}/resolve/{revision}/{path}"
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}

        def look(answer: Mapping[str, str]) -> None:
            for name in ("X-Linked-Etag", "ETag"):
                tag = answer.get(name, "").removeprefix("W/").strip('"')
                if want.sha256 and _SHA256.fullmatch(tag) and tag != want.sha256:
                    raise HashMismatch(f"has sha256 {tag} where the catalog says {want.sha256}")

        def explain(status: int) -> str | None:
            if status in {401, 403}:
                how = "HF_TOKEN has no access to it" if self._token else "set HF_TOKEN"
                return (
                    f"answered HTTP {status}: {match['repo']} is gated or private; accept its"
                    f" terms on the hub, then {how}"
                )
            if status == 404:
                return (
                    f"answered HTTP 404: {match['repo']}@{match['revision']} has no {match['path']}"
                )
            return None

        await download(url, want, headers=headers, look=look, explain=explain)
