"""The names of a model's classes."""

from __future__ import annotations

import json

import numpy as np

from skerry.errors import SkerryError
from skerry.tasks.base import Array, ModelFiles


def labels(files: ModelFiles, default: list[str] | None = None) -> list[str]:
    """By class number: option `labels` (a list, or the name of a JSON file with a list or a
    number -> name object), else config.json's id2label, else `default`. Raises SkerryError.
    """
    given = files.options.get("labels")
    if isinstance(given, list):
        return [str(name) for name in given]
    path = files.path(given or "config.json")
    if given or path.is_file():
        try:
            data = json.loads(path.read_bytes())
        except (OSError, ValueError) as error:
            raise SkerryError(f"{files.name}: labels: {path.name}: {error}") from error
        if not given:
            data = data.get("id2label") or default
        if isinstance(data, dict):
            return [str(data.get(str(at), at)) for at in range(1 + max(int(key) for key in data))]
        if isinstance(data, list):
            return [str(name) for name in data]
    if default is not None:
        return default
    raise SkerryError(f"{files.name}: no labels: name them in the catalog entry's options.labels")


def softmax(logits: Array) -> Array:
    """Along the last axis, in float64: parts that add up to 1."""
    values = np.asarray(logits, np.float64)
    powers = np.exp(values - values.max(axis=-1, keepdims=True))
    out: Array = powers / powers.sum(axis=-1, keepdims=True)
    return out
