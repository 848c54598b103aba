"""The checks of `skerry doctor`."""

from __future__ import annotations

import platform
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from skerry.errors import CatalogError, EngineError
from skerry.settings import Settings

MINIMUM = (3, 11)
ROOM = 2_000_000_000
"""Free bytes under which the store is called short of room: the starter pack takes 1.2 GB."""
REACH = 5.0
"""Seconds for the hub to answer."""
IN_PROCESS = {"dummy", "upstream"}
"""Engines that need no library: they do not count as able to run a model here."""


class Check(msgspec.Struct, frozen=True):
    """One finding."""

    name: str
    state: Literal["ok", "warn", "fail"]
    detail: str
    fix: str = ""


async def run_checks(settings: Settings, *, verify: bool) -> list[Check]:
    """All checks, in the order in which they are worth reading."""
    return [
        _python(),
        _processor(),
        *_engines(),
        _place("models", settings.models, "SKERRY_MODELS"),
        _place("data", settings.data_dir, "--data-dir"),
        _port(settings),
        await _network(settings),
        *await _models(settings, verify=verify),
    ]


def _python() -> Check:
    found = platform.python_version()
    if sys.version_info >= MINIMUM:
        return Check("python", "ok", found)
    return Check("python", "fail", found, "install Python 3.11 or later and make a new venv")


def _processor() -> Check:
    from skerry.inference.machine import this_machine

    machine = this_machine()
    flags = ", ".join(machine.flags) or "no vector features known to Skerry"
    detail = f"{machine.cores} cores; {flags}"
    slow = platform.machine() in {"x86_64", "AMD64"} and "avx2" not in machine.flags
    if slow:
        return Check("processor", "warn", detail, "without AVX2 models run, but slowly")
    return Check("processor", "ok", detail)


def _engines() -> Iterator[Check]:
    from skerry.engines.registry import engine_names, load_engine

    usable = 0
    for name in engine_names():
        try:
            missing = load_engine(name).missing()
        except EngineError as error:
            yield Check(f"engine {name}", "fail", "cannot be loaded", str(error))
            continue
        if missing is None:
            usable += name not in IN_PROCESS
            yield Check(f"engine {name}", "ok", "installed")
        else:
            yield Check(f"engine {name}", "warn", "not installed", missing)
    if not usable:
        yield Check("engines", "fail", "none can run a model here", "pip install 'skerry[all]'")


def _place(name: str, folder: Path, setting: str) -> Check:
    """Can the folder be written, and is there room?"""
    nearest = folder
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    try:
        free = shutil.disk_usage(nearest).free
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        fix = f"make it writable, or choose another folder ({setting})"
        return Check(name, "fail", f"{folder}: {error.strerror or error}", fix)
    detail = f"{folder}, {free / 1e9:.1f} GB free"
    if free < ROOM:
        return Check(name, "warn", detail, f"free some space, or move it ({setting})")
    return Check(name, "ok", detail)


def _port(settings: Settings) -> Check:
    if settings.port == 0:
        return Check("port", "ok", "any free one")
    where = f"{settings.host}:{settings.port}"
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            fix = "a node may be running already; another port: skerry serve --port 0"
            return Check("port", "warn", f"{where}: {error.strerror or error}", fix)
    return Check("port", "ok", f"{where} is free")


async def _network(settings: Settings) -> Check:
    if settings.offline:
        return Check("network", "ok", "closed by the settings (offline)")
    import aiohttp

    limit = aiohttp.ClientTimeout(total=REACH)
    try:
        async with (
            aiohttp.ClientSession(timeout=limit, trust_env=True) as session,
            session.head(settings.hub, allow_redirects=True) as response,
        ):
            reached = response.status < 500
            detail = f"{settings.hub} answers {response.status}"
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        reached = False
        detail = f"{settings.hub} cannot be reached ({type(error).__name__})"
    if reached:
        return Check("network", "ok", detail)
    fix = (
        "the starter pack (@skerry/…) comes from the package index instead; with no network at"
        " all set offline = true, so that nothing waits for it"
    )
    return Check("network", "warn", detail, fix)


async def _models(settings: Settings, *, verify: bool) -> list[Check]:
    from skerry.catalog.open import open_catalog, open_store

    try:
        entries = open_catalog(settings).entries()
    except CatalogError as error:
        return [Check("catalog", "fail", str(error), "mend or delete that catalog file")]
    store = open_store(settings)
    here = [entry for entry in entries if store.ready(entry) is not None]
    detail = f"{len(entries)} models, {len(here)} in the store"
    fix = "" if here else "skerry models pull @skerry/smollm2-135m-instruct"
    found = [Check("catalog", "ok", detail, fix)]
    for entry in here if verify else []:
        try:
            await store.verify(entry)
        except CatalogError as error:
            found.append(Check(entry.name, "fail", str(error), f"skerry models pull {entry.name}"))
        else:
            found.append(Check(entry.name, "ok", "every file has the hash that it should"))
    return found
