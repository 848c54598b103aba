"""Options that several commands share, and the settings that they make."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from skerry.settings import Settings, load

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help="Settings file; else $SKERRY_CONFIG or ./skerry.toml.",
        show_default=False,
    ),
]
DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Where the node keeps its data.", show_default=False),
]
Offline = Annotated[bool, typer.Option("--offline", help="Close the network.")]
Model = Annotated[
    str, typer.Argument(help="A model's name, as in `skerry models list`.", metavar="MODEL")
]


class Interrupted(Exception):
    """Ctrl-C, with what the user should know (a pull can be continued)."""


def settings(
    config: Path | None = None,
    data_dir: Path | None = None,
    *,
    offline: bool = False,
    **changes: Any,
) -> Settings:
    """Settings with the options that were given. Raises SettingsError."""
    return load(config, data_dir=data_dir, offline=offline or None, **changes)
