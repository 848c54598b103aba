"""The `skerry` command as its users have it: a process, its output, its exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

Skerry = Callable[..., "subprocess.CompletedProcess[str]"]

ECHO = """
name = "@local/echo"
task = "text-generation"
description = "Answers from the dummy engine."
licence = "Apache-2.0"
engines = ["dummy"]
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A user with an empty home and no settings."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("SKERRY_")}
    return kept | {
        "HOME": str(tmp_path),
        "XDG_DATA_HOME": str(tmp_path / "data"),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "COLUMNS": "120",
        "NO_COLOR": "1",
    }


@pytest.fixture
def skerry(environment: dict[str, str], tmp_path: Path) -> Skerry:
    def call(*words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", "from skerry.cli import main; main()", *words],
            input=stdin,
            capture_output=True,
            text=True,
            env=environment,
            cwd=tmp_path,
            timeout=60,
            check=False,
        )

    return call


@pytest.fixture
def echo(skerry: Skerry, tmp_path: Path) -> str:
    """A model of the dummy engine, imported as a user would."""
    file = tmp_path / "echo.toml"
    file.write_text(ECHO)
    done = skerry("models", "import", str(file))
    assert done.returncode == 0, done.stderr
    return "@local/echo"


def test_version(skerry: Skerry) -> None:
    found = json.loads(skerry("version", "--json").stdout)
    assert skerry("--version").stdout.strip() == found["skerry"]


def test_an_unknown_command_is_wrong_usage(skerry: Skerry) -> None:
    assert skerry("fly").returncode == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["models", "show", "@skerry/minilm-l6"], "Did you mean @skerry/minilm-l6-v2?"),
        (["models", "show", "no name"], "not a model name"),
        (["run", "@skerry/minilm-l6-v2"], "nothing to run on"),
        (["run", "@skerry/nanodet", "--image", "missing.jpg"], "missing.jpg: No such file"),
        (["run", "@skerry/minilm-l6-v2", "x", "--param", "bad"], "write key=value"),
        (["run", "@skerry/minilm-l6-v2", "--input", "[1]"], "not a JSON object"),
        (["serve", "--host", "0.0.0.0"], "--insecure-public"),
        (["models", "list", "--config", "missing.toml"], "missing.toml: no such file"),
        (["models", "import", "missing.gguf"], "missing.gguf: No such file"),
    ],
)
def test_an_error_is_one_line_with_the_way_out(skerry: Skerry, words: list[str], said: str) -> None:
    done = skerry(*words)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert said in done.stderr


def test_debug_shows_the_traceback(skerry: Skerry) -> None:
    assert "Traceback" in skerry("--debug", "models", "show", "@skerry/none").stderr


def test_offline_says_that_the_network_is_closed(skerry: Skerry) -> None:
    done = skerry("models", "pull", "@skerry/minilm-l6-v2", "--offline", "--no-tune")
    assert done.returncode == 1
    assert "offline" in done.stderr


def test_list_has_every_model_and_filters(skerry: Skerry) -> None:
    rows = json.loads(skerry("models", "list", "--json").stdout)
    assert "@skerry/minilm-l6-v2" in {row["name"] for row in rows}
    assert not any(row["in_store"] for row in rows)
    some = json.loads(skerry("models", "list", "--task", "object-detection", "--json").stdout)
    assert {row["task"] for row in some} == {"object-detection"}
    assert "@skerry/nanodet" in skerry("models", "list").stdout


def test_show_tells_licence_hash_and_mirrors(skerry: Skerry) -> None:
    text = skerry("models", "show", "@skerry/minilm-l6-v2").stdout
    entry = json.loads(skerry("models", "show", "@skerry/minilm-l6-v2", "--json").stdout)["entry"]
    for artifact in entry["artifacts"]:
        assert artifact["sha256"] in text
    assert entry["licence"] in text
    assert "pypi:" in text


def test_pin_and_unpin(skerry: Skerry, echo: str) -> None:
    assert json.loads(skerry("models", "pin", echo, "--json").stdout) == {"pinned": [echo]}
    rows = json.loads(skerry("models", "list", "echo", "--json").stdout)
    assert [row["pinned"] for row in rows if row["name"] == echo] == [True]
    done = skerry("models", "pin", echo, "--remove", "--json")
    assert json.loads(done.stdout) == {"pinned": []}


def test_run_streams_text_or_prints_json(skerry: Skerry, echo: str) -> None:
    raw = skerry("run", echo, "hello world", "--json")
    assert raw.returncode == 0, raw.stderr
    answer = json.loads(raw.stdout)["response"]
    assert answer
    assert skerry("run", echo, "hello world").stdout.strip() == answer.strip()
    assert skerry("run", echo, "-", stdin="hello world").stdout.strip() == answer.strip()
    pieces = skerry("run", echo, "hello world", "--json", "--stream").stdout.splitlines()
    told = "".join(json.loads(line)["response"] for line in pieces)
    assert told.strip() == answer.strip()


def test_an_imported_gguf_is_hashed_and_named(skerry: Skerry, tmp_path: Path) -> None:
    weights = tmp_path / 'My "Model" ü.gguf'
    weights.write_bytes(b"GGUF" + bytes(100))
    done = skerry("models", "import", str(weights), "--licence", "MIT", "--json")
    assert done.returncode == 0, done.stderr
    name = json.loads(done.stdout)["name"]
    entry = json.loads(skerry("models", "show", name, "--json").stdout)["entry"]
    assert entry["artifacts"][0]["mirrors"] == [f"file:{weights}"]
    assert entry["artifacts"][0]["size"] == 104


def test_what_is_no_model_is_not_imported(skerry: Skerry, tmp_path: Path) -> None:
    (tmp_path / "x.bin").write_bytes(b"PK\x03\x04")
    assert "neither a GGUF file" in skerry("models", "import", "x.bin").stderr


def test_doctor_names_every_engine(skerry: Skerry) -> None:
    checks = json.loads(skerry("doctor", "--offline", "--json").stdout)
    found = {check["name"]: check["state"] for check in checks}
    assert found["engine dummy"] == "ok"
    assert {"python", "models", "data", "port", "network", "catalog"} <= found.keys()


def test_completion_is_offered(skerry: Skerry, environment: dict[str, str]) -> None:
    environment["_SKERRY_COMPLETE"] = "complete_bash"
    environment |= {"COMP_WORDS": "skerry mod", "COMP_CWORD": "1"}
    assert "models" in skerry().stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_answers_and_a_signal_ends_it(
    environment: dict[str, str], echo: str, tmp_path: Path, number: signal.Signals
) -> None:
    command = [sys.executable, "-c", "from skerry.cli import main; main()"]
    with subprocess.Popen(
        [*command, "serve", "--port", "0", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=tmp_path,
    ) as process:
        try:
            assert process.stdout is not None
            url = json.loads(process.stdout.readline())["url"]
            request = urllib.request.Request(
                f"{url}/client/v4/accounts/local/ai/run/{echo}",
                data=b'{"prompt": "hello"}',
                headers={"Content-Type": "application/json"},
            )
            with urllib.request.urlopen(request, timeout=30) as response:
                assert json.load(response)["success"] is True
            remote = subprocess.run(
                [*command, "run", echo, "hello", "--url", url],
                capture_output=True,
                text=True,
                env=environment,
                timeout=60,
                check=False,
            )
            assert remote.returncode == 0, remote.stderr
            assert remote.stdout.strip()
            process.send_signal(number)
            assert process.wait(30) == 0
        finally:
            process.kill()
