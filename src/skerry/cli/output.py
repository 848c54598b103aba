"""Printing: JSON for programs, rich text for people."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


WIDE = 200
"""Columns where the output goes to a file or a pipe, so that grep finds whole names."""


def print_json(value: Any) -> None:
    """One JSON document on stdout; bytes as base64, arrays as lists, structs as objects."""
    import msgspec

    data = msgspec.json.encode(value, enc_hook=_plain)
    if sys.stdout.isatty():
        data = msgspec.json.format(data, indent=2)
    sys.stdout.write(data.decode() + "\n")
    sys.stdout.flush()


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):  # numpy, without importing it
        return value.tolist()
    return str(value)


def out() -> Console:
    """The console of stdout."""
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = WIDE
    return console


def err() -> Console:
    """The console of stderr: progress and remarks."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def table(*columns: str) -> Table:
    """A plain table; a column's name that starts with > is set to the right."""
    from rich.table import Table

    made = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        name = column.removeprefix(">")
        right = name != column
        # The first column holds names, which one wants to copy whole.
        made.add_column(
            name,
            justify="right" if right else "left",
            overflow="fold",
            no_wrap=right or not made.columns,
        )
    return made


def size(count: int | None) -> str:
    """Bytes for people: "98 MB"; a dash for None or 0."""
    if not count:
        return "-"
    if count < 1_000_000:
        return f"{count / 1e3:.0f} kB"
    if count < 1_000_000_000:
        return f"{count / 1e6:.0f} MB"
    return f"{count / 1e9:.1f} GB"
