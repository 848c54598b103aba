"""skerry dev."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skerry.cli import options
from skerry.cli.loop import on_signals, run_loop
from skerry.cli.output import err, out, print_json, table
from skerry.cli.worker_logs import LogPrinter
from skerry.errors import ProjectError, SettingsError

if TYPE_CHECKING:
    from skerry.node import Node
    from skerry.settings import Settings
    from skerry.workers.bindings import Binding
    from skerry.workers.project import Project

HEADS = ("binding", "kind", "what")

Where = Annotated[
    Path,
    typer.Argument(
        help="A project's folder, its wrangler configuration, or one .ts, .js or .py file.",
        metavar="[DIR|FILE]",
    ),
]
Host = Annotated[str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")]
Port = Annotated[
    int | None,
    typer.Option(min=0, max=65535, help="Port; 0 picks a free one.", show_default="8787"),
]
Env = Annotated[
    str | None,
    typer.Option("--env", "-e", help="The `env.NAME` to take of the configuration."),
]
TestScheduled = Annotated[
    bool,
    typer.Option("--test-scheduled", help="Answer /__scheduled?cron=… by a cron event."),
]
Inject = Annotated[
    list[Path] | None,
    typer.Option(
        help="A module whose exports stand in for names that the code uses without declaring"
        " them; may be given again.",
        show_default=False,
    ),
]
Claim = Annotated[
    list[str] | None,
    typer.Option(
        help="A path of the node's own API that goes to the worker, `/v1/*` say; may be given"
        " again.",
        show_default=False,
    ),
]
Beside = Annotated[
    list[Path] | None,
    typer.Option(
        "--with",
        help="Another worker that this one is bound to (services), by its folder or file; may be"
        " given again.",
        show_default=False,
    ),
]
Migrate = Annotated[
    bool,
    typer.Option(
        "--migrate", help="Apply the migrations of the project's D1 databases before it starts."
    ),
]
Standins = Annotated[
    bool,
    typer.Option(
        "--standins/--no-standins",
        help="Let small packaged models answer for published names that are not in the store.",
    ),
]


def dev(
    path: Where = Path(),
    *,
    host: Host = None,
    port: Port = None,
    env: Env = None,
    test_scheduled: TestScheduled = False,
    inject: Inject = None,
    claim: Claim = None,
    beside: Beside = None,
    migrate: Migrate = False,
    standins: Standins = True,
    data_dir: options.DataDir = None,
    config: options.Config = None,
    offline: options.Offline = False,
    json: options.Json = False,
) -> None:
    """Run a worker on this machine: its code, its bindings, real models.

    The sources are watched: what you save is live at once, and no request is lost. The node's own
    API is on the same port, under /client/v4 and /v1. Ctrl-C stops it.

    Examples: `skerry dev`, `skerry dev src/index.ts --port 0`
    """
    chosen = options.settings(
        config, data_dir, offline=offline, host=host, port=port, standins=standins
    )
    from skerry.workers.wrangler.load import locate

    for each in (path, *(beside or [])):
        locate(each)
    missing = [each for each in inject or [] if not each.is_file()]
    if missing:
        raise SettingsError(f"--inject {missing[0]}: no such file")
    run_loop(
        _dev(
            chosen,
            path.absolute(),
            env=env,
            test_scheduled=test_scheduled,
            inject=inject or [],
            claim=claim or [],
            beside=[each.absolute() for each in beside or []],
            migrate=migrate,
            json=json,
        )
    )


async def _dev(
    settings: Settings,
    root: Path,
    *,
    env: str | None,
    test_scheduled: bool,
    inject: list[Path],
    claim: list[str],
    beside: list[Path],
    migrate: bool,
    json: bool,
) -> None:
    from skerry.cli.progress import PullBars
    from skerry.node import Node
    from skerry.workers.project import load_project

    main = asyncio.current_task()
    assert main is not None
    on_signals(main)
    with PullBars() as bars:
        node = Node(settings, on_pull=bars)
        printer = LogPrinter(json=json)
        printing = asyncio.create_task(printer.follow(node.logs))
        try:
            await node.start()
            workers = await node.workers()
            try:
                supervisor, port = await workers.open(
                    partial(load_project, root, env=env),
                    follow=root,
                    host=settings.host,
                    port=settings.port,
                    inject=[each.absolute() for each in inject],
                    claim=claim,
                    test_scheduled=test_scheduled,
                )
            except OSError as error:
                raise SettingsError(
                    f"cannot listen on {settings.host} port {settings.port}:"
                    f" {error.strerror or error}; choose another with --host and --port"
                    " (--port 0 picks a free one)"
                ) from error
            for other in beside:
                more, _ = await workers.open(
                    partial(load_project, other, env=env),
                    follow=other,
                    host="127.0.0.1",
                    port=0,
                    api=False,
                )
                await more.start()
            with suppress(ProjectError):  # the worker tells what is wrong with it
                read = await asyncio.to_thread(load_project, root, env=env)
                await _migrations(node, read, printer, apply=migrate)
            await supervisor.start()
            version = supervisor.version
            project = version.project if version is not None else None
            url = f"http://[{settings.host}]" if ":" in settings.host else f"http://{settings.host}"
            api = await node.serve("127.0.0.1", 0)
            _announce(f"{url}:{port}", api, project, workers.sandbox.reason, json=json)
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            main.uncancel()  # a signal, the only thing that cancels this task
            if not json:
                err().print("Stopping. Ctrl-C again stops at once.")
        finally:
            await node.stop()
            await printing  # it ends with the logs, which the node has closed


async def _migrations(node: Node, project: Project, printer: LogPrinter, *, apply: bool) -> None:
    """Apply the migrations of the project's databases, or say which are not applied."""
    from skerry.workers.logs import LogEvent
    from skerry.workers.migrations import databases

    for each in databases(node.stores, "local", project):
        name = each.binding.name
        if apply:
            text, names = f"{name}: applied", await each.migrate()
        else:
            names = await each.pending()
            text = f"{name}: not applied yet (skerry d1 migrations apply {name}, or --migrate):"
        if names:
            printer.show(
                LogEvent(
                    timestamp=time.time(),
                    worker=project.name,
                    level="info" if apply else "warn",
                    message=[text, ", ".join(names)],
                    kind="host",
                )
            )


