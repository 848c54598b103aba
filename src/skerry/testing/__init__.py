"""What the tests of an application need: a node with its project, and recorded answers.

The pytest plugin (plugin.py) is found by pytest itself. Its fixtures are `skerry` (a LocalNode),
`ai_recorder` (a Recorder) and `skerry_settings`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skerry.testing.node import LocalNode
    from skerry.testing.project import Reply, RunningProject
    from skerry.testing.recorder import Recorder

_HOMES = {
    "LocalNode": "skerry.testing.node",
    "Recorder": "skerry.testing.recorder",
    "Reply": "skerry.testing.project",
    "RunningProject": "skerry.testing.project",
}

__all__ = ["LocalNode", "Recorder", "Reply", "RunningProject"]


def __getattr__(name: str) -> Any:
    """Import a name when it is first used: pytest loads this package with every run."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'skerry.testing' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(home), name)
