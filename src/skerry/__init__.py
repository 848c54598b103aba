"""Skerry: Workers AI applications on machines you own.

import skerry
async with skerry.AI() as ai:
    answer = await ai.run("@skerry/minilm-sst2", {"text": "A lovely flat."})
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skerry.client import AI
    from skerry.errors import (
        AiError,
        CatalogError,
        EngineError,
        InvalidInput,
        ModelDeprecated,
        NoSuchModel,
        OutOfCapacity,
        SettingsError,
        SkerryError,
    )
    from skerry.settings import Settings

__version__ = "0.1.0"

_HOMES = {
    "AI": "skerry.client",
    "Settings": "skerry.settings",
    "AiError": "skerry.errors",
    "CatalogError": "skerry.errors",
    "EngineError": "skerry.errors",
    "InvalidInput": "skerry.errors",
    "ModelDeprecated": "skerry.errors",
    "NoSuchModel": "skerry.errors",
    "OutOfCapacity": "skerry.errors",
    "SettingsError": "skerry.errors",
    "SkerryError": "skerry.errors",
}

__all__ = [
    "AI",
    "AiError",
    "CatalogError",
    "EngineError",
    "InvalidInput",
    "ModelDeprecated",
    "NoSuchModel",
    "OutOfCapacity",
    "Settings",
    "SettingsError",
    "SkerryError",
    "__version__",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `import skerry` stays quick."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'skerry' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(home), name)
