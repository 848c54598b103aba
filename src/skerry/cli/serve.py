"""skerry serve."""

from __future__ import annotations

import asyncio
import gc
import ipaddress
import logging
import os
from typing import TYPE_CHECKING, Annotated

import typer

from skerry.cli import options
from skerry.cli.loop import on_signals, run_loop
from skerry.cli.output import err, out, print_json, table
from skerry.errors import SettingsError

if TYPE_CHECKING:
    from skerry.settings import Settings

Host = Annotated[str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")]
Port = Annotated[
    int | None,
    typer.Option(min=0, max=65535, help="Port; 0 picks a free one.", show_default="8787"),
]
Standins = Annotated[
    bool | None,
    typer.Option(
        "--standins/--no-standins",
        help="Let small packaged models answer for published names that are not in the store.",
        show_default=False,
    ),
]
Preload = Annotated[
    list[str] | None,
    typer.Option(help="Load this model at start; may be given again.", show_default=False),
]
NoPull = Annotated[
    bool, typer.Option("--no-pull", help="Do not pull models that are first asked for.")
]
InsecurePublic = Annotated[
    bool,
    typer.Option(
        "--insecure-public",
        help="Listen on an address that others can reach, though there are no tokens yet.",
    ),
]


def serve(
    *,
    host: Host = None,
    port: Port = None,
    data_dir: options.DataDir = None,
    config: options.Config = None,
    offline: options.Offline = False,
    standins: Standins = None,
    preload: Preload = None,
    no_pull: NoPull = False,
    insecure_public: InsecurePublic = False,
    json: options.Json = False,
) -> None:
    """Serve the APIs of Cloudflare and OpenAI on this machine.

    Ctrl-C or SIGTERM lets running requests end, then stops; a second one stops at once.

    Examples: `skerry serve`, `skerry serve --standins --preload @skerry/minilm-l6-v2`
    """
    chosen = options.settings(
        config,
        data_dir,
        offline=offline,
        host=host,
        port=port,
        standins=standins,
        preload=preload or None,
        pull=False if no_pull else None,
    )
    if not insecure_public:
        _refuse_public(chosen.host)
    logging.basicConfig(
        level=chosen.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    run_loop(_serve(chosen, json=json))


def _refuse_public(host: str) -> None:
    try:
        local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = host == "localhost"
    if not local:
        raise SettingsError(
            f"host {host}: this version has no tokens, so anyone who reaches this address could"
            " use the node. Listen on 127.0.0.1 behind a proxy that checks who asks, or give"
            " --insecure-public"
        )


async def _serve(settings: Settings, *, json: bool) -> None:
    from skerry.cli.progress import PullBars
    from skerry.node import Node

    with PullBars() as bars:
        node = Node(settings, on_pull=bars)
        main = asyncio.current_task()
        assert main is not None
        on_signals(main)
        try:
            await node.start()
            try:
                url = await node.serve()
            except OSError as error:
                raise SettingsError(
                    f"cannot listen on {settings.host} port {settings.port}:"
                    f" {error.strerror or error}; choose another with --host and --port"
                    " (--port 0 picks a free one)"
                ) from error
            _announce(url, json=json)
            _quieten_collector()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            # A signal, the only thing that cancels this task: the rest is an orderly stop.
            main.uncancel()
            if not json:
                err().print("Stopping: waiting for running requests. Ctrl-C again stops at once.")
        finally:
            await node.stop()


def _quieten_collector() -> None:
    """What was built stays: keep the cycle collector from walking it again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def _announce(url: str, *, json: bool) -> None:
    faces = {
        "cloudflare": f"{url}/client/v4/accounts/local/ai/run/{{model}}",
        "openai": f"{url}/v1",
        "openapi": f"{url}/openapi.json",
        "docs": f"{url}/docs",
    }
    if json:
        print_json({"url": url, "pid": os.getpid(), "faces": faces})
        return
    rows = table("Skerry is listening", "")
    names = {
        "cloudflare": "Cloudflare REST",
        "openai": "OpenAI",
        "openapi": "OpenAPI document",
        "docs": "API docs",
    }
    for key, name in names.items():
        rows.add_row(name, faces[key])
    console = out()
    console.print(rows)
    console.print("[dim]Ctrl-C stops it.[/]")
