"""Applications with packages of their own: FastAPI, Flask, numpy; and environments."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import aiohttp
import pytest

from skerry.errors import ProjectError
from skerry.workers.bindings import AiBinding
from skerry.workers.python.environment import Environments
from skerry.workers.python.requirements import read_requirements
from tests.workers.python_rig import eventually, fake_json, python_worker

FASTAPI = """
    from contextlib import asynccontextmanager

    import numpy as np
    from fastapi import FastAPI, Request, WebSocket
    from fastapi.responses import StreamingResponse
    from pydantic import BaseModel
    from workers import WorkerEntrypoint

    @asynccontextmanager
    async def lifespan(app):
        print("started")
        yield {"made": "once"}

    app = FastAPI(lifespan=lifespan)

    class Item(BaseModel):
        name: str
        values: list[float]

    @app.get("/")
    async def root(request: Request):
        return {"env": request.scope["env"].NAME, "state": request.state.made,
                "url": str(request.url)}

    @app.post("/mean")
    def mean(item: Item):
        return {"name": item.name, "mean": float(np.mean(item.values))}

    @app.get("/stream")
    async def stream():
        async def pieces():
            for n in range(3):
                yield f"data: {n}\\n\\n"
        return StreamingResponse(pieces(), media_type="text/event-stream")

    @app.get("/boom")
    async def boom():
        raise LookupError("gone")

    @app.websocket("/ws")
    async def ws(socket: WebSocket):
        await socket.accept()
        async for text in socket.iter_text():
            await socket.send_text(text.upper())
            if text == "bytes":
                await socket.send_bytes(b"\\x00" * 70_000)
            if text == "end":
                await socket.close(4000, "done")
                return

    class Default(WorkerEntrypoint):
        async def fetch(self, request):
            import asgi
            return await asgi.fetch(app, request.js_object, self.env)
"""

FLASK = """
    from flask import Flask, Response, jsonify, request
    from pyodide.ffi import run_sync
    from workers import wsgi

    app = Flask(__name__)

    @app.post("/kv/<key>")
    def keep(key):
        return jsonify(run_sync(request.environ["workers.env"].AI.run(key, request.get_json())))

    @app.get("/lines")
    def lines():
        return Response((f"{n}\\n" for n in range(3)), mimetype="text/plain")

    Default = wsgi.entrypoint(app)
"""


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The environment of both applications, made once."""
    folder = tmp_path_factory.mktemp("apps")
    (folder / "requirements.txt").write_text("numpy\nfastapi\n")
    (folder / "pyproject.toml").write_text(
        '[project]\nname = "x"\nversion = "0"\ndependencies = ["flask", "workers-py>=1"]\n'
    )
    environments = Environments(folder / "envs", offline=False)
    return asyncio.run(environments.packages(folder))


@pytest.mark.packages
async def test_fastapi_and_numpy(tmp_path: Path, packages: list[Path]) -> None:
    async with python_worker(tmp_path, FASTAPI, variables={"NAME": "n"}, packages=packages) as rig:
        for _ in range(2):
            assert await rig.json() == {
                "env": "n", "state": "once", "url": "http://worker.test/",
            }  # fmt: skip
        body = {"name": "x", "values": [1, 2, 6]}
        assert json.loads((await rig.ask("POST", "/mean", json=body))[1]) == {
            "name": "x", "mean": 3.0,
        }  # fmt: skip
        assert (await rig.ask("POST", "/mean", json={}))[0] == 422
        async with rig.session.get("http://w/stream") as got:
            assert got.headers["content-type"].startswith("text/event-stream")
            assert await got.text() == "data: 0\n\ndata: 1\n\ndata: 2\n\n"
        assert (await rig.ask("GET", "/boom"))[0] == 500
        await eventually(lambda: any("LookupError: gone" in text for text in rig.said()))
        assert rig.said().count("started") == 1


