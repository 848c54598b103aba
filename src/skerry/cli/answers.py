"""Answers as people read them; one function per shape of answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from rich.console import Console

BAR = 24
"""Width of a full bar, in characters."""


def show(console: Console, value: Any) -> None:
    """Print an answer by its shape."""
    if isinstance(value, list) and value and isinstance(value[0], dict) and "label" in value[0]:
        _labels(console, value)
    elif isinstance(value, dict) and "data" in value and "shape" in value:
        _vectors(console, value)
    elif isinstance(value, dict) and value.get("tool_calls"):
        _tool_calls(console, value)
    elif isinstance(value, dict) and "response" in value:
        _text(console, value["response"])
    elif isinstance(value, dict):
        for key in ("text", "translated_text", "summary"):
            if isinstance(value.get(key), str):
                console.print(value[key].strip(), markup=False, soft_wrap=True)
                return
        _json(console, value)
    else:
        _json(console, value)


def _text(console: Console, text: Any) -> None:
    if isinstance(text, str):
        console.print(text, markup=False, soft_wrap=True)
    else:
        _json(console, text)


def _json(console: Console, value: Any) -> None:
    text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    console.print(text, markup=False, soft_wrap=True)


def _labels(console: Console, found: list[dict[str, Any]]) -> None:
    from skerry.cli.output import table

    boxes = any("box" in each for each in found)
    rows = table("label", ">score", "", *(["box (x, y, x, y)"] if boxes else []))
    for each in found:
        score = float(each["score"])
        cells = [str(each["label"]), f"{100 * score:5.1f} %", bar(score)]
        if boxes:
            box = each.get("box") or {}
            cells.append(", ".join(f"{box[side]:.0f}" for side in ("xmin", "ymin", "xmax", "ymax")))
        rows.add_row(*cells)
    console.print(rows)


def bar(share: float, width: int = BAR) -> str:
    """A bar for 0 … 1."""
    full = max(0.0, min(1.0, share)) * width
    part = " ▏▎▍▌▋▊▉"[int(full % 1 * 8)] if full < width else ""
    return ("█" * int(full) + part).rstrip()


def _vectors(console: Console, value: dict[str, Any]) -> None:
    count, dimensions = value["shape"][0], value["shape"][-1]
    words = "vector" if count == 1 else "vectors"
    console.print(f"{count} {words} of {dimensions} dimensions")
    for row in value["data"]:
        head = ", ".join(f"{float(number):+.4f}" for number in row[:6])
        console.print(f"  [{head}, …]", markup=False)


def _tool_calls(console: Console, value: dict[str, Any]) -> None:
    if value.get("response"):
        _text(console, value["response"])
    for call in value["tool_calls"]:
        function = call.get("function", call)
        arguments = function.get("arguments", {})
        if not isinstance(arguments, str):
            arguments = msgspec.json.encode(arguments).decode()
        console.print(f"→ {function.get('name')}({arguments})", markup=False)
