"""The public surface: what `skerry` names, and no more."""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path

import pytest

import skerry

PUBLIC = [
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


def test_the_public_names_are_these() -> None:
    assert sorted(skerry.__all__) == PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_each_public_name_is_there_and_documented(name: str) -> None:
    value = getattr(skerry, name)
    assert isinstance(value, str) or value.__doc__


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        skerry.nothing  # noqa: B018


def test_the_errors_are_one_tree() -> None:
    for name in PUBLIC:
        value = getattr(skerry, name)
        if isinstance(value, type) and issubclass(value, Exception):
            assert issubclass(value, skerry.SkerryError)


def test_the_version_is_the_package_s_and_the_changelog_s() -> None:
    changelog = (Path(__file__).parent.parent / "CHANGELOG.md").read_text()
    released = re.search(r"^## \[(\d[^\]]*)\]", changelog, re.MULTILINE)
    assert released
    assert skerry.__version__ == version("skerry") == released[1]
