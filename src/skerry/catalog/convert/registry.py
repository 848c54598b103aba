"""The recipes by name. Imports none of them: they need numpy and onnx, the node does not."""

from __future__ import annotations

from skerry.errors import ConversionFailed

VERSIONS = {"encoder": 1, "efficientnet_lite": 1, "tfjs": 1}
"""A recipe whose output changes gets a new version; models are then converted anew."""


def recipe_version(recipe: str) -> int:
    """Raises ConversionFailed where there is no such recipe."""
    try:
        return VERSIONS[recipe]
    except KeyError as error:
        raise ConversionFailed(
            f"no conversion recipe {recipe!r}; there are {', '.join(sorted(VERSIONS))}"
        ) from error
