"""skerry models: commands that change the store or what is kept."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skerry.cli import options
from skerry.cli.output import err, out, print_json, size

if TYPE_CHECKING:
    from skerry.catalog.entry import Entry
    from skerry.inference.tune_report import Report
    from skerry.settings import Settings
    from skerry.types import ModelFiles

Models = Annotated[list[str], typer.Argument(help="Names of models.", metavar="MODEL...")]
NoTune = Annotated[bool, typer.Option("--no-tune", help="Do not measure how it runs best here.")]
Unpin = Annotated[bool, typer.Option("--remove", help="Unpin instead.")]


def pull(
    models: Models,
    *,
    no_tune: NoTune = False,
    offline: options.Offline = False,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    json: options.Json = False,
) -> None:
    """Bring models into the store, verified by hash.

    Ctrl-C is safe: what has come is kept, and the same command goes on.

    Example: `skerry models pull @skerry/minilm-l6-v2 @skerry/smollm2-135m-instruct`
    """
    from skerry.catalog.open import open_catalog

    settings = options.settings(config, data_dir, offline=offline)
    catalog = open_catalog(settings)
    entries = [catalog.get(name) for name in models]
    try:
        pulled = asyncio.run(_pull(settings, entries, tune=settings.tune and not no_tune))
    except KeyboardInterrupt as stop:
        raise options.Interrupted(
            f"what has come is kept; to go on: skerry models pull {' '.join(models)}"
        ) from stop
    if json:
        print_json([{"name": each.name, "directory": str(each.directory)} for each in pulled])


async def _pull(settings: Settings, entries: list[Entry], *, tune: bool) -> list[ModelFiles]:
    from skerry.catalog.open import open_store
    from skerry.cli.progress import PullBars

    store = open_store(settings)
    found: list[ModelFiles] = []
    for entry in entries:
        if (files := store.ready(entry)) is not None:
            err().print(f"[green]✓[/] {entry.name} is here already")
        else:
            with PullBars() as bars:
                files = await store.pull(entry, bars)
        found.append(files)
        if tune:
            await _tune(settings, entry, files, again=False)
    return found


async def _tune(settings: Settings, entry: Entry, files: ModelFiles, *, again: bool) -> Report:
    from skerry.inference.tune import Tuner

    tuner = Tuner(settings.models, threads=settings.threads)
    if not again and (report := tuner.report(entry, files)) is not None:
        return report
    console = err()
    with console.status(f"{entry.name}: measuring") as status:
        return await tuner.tune(entry, files, lambda at: status.update(f"{entry.name}: {at}"))


def tune(
    models: Models,
    *,
    offline: options.Offline = False,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    json: options.Json = False,
) -> None:
    """Measure how models run best on this machine, and keep the result.

    Example: `skerry models tune @skerry/minilm-l6-v2`
    """
    from skerry.catalog.open import open_catalog

    settings = options.settings(config, data_dir, offline=offline)
    catalog = open_catalog(settings)
    entries = [catalog.get(name) for name in models]
    reports = asyncio.run(_tune_all(settings, entries))
    if json:
        print_json(reports)
        return
    for report in reports:
        out().print(f"[bold]{report.model}[/]")
        for line in report.lines():
            out().print(line, markup=False, soft_wrap=True)


async def _tune_all(settings: Settings, entries: list[Entry]) -> list[Report]:
    found = await _pull(settings, entries, tune=False)
    return [
        await _tune(settings, entry, files, again=True)
        for entry, files in zip(entries, found, strict=True)
    ]


def pin(
    models: Models,
    *,
    remove: Unpin = False,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    json: options.Json = False,
) -> None:
    """Keep models resident once they are loaded.

    A node then never evicts them. Takes effect when it next starts.

    Examples: `skerry models pin @skerry/minilm-l6-v2`, and with `--remove` to undo it
    """
    from skerry.catalog.open import open_catalog
    from skerry.inference.kept import KeptModels

    settings = options.settings(config, data_dir)
    catalog = open_catalog(settings)
    names = [catalog.get(name).name for name in models]
    kept = KeptModels(settings.data_dir)
    for name in names:
        changed = kept.set(name, kept=not remove)
        if not json:
            state = "unpinned" if remove else "pinned"
            out().print(f"{name} {'is' if changed else 'was already'} {state}")
    if json:
        print_json({"pinned": kept.read()})


def rm(
    models: Models,
    *,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    json: options.Json = False,
) -> None:
    """Delete models from the store; files that another model uses stay.

    Example: `skerry models rm @skerry/whisper-base`
    """
    from skerry.catalog.open import open_catalog, open_store

    settings = options.settings(config, data_dir)
    catalog, store = open_catalog(settings), open_store(settings)
    entries = [catalog.get(name) for name in models]
    freed = {entry.name: asyncio.run(store.remove(entry)) for entry in entries}
    if json:
        print_json(freed)
        return
    for name, count in freed.items():
        out().print(f"{name}: {size(count)} freed" if count else f"{name} was not in the store")


Source = Annotated[
    Path,
    typer.Argument(help="A GGUF file of a chat model, or a catalog file (TOML).", metavar="FILE"),
]
Name = Annotated[
    str | None,
    typer.Option(help="Its name; else @local/ and the file's name.", show_default=False),
]
Licence = Annotated[str, typer.Option(help="The licence that the weights come under.")]
Context = Annotated[int | None, typer.Option(help="Tokens that fit.", show_default=False)]


def import_model(
    file: Source,
    *,
    name: Name = None,
    licence: Licence = "unknown",
    context: Context = None,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    json: options.Json = False,
) -> None:
    """Add a model of your own to the catalog, under a name of its own.

    The file is hashed and named as a `file:` mirror; the first run, or `skerry models pull`,
    takes it into the store.

    Example: `skerry models import qwen3-4b-q4.gguf --name @local/qwen3-4b`
    """
    from skerry.cli.imported import import_file

    settings = options.settings(config, data_dir)
    entry, path = import_file(
        file, settings.data_dir / "catalog", name=name, licence=licence, context=context
    )
    if json:
        print_json({"name": entry.name, "catalog_file": str(path)})
    else:
        out().print(f"{entry.name} is in the catalog ({path})", soft_wrap=True)
        out().print(f"Run it: skerry run {entry.name} …", style="dim")
