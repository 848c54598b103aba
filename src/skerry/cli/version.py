"""skerry version."""

from __future__ import annotations

import platform

import typer

import skerry
from skerry.cli.options import Json
from skerry.cli.output import print_json


def version(*, json: Json = False) -> None:
    """Print the versions of Skerry, of Python and of the machine.

    Example: `skerry version --json`
    """
    if json:
        print_json(
            {
                "skerry": skerry.__version__,
                "python": platform.python_version(),
                "platform": platform.platform(),
            }
        )
    else:
        typer.echo(f"skerry {skerry.__version__} (Python {platform.python_version()})")
