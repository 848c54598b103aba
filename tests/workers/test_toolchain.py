"""workerd and esbuild: fetched once, verified, and what is said where they cannot be had."""

from __future__ import annotations

import asyncio
import io
import subprocess
import tarfile
from pathlib import Path

import pytest

from skerry.catalog.blocking import Stop
from skerry.catalog.mirrors.base import Fetch
from skerry.catalog.mirrors.npm import NpmPackages
from skerry.catalog.progress import Progress
from skerry.errors import ArtifactError, HashMismatch, Offline
from skerry.workers.toolchain import ESBUILD, WORKERD, Tool, Toolchain, integrity_of, run_tool


def package(path: Path, member: str, data: bytes) -> None:
    with tarfile.open(path, "w:gz") as archive:
        info = tarfile.TarInfo(f"package/{member}")
        info.size, info.mode = len(data), 0o755
        archive.addfile(info, io.BytesIO(data))


class Registry(NpmPackages):
    """Hands out one package, and counts."""

    def __init__(self, archive: Path) -> None:
        super().__init__({}, archive.parent)
        self.archive = archive
        self.fetches = 0

    async def tarball(self, package: str, version: str, want: Fetch) -> Path:
        self.fetches += 1
        await asyncio.sleep(0.05)
        target = want.work.folder / "made.tgz"
        target.write_bytes(self.archive.read_bytes())
        want.at(target.stat().st_size)
        return target


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    archive = tmp_path / "tool.tgz"
    package(archive, "bin/tool", b"#!/bin/sh\necho ran >&2; exit 3\n")
    return Registry(archive)


def tool(registry: Registry, integrity: str | None = None) -> Tool:
    given = integrity or integrity_of(registry.archive, Stop())
    return Tool("tool", "1.0.0", "bin/tool", {"here": ("@test/tool", given)})


async def test_a_tool_is_fetched_once_whoever_asks(registry: Registry, tmp_path: Path) -> None:
    told: list[Progress] = []
    chains = [
        Toolchain(tmp_path / "tools", npm=registry, machine="here", report=told.append)
        for _ in range(3)
    ]
    wanted = tool(registry)
    paths = await asyncio.gather(*(each.path(wanted) for each in chains))
    assert len(set(paths)) == 1
    assert registry.fetches == 1
    assert told[-1].phase == "done"
    assert await run_tool(paths[0], [], tmp_path, 10) == (3, "ran\n")
    offline = Toolchain(tmp_path / "tools", offline=True, machine="here")
    assert await offline.path(wanted) == paths[0]


async def test_other_bytes_than_the_source_names_are_refused(
    registry: Registry, tmp_path: Path
) -> None:
    chain = Toolchain(tmp_path / "tools", npm=registry, machine="here")
    with pytest.raises(HashMismatch, match=r"tool 1\.0\.0 .*other bytes"):
        await chain.path(tool(registry, "sha512-AAAA"))
    assert not list((tmp_path / "tools").glob("tool-*"))
    await chain.path(tool(registry))  # and the next try begins anew
    assert registry.fetches == 2


async def test_a_package_without_the_program_leaves_nothing(
    registry: Registry, tmp_path: Path
) -> None:
    package(registry.archive, "other", b"x")
    chain = Toolchain(tmp_path / "tools", npm=registry, machine="here")
    with pytest.raises(ArtifactError, match="no member"):
        await chain.path(tool(registry))
    assert not list((tmp_path / "tools").glob("tool-*"))


async def test_offline_and_unknown_machines_are_told_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(Offline, match="Start once without --offline"):
        await Toolchain(tmp_path, offline=True, machine="linux-x64").workerd()
    with pytest.raises(ArtifactError, match=r"no package for plan9-vax; it runs on linux-x64"):
        await Toolchain(tmp_path, machine="plan9-vax").esbuild()


@pytest.mark.parametrize("each", [WORKERD, ESBUILD], ids=lambda each: each.name)
def test_every_machine_s_package_is_pinned(each: Tool) -> None:
    assert {"linux-x64", "linux-arm64"} <= set(each.packages)
    for _, integrity in each.packages.values():
        assert integrity.startswith("sha512-")
        assert len(integrity) == 95


def test_the_real_programs_run(tools: Toolchain) -> None:
    paths = asyncio.run(tools.workerd()), asyncio.run(tools.esbuild())
    for path, version in zip(paths, ("workerd 2026-11-17", ESBUILD.version), strict=True):
        said = subprocess.run([path, "--version"], capture_output=True, text=True, check=True)
        assert version in said.stdout
