"""The npm registry without npm: which registry is configured, and where a package's tarball is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import msgspec

from skerry.errors import ArtifactError

_VARIABLE = re.compile(r"\$\{([^}]+)\}")


class _Dist(msgspec.Struct):
    tarball: str


class _Version(msgspec.Struct):
    dist: _Dist


class Registry(msgspec.Struct, frozen=True):
    """A registry and what it wants to see."""

    url: str
    token: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def version_url(self, package: str, version: str) -> str:
        """Where the version's document is."""
        return f"{self.url}/{quote(package, safe='@')}/{version}"


def tarball_url(document: bytes) -> str:
    """The tarball's address in a version's document. Raises ArtifactError."""
    try:
        return msgspec.json.decode(document, type=_Version).dist.tarball
    except msgspec.DecodeError as error:
        raise ArtifactError(f"the registry's answer is no version's document: {error}") from error


def find_registry(package: str, environ: Mapping[str, str], home: Path) -> Registry:
    """The registry for a package: its scope's, npm_config_registry, or .npmrc's.

    Blocking. Reads the file that npm_config_userconfig names, else ~/.npmrc. Raises ArtifactError
    where none is configured: npm itself knows the public one.
    """
    lowered = {name.lower(): value for name, value in environ.items()}
    user = lowered.get("npm_config_userconfig")
    settings = _read(Path(user) if user else home / ".npmrc", environ)
    scope = package.partition("/")[0] if package.startswith("@") else None
    url = (
        (settings.get(f"{scope}:registry") if scope else None)
        or lowered.get("npm_config_registry")
        or settings.get("registry")
    )
    if url is None:
        raise ArtifactError(
            "npm is not installed and no npm registry is configured: install npm, or set"
            " npm_config_registry or `registry` in ~/.npmrc"
        )
    url = url.rstrip("/")
    place = url.partition(":")[2]
    tokens = [
        value
        for name, value in settings.items()
        if name.endswith(":_authToken") and f"{place}/".startswith(name.removesuffix(":_authToken"))
    ]
    return Registry(url, tokens[0] if tokens else None)


def _read(path: Path, environ: Mapping[str, str]) -> dict[str, str]:
    try:
        text = path.read_text()
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ArtifactError(f"npm's configuration cannot be read: {error}") from error
    out: dict[str, str] = {}
    for line in text.splitlines():
        name, equals, value = line.strip().partition("=")
        if equals and not name.startswith(("#", ";")):
            plain = value.strip().strip("\"'")
            out[name.strip()] = _VARIABLE.sub(lambda m: environ.get(m[1], ""), plain)
    return out
