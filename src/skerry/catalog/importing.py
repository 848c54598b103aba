"""Take a user's own file of weights into the catalog."""

from __future__ import annotations

import json
from pathlib import Path

from skerry.catalog.blocking import Stop, run_blocking
from skerry.catalog.catalog import file_name
from skerry.catalog.entry import NAME, Entry, parse
from skerry.catalog.files import sha256, write_durably
from skerry.errors import CatalogError

BESIDE = ("tokenizer.json", "config.json", "preprocessor_config.json", "labels.json")
"""Files of the same folder that come along with an ONNX model."""


async def import_model(
    file: Path, name: str, folder: Path, *, task: str | None = None, licence: str = "unknown"
) -> Entry:
    """Write `folder`/NAME.toml for a GGUF or ONNX file, and answer the entry.

    The entry's mirrors are file: ones, so that Store.pull takes the bytes into the store without
    a network; after that the file may go. A GGUF file does text-generation unless `task` says
    otherwise; for ONNX `task` must be named. Raises CatalogError.
    """
    return await run_blocking(lambda stop: _import(file, name, folder, task, licence, stop))


def _import(
    file: Path, name: str, folder: Path, task: str | None, licence: str, stop: Stop
) -> Entry:
    if not NAME.fullmatch(name):
        raise CatalogError(f"{name!r} is not a model name; take one like @local/{file.stem}")
    if not file.is_file():
        raise CatalogError(f"{file}: no such file")
    path = file.resolve()
    files = {_kind(path): path}
    if path.suffix == ".gguf":
        task, engines = task or "text-generation", ["llamacpp", "genai"]
    else:
        engines = ["openvino", "onnxruntime"]
        files |= {each: path.with_name(each) for each in BESIDE if path.with_name(each).is_file()}
    if task is None:
        raise CatalogError(f"{file}: what does the model do? Name its task (--task …)")
    lines = [
        f"name = {_text(name)}",
        f"task = {_text(task)}",
        f"description = {_text(f'Imported from {path.name}.')}",
        f"licence = {_text(licence)}",
        f"provenance = {_text(f'Imported from {path}.')}",
        f"engines = {_text(engines)}",
    ]
    for stored, source in files.items():
        lines += ["", "[[artifacts]]", f"name = {_text(stored)}"]
        lines += [f'sha256 = "{sha256(source, stop)}"', f"size = {source.stat().st_size}"]
        lines += [f"mirrors = [{_text(f'file:{source}')}]"]
    data = ("\n".join(lines) + "\n").encode()
    target = folder / file_name(name)
    entry = parse(data, str(target))
    write_durably(target, data)
    return entry


def _kind(path: Path) -> str:
    """What the file is called in the model's directory; its first bytes must be of its kind."""
    with path.open("rb") as file:
        head = file.read(4)
    if path.suffix == ".gguf" and head == b"GGUF":
        return "model.gguf"
    if path.suffix == ".onnx" and head[:1] == b"\x08":  # protobuf field 1: ir_version
        return "model.onnx"
    raise CatalogError(f"{path}: is neither a GGUF nor an ONNX file")


def _text(value: object) -> str:
    """A string or list of strings as TOML."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
