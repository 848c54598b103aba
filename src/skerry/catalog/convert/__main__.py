"""The conversion child: a Job as JSON on standard input; an error is the last line of stderr."""

from __future__ import annotations

import ctypes
import importlib
import os
import signal
import sys
from pathlib import Path

import msgspec

from skerry.catalog.convert.registry import recipe_version
from skerry.catalog.convert.run import Job
from skerry.errors import ConversionFailed

PR_SET_PDEATHSIG = 1


def _end_with_parent() -> None:
    """Have the kernel end this process when the node dies (Linux; elsewhere it runs to its end)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def main() -> int:
    _end_with_parent()
    os.nice(5)
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    recipe_version(job.recipe)
    try:
        recipe = importlib.import_module(f"skerry.catalog.convert.{job.recipe}")
    except ImportError as error:
        sys.stderr.write(f"{error}; pip install skerry[convert]\n")
        return 1
    try:
        recipe.convert(Path(job.inputs), Path(job.outputs), job.options)
    except ConversionFailed as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
