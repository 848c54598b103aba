"""skerry dev and skerry tail as a user runs them: the real command, in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from skerry.workers.toolchain import Toolchain

SKERRY = [sys.executable, "-c", "import sys; from skerry.cli import main; main()"]


@pytest.fixture(scope="module")
def environ(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    import asyncio

    chosen = os.environ.get("SKERRY_TEST_TOOLS")
    tools = Path(chosen) if chosen else Path.home() / ".cache" / "skerry" / "tools"
    asyncio.run(Toolchain(tools).workerd())
    asyncio.run(Toolchain(tools).esbuild())
    data = tmp_path_factory.mktemp("data")
    return os.environ | {"SKERRY_TOOLS": str(tools), "SKERRY_DATA_DIR": str(data)}


@contextmanager
def dev(environ: dict[str, str], *arguments: str) -> Iterator[tuple[Any, dict[str, Any]]]:
    command = [*SKERRY, "dev", *arguments, "--port", "0", "--json"]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process, json.loads(process.stdout.readline())
        finally:
            process.kill()


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=20) as answer:
        return str(answer.read().decode())


def test_a_file_is_run_and_ctrl_c_ends_it(environ: dict[str, str], tmp_path: Path) -> None:
    main = tmp_path / "shop.ts"
    main.write_text(
        "export default { fetch(request: Request) { console.log('asked', request.method);"
        " return new Response('hello'); } };"
    )
    with dev(environ, str(main)) as (process, told):
        assert told["worker"] == "shop"
        assert told["bindings"] == [{"binding": "AI", "kind": "Ai", "what": ""}]
        assert get(told["url"]) == "hello"
        said = json.loads(process.stdout.readline())
        assert (said["worker"], said["message"]) == ("shop", ["asked GET"])
        for base in (told["url"], told["api"]):
            assert json.loads(get(f"{base}/healthz")) == {"status": "ok"}
        tail = subprocess.Popen(
            [*SKERRY, "tail", "--url", told["url"], "--recent", "1", "--json"],
            env=environ,
            stdout=subprocess.PIPE,
            text=True,
        )
        with tail:
            assert tail.stdout is not None
            assert json.loads(tail.stdout.readline())["message"] == ["asked GET"]
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 0
            assert tail.wait(20) == 0


def test_what_cannot_be_run_is_told(environ: dict[str, str], tmp_path: Path) -> None:
    main = tmp_path / "w.ts"
    main.write_text("export default {};")
    done = subprocess.run(
        [*SKERRY, "dev", str(main), "--inject", str(tmp_path / "none.ts")],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "none.ts: no such file" in done.stderr
    done = subprocess.run(
        [*SKERRY, "tail", "--url", "http://127.0.0.1:9"],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "no node answers at http://127.0.0.1:9" in done.stderr
