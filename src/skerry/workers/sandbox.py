"""Namespaces of its own for a worker's process, through bubblewrap where the system allows it.

Inside there are the system's programs and libraries, read-only, what is named, and nothing else:
no network, no other process, no file of the node or of the user.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

PROBE = 10.0
"""Seconds that the probe may take."""
SYSTEM = ("/usr", "/lib", "/lib64", "/lib32", "/bin", "/sbin", "/etc/ld.so.cache", "/etc/ssl")


class Sandbox(msgspec.Struct, frozen=True):
    """How workers are shut in. bwrap: its path, or None and `reason` says why not."""

    bwrap: str | None
    reason: str = ""

    def command(
        self,
        command: Sequence[str],
        *,
        cwd: Path,
        read: Sequence[Path],
        write: Sequence[Path] = (),
        info: int | None = None,
    ) -> list[str]:
        """`command` inside, or as it is where there is no sandbox.

        read, write: files and folders that it sees at their own paths. info: descriptor that
        bubblewrap tells the process's id to.
        """
        if self.bwrap is None:
            return list(command)
        out = [self.bwrap, "--unshare-all", "--die-with-parent", "--as-pid-1", "--clearenv"]
        out += ["--cap-drop", "ALL", "--hostname", "worker"]
        for path in SYSTEM:
            if os.path.islink(path):  # noqa: PTH114 (strings on both sides)
                out += ["--symlink", os.readlink(path), path]  # noqa: PTH115
            elif os.path.exists(path):  # noqa: PTH110
                out += ["--ro-bind", path, path]
        out += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]  # noqa: S108 (its own)
        for seen in read:
            out += ["--ro-bind", str(seen), str(seen)]
        for seen in write:
            out += ["--bind", str(seen), str(seen)]
        if info is not None:
            out += ["--info-fd", str(info)]
        return [*out, "--chdir", str(cwd), "--", *command]


async def find_sandbox(*, wanted: bool = True) -> Sandbox:
    """What this system offers, by trying it."""
    if not wanted:
        return Sandbox(None, "the setting `sandbox` is off")
    if sys.platform != "linux":
        return Sandbox(None, "there is no bubblewrap for this system")
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        return Sandbox(None, "bubblewrap (bwrap) is not installed")
    probe = Sandbox(bwrap).command(["/usr/bin/env", "true"], cwd=Path("/"), read=())
    process = await asyncio.create_subprocess_exec(
        *probe,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(PROBE):
            _, words = await process.communicate()
    except TimeoutError:
        return Sandbox(None, f"bubblewrap did not start within {PROBE:.0f} s")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        said = words.decode(errors="replace").strip().splitlines()
        return Sandbox(None, f"bubblewrap cannot start here: {said[-1] if said else 'no reason'}")
    return Sandbox(bwrap)
