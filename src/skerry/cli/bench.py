"""skerry bench."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

import skerry
from skerry.cli import options
from skerry.errors import SkerryError

SUITES = ("overhead", "embed", "chat", "workers", "bad_input", "soak", "crash", "quality")

Suites = Annotated[
    list[str] | None,
    typer.Argument(
        help=f"Of {', '.join(SUITES)}; without one: the first four.", metavar="[SUITE...]"
    ),
]


def bench(suites: Suites = None, *, json: options.Json = False) -> None:
    """Measure speed, memory or quality on this machine; from a checkout of the source.

    Writes raw figures to `bench/results/` and tables to `docs/bench.md` (quality:
    `docs/models.md`). Exit code 1 where a required figure is missed.

    Example: `skerry bench embed`
    """
    root = Path(skerry.__file__).parents[2]
    if not (root / "bench" / "embed.py").is_file():
        raise SkerryError(
            "the benchmarks come with Skerry's source, not with the package: clone it, make setup,"
            " and run skerry bench from its .venv"
        )
    unknown = [name for name in suites or () if name not in SUITES]
    if unknown:
        raise typer.BadParameter(f"{unknown[0]} is none of {', '.join(SUITES)}")
    command = [sys.executable, "-m", "bench", *(["--json"] if json else []), *(suites or ())]
    raise typer.Exit(subprocess.run(command, cwd=root, check=False).returncode)
