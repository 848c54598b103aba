"""Run a recipe in a child process, once per set of inputs."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import shutil
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

from skerry.catalog.blobs import Blobs
from skerry.catalog.blocking import Stop, run_blocking
from skerry.catalog.convert.registry import recipe_version
from skerry.catalog.entry import Conversion
from skerry.catalog.files import sha256, write_durably
from skerry.catalog.layout import Layout, StoredFile
from skerry.catalog.workspace import Workspace
from skerry.errors import ConversionFailed, DiskFull


class Job(msgspec.Struct):
    """What the child is told, as JSON on its standard input."""

    recipe: str
    inputs: str
    """Folder with the artifacts."""
    outputs: str
    """Empty folder to write to."""
    options: dict[str, object]


async def run_recipe(
    name: str,
    conversion: Conversion,
    files: Mapping[str, StoredFile],
    layout: Layout,
    blobs: Blobs,
    work: Workspace,
) -> dict[str, StoredFile]:
    """The outputs as blobs: from the cache, or made now. Raises ConversionFailed, DiskFull."""
    key = _key(conversion, files)
    cached = await asyncio.to_thread(_cached, layout.conversion(key), blobs)
    if cached is not None:
        return cached
    folder = await asyncio.to_thread(work.fresh)
    try:
        inputs, outputs = folder / "in", folder / "out"
        await run_blocking(lambda stop: _lay_out(files, inputs, outputs, blobs, stop))
        job = Job(conversion.recipe, str(inputs), str(outputs), dict(conversion.options))
        await _child(name, job)
        made = await run_blocking(lambda stop: _collect(name, conversion, outputs, blobs, stop))
        await asyncio.to_thread(write_durably, layout.conversion(key), msgspec.json.encode(made))
        return made
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, True)


def _key(conversion: Conversion, files: Mapping[str, StoredFile]) -> str:
    inputs = sorted((name, file.sha256) for name, file in files.items())
    version = recipe_version(conversion.recipe)
    what = [conversion.recipe, version, conversion.options, conversion.outputs, inputs]
    return hashlib.sha256(msgspec.json.encode(what, order="deterministic")).hexdigest()


def _cached(path: Path, blobs: Blobs) -> dict[str, StoredFile] | None:
    try:
        made = msgspec.json.decode(path.read_bytes(), type=dict[str, StoredFile])
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    whole = all(blobs.find(file.sha256, file.size) for file in made.values())
    return made if whole else None


def _lay_out(
    files: Mapping[str, StoredFile], inputs: Path, outputs: Path, blobs: Blobs, stop: Stop
) -> None:
    outputs.mkdir(parents=True)
    for name, file in files.items():
        target = inputs / name
        target.parent.mkdir(parents=True, exist_ok=True)
        blobs.link(file.sha256, target, stop)


def _collect(
    name: str, conversion: Conversion, outputs: Path, blobs: Blobs, stop: Stop
) -> dict[str, StoredFile]:
    made: dict[str, StoredFile] = {}
    for output in conversion.outputs:
        path = outputs / output
        if not path.is_file():
            raise ConversionFailed(f"{name}: recipe {conversion.recipe} wrote no {output}")
        size, digest = path.stat().st_size, sha256(path, stop)
        blobs.keep(path, digest)
        made[output] = StoredFile(digest, size)
    return made


async def _child(name: str, job: Job) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "skerry.catalog.convert"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        _, said = await process.communicate(msgspec.json.encode(job))
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    if process.returncode:
        words = said.decode(errors="replace").strip().splitlines()
        reason = words[-1][:500] if words else f"ended with {process.returncode}"
        if "No space left on device" in reason:
            raise DiskFull(f"{name}: no room left to convert it ({reason})")
        raise ConversionFailed(f"{name}: recipe {job.recipe}: {reason}")
