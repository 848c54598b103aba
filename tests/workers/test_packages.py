"""A project's npm packages: what is missing is installed, without running anything of theirs."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from skerry.errors import Offline, ProjectError
from skerry.workers.packages import Packages, missing, npm_command

NPM = """
import json, pathlib, sys
pathlib.Path("calls.json").write_text(json.dumps(sys.argv[1:]))
if "fail" in pathlib.Path("package.json").read_text():
    sys.exit("npm error code E404\\nnpm error 404 Not Found - fail")
for name in json.loads(pathlib.Path("package.json").read_text())["dependencies"]:
    folder = pathlib.Path("node_modules", name)
    folder.mkdir(parents=True)
    (folder / "package.json").write_text("{}")
"""


def packages(tmp_path: Path, told: list[str], *, offline: bool = False) -> Packages:
    script = tmp_path / "npm.py"
    script.write_text(NPM)
    return Packages(
        tmp_path / "locks",
        offline=offline,
        tell=told.append,
        npm=lambda: [sys.executable, str(script)],
    )


def project(tmp_path: Path, *names: str) -> Path:
    root = tmp_path / "project"
    root.mkdir(exist_ok=True)
    named = dict.fromkeys(names, "^1.0.0")
    (root / "package.json").write_text(json.dumps({"dependencies": named}))
    return root


async def test_what_is_missing_is_installed_once(tmp_path: Path) -> None:
    told: list[str] = []
    root = project(tmp_path, "hono", "@scope/name")
    assert missing(root) == ["hono", "@scope/name"]
    installer = packages(tmp_path, told)
    await installer.ensure(root)
    await installer.ensure(root)
    assert told == ["installing hono, @scope/name with npm"]
    called = json.loads((root / "calls.json").read_text())
    assert called[0] == "install"
    assert "--ignore-scripts" in called


async def test_a_lock_file_is_followed_to_the_letter(tmp_path: Path) -> None:
    root = project(tmp_path, "hono")
    (root / "package-lock.json").write_text("{}")
    await packages(tmp_path, []).ensure(root)
    assert json.loads((root / "calls.json").read_text())[0] == "ci"


async def test_packages_of_a_folder_above_count(tmp_path: Path) -> None:
    root = project(tmp_path, "hono")
    (tmp_path / "node_modules" / "hono").mkdir(parents=True)
    (tmp_path / "node_modules" / "hono" / "package.json").write_text("{}")
    assert missing(root) == []


async def test_failures_name_the_way_out(tmp_path: Path) -> None:
    root = project(tmp_path, "fail")
    with pytest.raises(ProjectError, match="404 Not Found - fail"):
        await packages(tmp_path, []).ensure(root)
    with pytest.raises(Offline, match="Run npm install once"):
        await packages(tmp_path, [], offline=True).ensure(root)
    without = Packages(tmp_path, offline=False, tell=lambda _: None, npm=lambda: None)
    with pytest.raises(ProjectError, match="Install Node"):
        await without.ensure(root)
    (root / "package.json").write_text("{broken")
    with pytest.raises(ProjectError, match=r"package\.json"):
        await packages(tmp_path, []).ensure(root)


def test_a_project_without_packages_needs_no_npm(tmp_path: Path) -> None:
    assert missing(tmp_path) == []
    assert missing(project(tmp_path)) == []


def test_the_machine_s_own_npm_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/somewhere/{name}")
    assert npm_command() == ["/somewhere/npm"]
