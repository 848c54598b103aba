"""workerd by itself, serving one bundle: what a worker's rate is held against."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.serving import TOOLS
from skerry.workers.build import BUNDLE, Source, bundle
from skerry.workers.toolchain import Toolchain

CONFIG = """\
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = (
    compatibilityDate = "2026-11-01",
    modules = [(name = "worker.js", esModule = embed "worker.js")]
  ))],
  sockets = [(name = "http", address = "127.0.0.1:%d", http = (), service = "main")]
);
"""


@contextmanager
def bare_workerd(main: Path) -> Iterator[str]:
    """The bundle of a worker without bindings on the pinned workerd; its URL."""
    tools = Toolchain(Path(os.environ.get("SKERRY_TOOLS") or TOOLS))
    with tempfile.TemporaryDirectory(prefix="skerry-bench-") as name:
        folder = Path(name)
        workerd = asyncio.run(_built(tools, main, folder))
        assert (folder / BUNDLE).is_file()
        port = _free_port()
        (folder / "config.capnp").write_text(CONFIG % port)
        process = subprocess.Popen([workerd, "serve", folder / "config.capnp"], cwd=folder)
        try:
            _listens(port)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(10)


async def _built(tools: Toolchain, main: Path, folder: Path) -> Path:
    source = Source(root=main.parent, main=main)
    await bundle(source, folder, await tools.esbuild())
    return await tools.workerd()


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def _listens(port: int) -> None:
    until = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.02)
