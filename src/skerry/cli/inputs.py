"""From the command line's words to a task's input object."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec

from skerry.errors import InvalidInput
from skerry.types import Inputs

TEXT_FIELDS = {
    "text-generation": "prompt",
    "text-to-speech": "prompt",
    "text-to-image": "prompt",
    "summarization": "input_text",
}
"""Where a task takes its text; the others call it `text`."""


def read_text(words: str) -> str:
    """The text itself, of stdin for "-", of a file for "@file"."""
    if words == "-":
        return sys.stdin.read()
    if words.startswith("@") and Path(words[1:]).is_file():
        return _read(words[1:]).decode()
    return words


def _read(path: str | Path) -> bytes:
    try:
        return Path(path).expanduser().read_bytes()
    except OSError as error:
        raise InvalidInput(f"{path}: {error.strerror or error}") from error


def parse_input(text: str) -> Inputs:
    """The object of --input: JSON, @file, or - for stdin. Raises InvalidInput."""
    raw = _read(text[1:]) if text.startswith("@") else read_text(text).encode()
    try:
        return msgspec.json.decode(raw, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise InvalidInput(f"--input is not a JSON object: {error}") from error


def parse_params(pairs: list[str]) -> Inputs:
    """key=value pairs; a value that is JSON is taken as JSON, else as text."""
    out: Inputs = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise InvalidInput(f"--param {pair!r}: write key=value, as in --param max_tokens=50")
        try:
            out[key] = msgspec.json.decode(value)
        except msgspec.DecodeError:
            out[key] = value
    return out


def build(
    task: str | None,
    *,
    texts: list[str],
    system: str | None,
    image: Path | None,
    audio: Path | None,
    given: Inputs,
    params: Inputs,
) -> Inputs:
    """The input object; task None where nobody knows it (a remote model)."""
    out = dict(given)
    if texts:
        field = TEXT_FIELDS.get(task or "text-generation", "text")
        if task == "text-embeddings":
            out["text"] = texts if len(texts) > 1 else texts[0]
        elif system is not None:
            out["messages"] = [
                {"role": "system", "content": system},
                *({"role": "user", "content": text} for text in texts),
            ]
        else:
            out[field] = "\n".join(texts)
    if image is not None:
        out["image"] = _read(image)
    if audio is not None:
        out["audio"] = _read(audio)
    out |= params
    if not out:
        raise InvalidInput("nothing to run on: give a TEXT, --image, --audio or --input")
    return out
