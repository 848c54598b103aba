"""The global set-up for vitest, with the vitest of the package registry."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from skerry.workers.packages import npm_command

SETUP = Path(__file__).parents[2] / "src" / "skerry" / "testing" / "vitest" / "global-setup.mjs"
WORKER = """
export default {
  async fetch(request, env) {
    const { count } = await env.DB.prepare("SELECT count(*) AS count FROM flats").first();
    return Response.json({ count, path: new URL(request.url).pathname });
  },
};
"""
WRANGLER = """
{ "name": "shop", "main": "index.js", "compatibility_date": "2026-02-01",
  "d1_databases": [{ "binding": "DB" }] }
"""
CONFIG = """
import { defineConfig } from "vitest/config";
export default defineConfig({ test: { globalSetup: "./skerry-setup.mjs" } });
"""
TEST = """
import { expect, inject, test } from "vitest";
test("the worker answers, its database has its tables", async () => {
  const answer = await fetch(inject("skerryUrl") + "/flats");
  expect(await answer.json()).toEqual({ count: 0, path: "/flats" });
  const node = await fetch(inject("skerryApi") + "/healthz");
  expect(node.status).toBe(200);
});
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with vitest installed."""
    npm = npm_command()
    if npm is None:
        pytest.skip("npm is not installed, so that vitest cannot be")
    if shutil.which("node") is None:
        pytest.skip("node is not in the path, which vitest's command looks for")
    folder = tmp_path / "shop"
    (folder / "migrations").mkdir(parents=True)
    (folder / "migrations" / "0001_first.sql").write_text("CREATE TABLE flats (id TEXT);")
    (folder / "index.js").write_text(WORKER)
    (folder / "wrangler.jsonc").write_text(WRANGLER)
    (folder / "vitest.config.js").write_text(CONFIG)
    (folder / "shop.test.js").write_text(TEST)
    (folder / "package.json").write_text('{"private": true, "type": "module"}')
    shutil.copy(SETUP, folder / "skerry-setup.mjs")
    command = [*npm, "install", "--no-audit", "--no-fund", "--prefer-offline", "vitest@3"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=100)
    return folder


def vitest(project: Path, toolbox: Path) -> subprocess.CompletedProcess[str]:
    """One run, in which `skerry` is this one."""
    command = project / "skerry"
    command.write_text(
        f'#!/bin/sh\nexec "{sys.executable}" -c "from skerry.cli import main; main()" "$@"\n'
    )
    command.chmod(0o755)
    kept = {name: text for name, text in os.environ.items() if not name.startswith("SKERRY_")}
    return subprocess.run(
        [str(project / "node_modules" / ".bin" / "vitest"), "run"],
        cwd=project,
        env=kept
        | {"VITEST_SKERRY_COMMAND": str(command), "SKERRY_TOOLS": str(toolbox), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.mark.packages
@pytest.mark.usefixtures("tools")
def test_vitest_tests_a_project(project: Path, toolbox: Path) -> None:
    done = vitest(project, toolbox)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout

    (project / "index.js").write_text("export default {")
    done = vitest(project, toolbox)
    assert done.returncode != 0
    assert "the worker cannot run" in done.stderr
    assert "index.js:1" in done.stderr
