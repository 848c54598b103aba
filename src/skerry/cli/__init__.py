"""The `skerry` command: one file per command group."""

from __future__ import annotations


def main() -> None:
    """Run the command line; ends the process."""
    import sys

    from skerry.cli.app import run

    sys.exit(run(sys.argv[1:]))
