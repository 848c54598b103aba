"""skerry doctor."""

from __future__ import annotations

from typing import Annotated

import typer

from skerry.cli import options
from skerry.cli.output import out, print_json, table

Verify = Annotated[
    bool, typer.Option("--verify", help="Also hash every file of every model in the store.")
]
MARKS = {"ok": "[green]✓[/]", "warn": "[yellow]![/]", "fail": "[red]✗[/]"}


def doctor(
    *,
    verify: Verify = False,
    offline: options.Offline = False,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    json: options.Json = False,
) -> None:
    """Check what this machine needs to run models; each line says how to mend what is amiss.

    The exit code is 1 where something fails, 0 where there are only remarks.

    Examples: `skerry doctor`, `skerry doctor --verify --offline`
    """
    import asyncio

    from skerry.cli.checks import run_checks

    settings = options.settings(config, data_dir, offline=offline)
    checks = asyncio.run(run_checks(settings, verify=verify))
    if json:
        print_json(checks)
    else:
        rows = table("", "", "")
        rows.show_header = False
        for check in checks:
            fix = f"\n[dim]→ {_literal(check.fix)}[/]" if check.fix else ""
            rows.add_row(MARKS[check.state], check.name, _literal(check.detail) + fix)
        out().print(rows)
    if any(check.state == "fail" for check in checks):
        raise typer.Exit(1)


def _literal(text: str) -> str:
    from rich.markup import escape

    return escape(text)
