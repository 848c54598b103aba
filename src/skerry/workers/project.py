"""A worker's project: what its configuration says, checked, with the defaults filled in."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec

from skerry.workers.bindings import Binding
from skerry.workers.diagnostics import Diagnostic

Language = Literal["javascript", "python"]
HtmlHandling = Literal["auto-trailing-slash", "force-trailing-slash", "drop-trailing-slash", "none"]
NotFoundHandling = Literal["single-page-application", "404-page", "none"]
RuleType = Literal[
    "ESModule", "CommonJS", "CompiledWasm", "Text", "Data", "PythonModule", "PythonRequirement"
]

COMPATIBILITY_DATE = "2026-11-17"
"""The newest date that the pinned workerd knows; taken where a project names none."""


class Secrets(dict[str, str]):
    """Name -> value, of `.dev.vars` or `.env`. Prints its names only."""

    def __repr__(self) -> str:
        return f"Secrets({', '.join(sorted(self))})"

    __str__ = __repr__


class QueueConsumer(msgspec.Struct, frozen=True, kw_only=True):
    """A queue whose batches this worker takes. Times in seconds."""

    queue: str
    max_batch_size: int = 10
    max_batch_timeout: float = 5
    max_retries: int = 3
    dead_letter_queue: str | None = None
    max_concurrency: int | None = None
    retry_delay: int = 0


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """Public requests that this worker answers: a pattern, or a whole host (custom_domain)."""

    pattern: str
    custom_domain: bool = False
    zone_name: str | None = None
    zone_id: str | None = None


class Assets(msgspec.Struct, frozen=True, kw_only=True):
    """A folder of static files. run_worker_first: always, never, or for these paths."""

    directory: Path
    binding: str | None = None
    html_handling: HtmlHandling = "auto-trailing-slash"
    not_found_handling: NotFoundHandling = "none"
    run_worker_first: bool | tuple[str, ...] = False


class ModuleRule(msgspec.Struct, frozen=True, kw_only=True):
    """Files that match one of `globs` are modules of this type."""

    type: RuleType
    globs: tuple[str, ...]
    fallthrough: bool = False


MODULE_RULES = (
    ModuleRule(type="Text", globs=("**/*.txt", "**/*.html", "**/*.sql")),
    ModuleRule(type="Data", globs=("**/*.bin",)),
    ModuleRule(type="CompiledWasm", globs=("**/*.wasm", "**/*.wasm?module")),
)
"""Wrangler's own rules; they stand after a project's."""


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """A worker as it is to be run. Paths are absolute."""

    root: Path
    """The folder of the configuration; everything in it is relative to it."""
    name: str
    main: Path | None
    """The entry module; None: static files only."""
    language: Language
    compatibility_date: str = COMPATIBILITY_DATE
    compatibility_flags: tuple[str, ...] = ()
    vars: dict[str, Any] = {}
    """Name -> text or JSON value."""
    secrets: Secrets = msgspec.field(default_factory=Secrets)
    """They replace vars of the same name."""
    bindings: tuple[Binding, ...] = ()
    consumers: tuple[QueueConsumer, ...] = ()
    crons: tuple[str, ...] = ()
    routes: tuple[Route, ...] = ()
    assets: Assets | None = None
    rules: tuple[ModuleRule, ...] = MODULE_RULES
    """In order: the first that matches a file counts."""
    define: dict[str, str] = {}
    alias: dict[str, str] = {}
    minify: bool = False
    keep_names: bool = True
    tsconfig: Path | None = None
    jsx_factory: str = "React.createElement"
    jsx_fragment: str = "React.Fragment"
    cpu_ms: int | None = None
    """Milliseconds of CPU time for one invocation; None: the node's own limit."""
    environment: str | None = None
    """The chosen `env.NAME`."""
    files: tuple[Path, ...] = ()
    """Configuration files that were read: a change to one means loading anew."""
    diagnostics: tuple[Diagnostic, ...] = ()
    """What is to be said about the configuration: warnings only."""


def load_project(path: Path, *, env: str | None = None) -> Project:
    """The project of a folder with a wrangler configuration, of such a file, or of one code file.

    env: the `env.NAME` block to take. Raises ProjectError with every fault, each with file and
    line. What is odd but no fault is in `Project.diagnostics`.
    """
    from skerry.workers.wrangler.load import load  # tables and parsers that only this call needs

    return load(path, env)
