"""The command line as a whole: its commands, and what an error looks like."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated

import typer

import skerry
from skerry.cli import (
    bench,
    d1_migrations,
    dev,
    doctor,
    kv_bulk,
    models,
    models_change,
    options,
    serve,
    tail,
    version,
)
from skerry.cli import d1 as d1_commands
from skerry.cli import kv as kv_commands
from skerry.cli import queues as queue_commands
from skerry.cli import r2 as r2_commands
from skerry.cli import run as run_command
from skerry.cli import vectorize as vectorize_commands
from skerry.errors import SkerryError

USAGE = 2
INTERRUPTED = 130


def _start(
    *,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error.", envvar="SKERRY_DEBUG")
    ] = False,
    show_version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Workers AI on machines you own: real models behind Cloudflare's and OpenAI's APIs.

    Start with `skerry run @skerry/smollm2-135m-instruct "Say hello"`, or `skerry serve`.
    """
    if debug:
        os.environ["SKERRY_DEBUG"] = "1"
    if show_version:
        typer.echo(skerry.__version__)
        raise typer.Exit


def build() -> typer.Typer:
    """The Typer application."""
    app = typer.Typer(
        name="skerry",
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(invoke_without_command=True)(_start)
    app.command("serve")(serve.serve)
    app.command("dev")(dev.dev)
    app.command("tail")(tail.tail)
    app.command("run")(run_command.run)
    app.add_typer(_models(), name="models")
    app.add_typer(_kv(), name="kv")
    app.add_typer(_d1(), name="d1")
    app.add_typer(_r2(), name="r2")
    app.add_typer(_queues(), name="queues")
    app.add_typer(_vectorize(), name="vectorize")
    app.command("doctor")(doctor.doctor)
    app.command("bench")(bench.bench)
    app.command("version")(version.version)
    return app


def _models() -> typer.Typer:
    group = typer.Typer(
        no_args_is_help=True,
        rich_markup_mode=None,
        help="The catalog and the store: which models there are, and which are here.",
    )
    group.command("list")(models.list_models)
    group.command("show")(models.show)
    group.command("pull")(models_change.pull)
    group.command("tune")(models_change.tune)
    group.command("pin")(models_change.pin)
    group.command("rm")(models_change.rm)
    group.command("import")(models_change.import_model)
    return group


def _kv() -> typer.Typer:
    group = typer.Typer(
        no_args_is_help=True, rich_markup_mode=None, help="KV: namespaces, and the keys in them."
    )
    namespace = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="The namespaces.")
    namespace.command("create")(kv_commands.create)
    namespace.command("list")(kv_commands.list_namespaces)
    namespace.command("delete")(kv_commands.delete)
    group.add_typer(namespace, name="namespace")
    key = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Single keys.")
    key.command("put")(kv_commands.put)
    key.command("get")(kv_commands.get)
    key.command("list")(kv_commands.list_keys)
    key.command("delete")(kv_commands.delete_key)
    group.add_typer(key, name="key")
    bulk = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Many keys at once.")
    bulk.command("put")(kv_bulk.put)
    bulk.command("get")(kv_bulk.get)
    bulk.command("delete")(kv_bulk.delete)
    group.add_typer(bulk, name="bulk")
    return group


def _d1() -> typer.Typer:
    group = typer.Typer(
        no_args_is_help=True, rich_markup_mode=None, help="D1: databases, SQL and migrations."
    )
    group.command("create")(d1_commands.create)
    group.command("list")(d1_commands.list_databases)
    group.command("delete")(d1_commands.delete)
    group.command("execute")(d1_commands.execute)
    group.command("export")(d1_commands.export)
    migrations = typer.Typer(
        no_args_is_help=True, rich_markup_mode=None, help="Changes of a schema, in numbered files."
    )
    migrations.command("create")(d1_migrations.create)
    migrations.command("list")(d1_migrations.list_migrations)
    migrations.command("apply")(d1_migrations.apply)
    group.add_typer(migrations, name="migrations")
    return group


def _r2() -> typer.Typer:
    group = typer.Typer(
        no_args_is_help=True, rich_markup_mode=None, help="R2: buckets, and the objects in them."
    )
    bucket = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="The buckets.")
    bucket.command("create")(r2_commands.create)
    bucket.command("list")(r2_commands.list_buckets)
    bucket.command("delete")(r2_commands.delete)
    group.add_typer(bucket, name="bucket")
    objects = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="The objects.")
    objects.command("put")(r2_commands.put)
    objects.command("get")(r2_commands.get)
    objects.command("list")(r2_commands.list_objects)
    objects.command("delete")(r2_commands.delete_object)
    group.add_typer(objects, name="object")
    return group


def _queues() -> typer.Typer:
    group = typer.Typer(
        no_args_is_help=True, rich_markup_mode=None, help="Queues, and the messages in them."
    )
    group.command("create")(queue_commands.create)
    group.command("list")(queue_commands.list_queues)
    group.command("delete")(queue_commands.delete)
    group.command("send")(queue_commands.send)
    group.command("pull")(queue_commands.pull)
    return group


def _vectorize() -> typer.Typer:
    group = typer.Typer(
        no_args_is_help=True,
        rich_markup_mode=None,
        help="Vectorize indexes, and the vectors in them.",
    )
    group.command("create")(vectorize_commands.create)
    group.command("list")(vectorize_commands.list_indexes)
    group.command("get")(vectorize_commands.get)
    group.command("delete")(vectorize_commands.delete)
    group.command("insert")(vectorize_commands.insert)
    group.command("query")(vectorize_commands.query)
    group.command("create-metadata-index")(vectorize_commands.create_metadata_index)
    return group


def run(arguments: Sequence[str]) -> int:
    """Run the command; the exit code: 0, 1 for an error, 2 for wrong usage, 130 for Ctrl-C."""
    try:
        code = build()(args=list(arguments), prog_name="skerry", standalone_mode=True)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 1
    except (KeyboardInterrupt, options.Interrupted) as stop:
        typer.echo(f"stopped{f': {stop}' if str(stop) else ''}", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has had enough (head): point stdout away, or Python complains.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (SkerryError, OSError) as error:
        if os.environ.get("SKERRY_DEBUG"):
            traceback.print_exc()
        typer.echo(f"error: {_one_line(error)}", err=True)
        return 1
    return code if isinstance(code, int) else 0


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
