"""Where things are in the store.

root/
  blobs/sha256/ab/abcd…          whole, verified files, by their hash; read-only
  models/NAME/FINGERPRINT/       a model: links to blobs under their names, and .manifest.json;
                                 appears by one rename, whole
  partial/KEY                    the first bytes of a blob to be
  work/FINGERPRINT/              packages and archives of a pull under way
  conversions/KEY.json           what a conversion of these inputs gave
  pins.json                      hashes learned at the first pull of hub files without one
  locks/                         lock files (flock)
  trash/                         on its way out
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from skerry.catalog.convert.registry import recipe_version
from skerry.catalog.entry import Artifact, Entry

MANIFEST = ".manifest.json"


class StoredFile(msgspec.Struct, frozen=True):
    """A file of a model directory."""

    sha256: str
    size: int
    mirror: str | None = None
    """The mirror that it came from; None for a conversion's output."""


class Manifest(msgspec.Struct, frozen=True):
    """What a model directory holds: written last, before the directory appears."""

    name: str
    fingerprint: str
    pulled: float
    """Seconds since the epoch."""
    files: dict[str, StoredFile]


def fingerprint(entry: Entry) -> str:
    """Names the directory of exactly these artifacts and this conversion."""
    conversion = entry.conversion
    parts: list[object] = [
        [[a.name, a.sha256 or [_text(m) for m in a.mirrors]] for a in entry.artifacts]
    ]
    if conversion is not None:
        parts += [conversion.recipe, recipe_version(conversion.recipe), conversion.options]
        parts += [conversion.outputs]
    return hashlib.sha256(msgspec.json.encode(parts, order="deterministic")).hexdigest()[:32]


def _text(mirror: object) -> str:
    return mirror if isinstance(mirror, str) else msgspec.json.encode(mirror).decode()


def pin_key(entry: Entry, artifact: Artifact) -> str:
    """Under what an artifact without a hash is pinned: its first mirror."""
    first = _text(artifact.mirrors[0]) if artifact.mirrors else entry.name
    return f"{artifact.name} {first}"


class Layout:
    """Paths under one root."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def blob(self, sha256: str) -> Path:
        return self.root / "blobs" / "sha256" / sha256[:2] / sha256

    def partial(self, key: str) -> Path:
        return self.root / "partial" / _safe(key)

    def new(self, entry: Entry, artifact: Artifact) -> str:
        """The key of a partial file whose hash nobody knows yet."""
        text = f"{entry.name} {pin_key(entry, artifact)}"
        return "new-" + hashlib.sha256(text.encode()).hexdigest()

    def lock(self, key: str) -> Path:
        return self.root / "locks" / f"{_safe(key)}.lock"

    def models(self, name: str) -> Path:
        """All directories of a model, old ones included."""
        return self.root / "models" / name.removeprefix("@").replace("/", "--")

    def model(self, entry: Entry) -> Path:
        return self.models(entry.name) / fingerprint(entry)

    def work(self, entry: Entry) -> Path:
        return self.root / "work" / fingerprint(entry)

    def conversion(self, key: str) -> Path:
        return self.root / "conversions" / f"{key}.json"

    @property
    def pins(self) -> Path:
        return self.root / "pins.json"

    @property
    def trash(self) -> Path:
        return self.root / "trash"


def _safe(key: str) -> str:
    plain = len(key) <= 100 and all(c.isalnum() or c in "-_." for c in key) and key[0] != "."
    return key if plain else hashlib.sha256(key.encode()).hexdigest()
