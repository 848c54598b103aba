"""Raw figures to bench/results/NAME.json, and the table of docs/bench.md from all of them."""

from __future__ import annotations

import json
import statistics
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import msgspec

from skerry.inference.machine import this_machine

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "bench" / "results"
PAGE = ROOT / "docs" / "bench.md"
PACKAGES = ("openvino", "openvino-genai", "onnxruntime", "xllamacpp", "ctranslate2", "aiohttp")
ABOUT = (
    "Written by `skerry bench` from `bench/results/`; do not edit. How to run and read them:"
    " `bench/README.md`. What is compared was measured in one run, in turns, several rounds;"
    " figures are medians of the rounds."
)


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def write(name: str, suite: dict[str, Any]) -> None:
    """Keep a suite's figures with what they were measured on; renew the page.

    suite: "title", "about", "rows" (lists of name, figure, unit), "checks" (lists of what,
    figure, bound, whether it holds), "raw" (every round).
    """
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True
    ).stdout.strip()
    found = {
        **suite,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit,
        "machine": msgspec.to_builtins(this_machine(PACKAGES)),
        "skerry": _version("skerry"),
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n")
    PAGE.write_text(page())


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def page() -> str:
    """docs/bench.md from what bench/results holds."""
    parts = ["# Benchmarks", "", ABOUT]
    if not any(RESULTS.glob("*.json")):
        parts += ["", "No results are kept yet."]
    for path in sorted(RESULTS.glob("*.json")):
        suite = json.loads(path.read_text())
        if "rows" not in suite or path.stem == "quality":  # that one is in docs/models.md
            continue
        machine = suite["machine"]
        parts += [
            "",
            f"## {suite['title']}",
            "",
            suite["about"],
            "",
            "| what | figure | unit |",
            "|---|---:|---|",
            *(f"| {what} | {_number(figure)} | {unit} |" for what, figure, unit in suite["rows"]),
            "",
            "| required | measured | bound | |",
            "|---|---:|---|---|",
            *(
                f"| {what} | {_number(figure)} | {bound} | {'holds' if holds else '**does not**'} |"
                for what, figure, bound, holds in suite["checks"]
            ),
            "",
            f"{suite['made']}, commit {suite['commit']}, {machine['cores']} cores of"
            f" {machine['cpu']} ({' '.join(machine['flags'])})."
            + "".join(f" {name} {found}." for name, found in machine["packages"].items()),
        ]
    return "\n".join(parts) + "\n"


def _number(value: float | str) -> str:
    if isinstance(value, str):
        return value
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def show(suite: dict[str, Any]) -> None:
    """The suite's tables on the terminal."""
    print(f"\n{suite['title']}")
    for what, figure, unit in suite["rows"]:
        print(f"  {what:60} {_number(figure):>10} {unit}")
    for what, figure, bound, holds in suite["checks"]:
        print(f"  {what:60} {_number(figure):>10} {bound:12} {'ok' if holds else 'MISSED'}")