def _announce(url: str, api: str, project: Project | None, unboxed: str, *, json: bool) -> None:
    bindings = [] if project is None else [_row(each) for each in project.bindings]
    warnings = [] if project is None else [str(each) for each in project.diagnostics]
    if json:
        print_json(
            {
                "url": url,
                "api": api,
                "pid": os.getpid(),
                "ready": project is not None,
                "worker": None if project is None else project.name,
                "bindings": [dict(zip(HEADS, row, strict=True)) for row in bindings],
                "diagnostics": warnings,
                "sandbox": not unboxed,
            }
        )
        return
    console = out()
    if bindings:
        rows = table(*HEADS)
        for row in bindings:
            rows.add_row(*row)
        console.print(rows)
    for line in warnings:
        console.print(f"[yellow]{line}[/]", markup=True)
    if unboxed:
        console.print(f"[yellow]Workers run without a sandbox: {unboxed}.[/]")
    if project is None:
        console.print(f"The worker cannot run yet: [bold]{url}[/] shows why. Save a change to try")
        console.print("again. [dim]Ctrl-C stops.[/]")
        return
    console.print(f"[bold]{project.name}[/] is ready on [bold]{url}[/]")
    console.print(f"[dim]The node's API alone: {api}. Ctrl-C stops it.[/]")


def _row(binding: Binding) -> tuple[str, str, str]:
    kind = type(binding).__name__.removesuffix("Binding")
    fields: Any = binding
    for name in ("database_name", "id", "bucket", "queue", "dataset", "index_name", "service"):
        value = getattr(fields, name, "")
        if value:
            return binding.name, kind, str(value)
    if hasattr(fields, "limit"):
        return binding.name, kind, f"{fields.limit} calls in {fields.period} s"
    return binding.name, kind, ""
