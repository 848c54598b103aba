"""skerry models: what there is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from skerry.cli import options
from skerry.cli.output import out, print_json, size, table

if TYPE_CHECKING:
    from skerry.catalog.entry import Entry
    from skerry.catalog.store import Store
    from skerry.inference.tune_report import Report
    from skerry.settings import Settings

Task = Annotated[str | None, typer.Option(help="Only models of this task.", show_default=False)]
Search = Annotated[
    str | None,
    typer.Argument(help="Words that name or description must have.", show_default=False),
]
InStore = Annotated[bool, typer.Option("--in-store", help="Only models that are here.")]


def list_models(
    search: Search = None,
    *,
    task: Task = None,
    in_store: InStore = False,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    json: options.Json = False,
) -> None:
    """List the models that can be asked for.

    Examples: `skerry models list`, `skerry models list llama --task text-generation`
    """
    from skerry.catalog.open import open_catalog, open_store
    from skerry.inference.kept import with_kept

    settings = with_kept(options.settings(config, data_dir))
    store = open_store(settings)
    rows = [
        summary(entry, store, settings)
        for entry in open_catalog(settings).entries(task=task, text=search)
    ]
    rows = [row for row in rows if row["in_store"] or not in_store]
    if json:
        print_json(rows)
        return
    shown = table("model", "task", ">size", "here", "licence", "")
    for row in rows:
        remarks = [word for word in ("pinned", "optional", "retired") if row[word]]
        shown.add_row(
            row["name"],
            row["task"],
            size(row["bytes"]),
            "[green]yes[/]" if row["in_store"] else "-",
            row["licence"],
            ", ".join(remarks),
        )
    out().print(shown if rows else "No model fits. All of them: skerry models list")


def summary(entry: Entry, store: Store, settings: Settings) -> dict[str, Any]:
    """One model in a list."""
    sizes = [artifact.size for artifact in entry.artifacts]
    return {
        "name": entry.name,
        "task": entry.task,
        "description": entry.description,
        "bytes": sum(each or 0 for each in sizes) if sizes and all(sizes) else None,
        "in_store": store.ready(entry) is not None,
        "licence": entry.licence,
        "pinned": entry.name in settings.pin,
        "optional": entry.size == "optional",
        "retired": entry.deprecation is not None,
    }


def show(
    model: options.Model,
    *,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    json: options.Json = False,
) -> None:
    """Show a model: licence, provenance, files, and how it runs here and why.

    Example: `skerry models show @skerry/minilm-l6-v2`
    """
    from skerry.catalog.open import open_catalog, open_store
    from skerry.inference.tune import Tuner

    settings = options.settings(config, data_dir)
    entry = open_catalog(settings).get(model)
    store = open_store(settings)
    files = store.ready(entry)
    tuner = Tuner(settings.models, threads=settings.threads)
    report = tuner.report(entry, files) if files else None
    if json:
        print_json(
            {
                "entry": entry,
                "in_store": files is not None,
                "directory": str(files.directory) if files else None,
                "bytes": store.usage(entry),
                "manifest": store.manifest(entry),
                "tuned": report,
            }
        )
    else:
        _show(entry, store, report)


def _show(entry: Entry, store: Store, report: Report | None) -> None:
    console = out()
    console.print(f"[bold]{entry.name}[/]  {entry.task}")
    console.print(entry.description)
    facts = table("", "")
    facts.show_header = False
    for name, value in _facts(entry, store).items():
        if value:
            facts.add_row(f"[dim]{name}[/]", value)
    console.print(facts)
    if entry.artifacts:
        console.print("\n[bold]Files[/]")
        manifest = store.manifest(entry)
        for artifact in entry.artifacts:
            stored = manifest.files.get(artifact.name) if manifest else None
            sha = artifact.sha256 or (
                f"{stored.sha256} (learned at the first pull)"
                if stored
                else "not known yet; pinned at the first pull"
            )
            console.print(f"  {artifact.name}  {size(artifact.size)}", markup=False)
            console.print(f"    sha256 {sha}", markup=False, soft_wrap=True, style="dim")
            if stored and stored.mirror:
                console.print(f"    from {stored.mirror}", markup=False, soft_wrap=True)
            for mirror in artifact.mirrors:
                words = mirror if isinstance(mirror, str) else f"parts: {', '.join(mirror.parts)}"
                console.print(f"    mirror {words}", markup=False, soft_wrap=True, style="dim")
    console.print("\n[bold]How it runs here[/]")
    if report is not None:
        for line in report.lines():
            console.print(line, markup=False, soft_wrap=True)
    else:
        engines = ", ".join(entry.engines) or "none"
        console.print(f"not measured yet: the first of {engines} that is installed")
        console.print(f"  measure: skerry models tune {entry.name}", style="dim")


def _facts(entry: Entry, store: Store) -> dict[str, str]:
    ready = store.ready(entry) is not None
    retired = entry.deprecation
    standin = ", ".join(entry.standin_for)
    return {
        "author": entry.author,
        "licence": entry.licence + (f" ({entry.licence_url})" if entry.licence_url else ""),
        "must be accepted": "yes, in accept_licences" if entry.accept_licence else "",
        "provenance": entry.provenance,
        "home": entry.source or "",
        "evidence": entry.evidence,
        "context": f"{entry.context} tokens" if entry.context else "",
        "stands in for": standin,
        "retired": (
            f"{retired.date}; use {retired.successor or 'another model'}" if retired else ""
        ),
        "in the store": size(store.usage(entry)) if ready else "no",
    }
