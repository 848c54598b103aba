"""The examples, each started once on one node, with real models."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from skerry.testing import LocalNode, RunningProject
from skerry.types import ModelFiles

EXAMPLES = Path(__file__).parents[2] / "examples"

Example = Callable[[str], RunningProject]


@pytest.fixture(scope="session")
def skerry_settings(toolbox: Path) -> dict[str, Any]:
    """The tools and the models that the other tests use, too."""
    models = os.environ.get("SKERRY_TEST_MODELS")
    return {"tools": toolbox} | ({"models": Path(models)} if models else {})


@pytest.fixture(scope="session")
def example(skerry: LocalNode, pulled: Callable[[str], ModelFiles]) -> Example:
    """`example(name)`: the project, running."""
    for name in ("minilm-sst2", "mpnet-base-v2", "efficientnet-lite0", "smollm2-135m-instruct"):
        pulled(f"@skerry/{name}")
    return cache(lambda name: skerry.start(EXAMPLES / name))
