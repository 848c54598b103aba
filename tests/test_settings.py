"""Settings come from defaults, file, environment and caller, in that order."""

from __future__ import annotations

from pathlib import Path

import pytest

from skerry.errors import SettingsError
from skerry.settings import Settings, load


def test_later_sources_win(tmp_path: Path) -> None:
    file = tmp_path / "skerry.toml"
    file.write_text("port = 1\nqueue = 2\nmemory = 3\n")
    got = load(file, {"SKERRY_QUEUE": "20", "SKERRY_MEMORY": "30"}, memory=300, host=None)
    assert (got.port, got.queue, got.memory, got.host) == (1, 20, 300, "127.0.0.1")


@pytest.mark.parametrize(
    ("key", "text", "field", "value"),
    [
        ("SKERRY_OFFLINE", "on", "offline", True),
        ("SKERRY_PULL", "0", "pull", False),
        ("SKERRY_PRELOAD", "@skerry/a, @skerry/b", "preload", ["@skerry/a", "@skerry/b"]),
        ("SKERRY_ACCOUNT_MODELS", '{"a":["@cf/*"]}', "account_models", {"a": ["@cf/*"]}),
        ("SKERRY_TIMEOUT", "2.5", "timeout", 2.5),
        ("SKERRY_MODELS", "/m", "models", Path("/m")),
    ],
)
def test_environment(tmp_path: Path, key: str, text: str, field: str, value: object) -> None:
    file = tmp_path / "skerry.toml"
    file.write_text("")
    assert getattr(load(file, {key: text}), field) == value


@pytest.mark.parametrize(
    ("toml", "environ", "names"),
    [
        ("prot = 1", {}, "prot"),
        ('port = "x"', {}, "port"),
        ("port = ", {}, "skerry.toml"),
        ("", {"SKERRY_PROT": "1"}, "SKERRY_PROT"),
        ("", {"SKERRY_PORT": "many"}, "port"),
        ("", {"SKERRY_OFFLINE": "maybe"}, "SKERRY_OFFLINE"),
        ("", {"SKERRY_ACCOUNT_MODELS": "{"}, "SKERRY_ACCOUNT_MODELS"),
    ],
)
def test_what_cannot_be_used_is_named(
    tmp_path: Path, toml: str, environ: dict[str, str], names: str
) -> None:
    file = tmp_path / "skerry.toml"
    file.write_text(toml)
    with pytest.raises(SettingsError, match=names):
        load(file, environ)


def test_a_file_that_was_named_must_exist(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no such file"):
        load(tmp_path / "none.toml", {})
    with pytest.raises(SettingsError, match="no such file"):
        load(None, {"SKERRY_CONFIG": str(tmp_path / "none.toml")})


def test_loopback_by_default() -> None:
    assert Settings().host == "127.0.0.1"