@pytest.mark.packages
async def test_websockets(tmp_path: Path, packages: list[Path]) -> None:
    async with (
        python_worker(tmp_path, FASTAPI, packages=packages) as rig,
        rig.session.ws_connect("http://w/ws") as socket,
    ):
        await socket.send_str("hi")
        assert await socket.receive_str() == "HI"
        await socket.send_str("bytes")
        assert await socket.receive_str() == "BYTES"
        assert await socket.receive_bytes() == bytes(70_000)
        await socket.send_str("end")
        assert await socket.receive_str() == "END"
        closed = await socket.receive()
        assert (closed.type, closed.data, closed.extra) == (aiohttp.WSMsgType.CLOSE, 4000, "done")


@pytest.mark.packages
async def test_flask_waits_for_bindings(tmp_path: Path, packages: list[Path]) -> None:
    async with python_worker(
        tmp_path, FLASK, packages=packages, faces={"AI": fake_json({"response": "yes"})},
        bindings=[AiBinding(name="AI")],
    ) as rig:  # fmt: skip
        status, text = await rig.ask("POST", "/kv/m", json={"a": 1})
        assert (status, json.loads(text)) == (200, {"response": "yes"})
        assert await rig.get("/lines") == "0\n1\n2\n"
        assert (await rig.ask("GET", "/none"))[0] == 404


@pytest.mark.packages
async def test_an_environment_is_made_once(tmp_path: Path, packages: list[Path]) -> None:
    assert (packages[0] / "numpy").is_dir()
    assert not (packages[0] / "workers_py").exists()
    told: list[str] = []
    environments = Environments(packages[0].parent, offline=True, tell=told.append)
    again = await environments.packages(packages[0].parent.parent)
    assert again == packages
    assert told == []


def project(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)
    return folder


async def test_no_requirements_no_environment(tmp_path: Path) -> None:
    environments = Environments(tmp_path / "envs", offline=False)
    project(tmp_path, requirements_txt="# nothing\n\n", pyproject_toml="[tool.x]\n")
    assert await environments.packages(tmp_path) == []
    assert not (tmp_path / "envs").exists()
    (tmp_path / "python_modules").mkdir()
    assert await environments.packages(tmp_path) == [tmp_path / "python_modules"]


@pytest.mark.parametrize("offline", [True, False])
async def test_what_cannot_be_installed_is_told(tmp_path: Path, offline: bool) -> None:
    project(tmp_path, requirements_txt="./not-there\n")
    environments = Environments(tmp_path / "envs", offline=offline)
    with pytest.raises(ProjectError, match="its requirements") as told:
        await environments.packages(tmp_path)
    assert "not-there" in str(told.value)
    assert ("Start it once without --offline" in str(told.value)) == offline
    assert [each.name for each in (tmp_path / "envs").iterdir() if each.name[0] != "."] == []
    assert list((tmp_path / "envs" / ".work").iterdir()) == []


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"pyproject_toml": "[project"}, "pyproject.toml"),
        ({"pyproject_toml": "[project]\ndependencies = 'x'"}, "is a list of texts"),
        ({"pyproject_toml": "[project]\ndependencies = ['-e .']"}, "is no requirement"),
        ({"pyproject_toml": '[project]\ndependencies = ["a\\nb"]'}, "is no requirement"),
        ({"requirements_txt": "-r other.txt"}, "other.txt is named by a requirements file"),
        ({"requirements_txt": "-r requirements.txt"}, "name each other more than"),
    ],
)
def test_requirements_that_cannot_be_read(
    tmp_path: Path, files: dict[str, str], words: str
) -> None:
    with pytest.raises(ProjectError, match=words):
        read_requirements(project(tmp_path, **files))


def test_another_environment_where_something_changes(tmp_path: Path) -> None:
    project(tmp_path, requirements_txt="-r more.txt\na", more_txt="b")
    first = read_requirements(tmp_path)
    assert read_requirements(tmp_path).key == first.key
    project(tmp_path, more_txt="c")
    second = read_requirements(tmp_path)
    project(tmp_path, pyproject_toml="[project]\ndependencies = ['d>=1', 'Workers_Py']\n")
    third = read_requirements(tmp_path)
    assert len({first.key, second.key, third.key}) == 3
    assert third.lines == ("d>=1",)
    assert str(third) == "d>=1, requirements.txt"
    assert sys.version_info >= (3, 11)
