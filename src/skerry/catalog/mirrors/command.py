"""Run a package client (pip, npm) that downloads into a folder."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from skerry.catalog.failures import first_error
from skerry.catalog.files import tree_size
from skerry.errors import ArtifactError, DiskFull

POLL = 0.2
STALL = 600.0
"""Seconds without one new byte after which the client is ended."""


async def run_client(
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    at: Callable[[int], None],
) -> None:
    """Run `command` in `folder`, telling how many bytes it holds; the command's whole process
    group ends with this task. Raises ArtifactError with the client's last words, DiskFull."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=folder,
            env={**os.environ, **environment},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        raise ArtifactError(f"{command[0]} cannot be started: {error}") from error
    try:
        async with asyncio.TaskGroup() as group:
            output = group.create_task(_tail(process))
            watch = group.create_task(_watch(folder, at))
            await process.wait()
            watch.cancel()
    except* ArtifactError as errors:
        first = first_error(errors)
        raise first from first.__cause__
    finally:
        await _end(process)
    if process.returncode:
        words = output.result()
        if "No space left on device" in words or "ENOSPC" in words:
            raise DiskFull(
                f"no room left under {folder.parent} while {Path(command[0]).name} downloaded."
                " Free some space, remove models (skerry models rm NAME) or move the store"
                " (SKERRY_MODELS)."
            )
        raise ArtifactError(f"{_last(words)} (exit {process.returncode})")


async def _tail(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    kept = b""
    while data := await process.stdout.read(1 << 16):
        kept = (kept + data)[-(1 << 14) :]
    return kept.decode(errors="replace")


def _last(words: str) -> str:
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower()] or lines
    return errors[-1][:500] if errors else "failed without a word"


async def _watch(folder: Path, at: Callable[[int], None]) -> None:
    loop = asyncio.get_running_loop()
    size, since = 0, loop.time()
    while True:
        await asyncio.sleep(POLL)
        now = await asyncio.to_thread(tree_size, folder)
        if now != size:
            size, since = now, loop.time()
            at(size)
        elif loop.time() - since > STALL:
            raise ArtifactError(f"brought nothing for {STALL:.0f} s")


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
