"""The catalog and the store that settings describe."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from skerry.catalog.catalog import Catalog
from skerry.catalog.mirrors.base import Mirror
from skerry.catalog.mirrors.hf import Hub
from skerry.catalog.mirrors.https import PlainWeb, Web
from skerry.catalog.mirrors.local import LocalFile, PackagedData
from skerry.catalog.mirrors.npm import NpmPackages
from skerry.catalog.mirrors.pypi import Packages
from skerry.catalog.store import Store
from skerry.settings import Settings


def open_catalog(settings: Settings) -> Catalog:
    """Packaged models, then the user's imported ones, then the folders of the settings.

    Raises CatalogError naming the file and field that cannot be used.
    """
    return Catalog([settings.data_dir / "catalog", *settings.catalog])


def open_mirrors(settings: Settings, environ: Mapping[str, str]) -> list[Mirror]:
    """Every kind of mirror; HF_TOKEN of the environment opens gated repositories of the hub."""
    return [
        Hub(settings.hub, environ.get("HF_TOKEN") or None),
        Packages(),
        NpmPackages(environ, Path.home()),
        Web(),
        PlainWeb(),
        LocalFile(),
        PackagedData(),
    ]


def open_store(settings: Settings, environ: Mapping[str, str] | None = None) -> Store:
    """The user's model store."""
    environ = os.environ if environ is None else environ
    return Store(
        settings.models.expanduser(), open_mirrors(settings, environ), offline=settings.offline
    )
