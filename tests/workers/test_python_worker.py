"""Python workers of each style, in real processes."""

from __future__ import annotations

import asyncio
import io
import json
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from skerry.errors import BuildError
from skerry.workers.bindings import AiBinding
from skerry.workers.workerd.config import Options
from tests.workers.python_rig import Fake, eventually, fake_json, python_worker

CLASS = """
    from workers import Response, WorkerEntrypoint

    class Default(WorkerEntrypoint):
        async def fetch(self, request):
            return Response(f"{request.method} {request.url} {self.env.NAME}")
"""


async def test_a_class_answers(tmp_path: Path) -> None:
    async with python_worker(tmp_path, CLASS, variables={"NAME": "x"}) as rig:
        assert await rig.get("/a?b=c") == "GET http://worker.test/a?b=c x"
        assert rig.host.handlers == ["fetch"]


@pytest.mark.parametrize(
    "signature", ["", "request", "request, env", "request, env, ctx", "*given"]
)
async def test_a_function_takes_what_it_declares(tmp_path: Path, signature: str) -> None:
    code = f"""
    from workers import Response

    def on_fetch({signature}):
        return Response("yes", status=201, headers={{"x-a": "b"}})
    """
    async with python_worker(tmp_path, code) as rig, rig.session.get("http://w/") as got:
        assert (got.status, got.headers["x-a"], await got.text()) == (201, "b", "yes")


async def test_the_old_javascript_style(tmp_path: Path) -> None:
    code = """
    from js import Headers, JSON, Object, Response, URL, console
    from pyodide.ffi import to_js
    from workers import handler

    @handler
    async def on_fetch(request, env):
        url = URL.new(request.url)
        console.log("path", url.pathname)
        headers = Headers.new({"content-type": "application/json"}.items())
        body = JSON.stringify(to_js({"q": url.searchParams.get("q")},
                                    dict_converter=Object.fromEntries))
        return Response.new(body, to_js({"status": 202, "headers": headers}))
    """
    async with python_worker(tmp_path, code) as rig:
        status, text = await rig.ask("GET", "/p?q=1+2")
        assert (status, json.loads(text)) == (202, {"q": "1 2"})
        assert rig.said() == ["path /p"]


ECHO = """
    from workers import Response, WorkerEntrypoint

    class Default(WorkerEntrypoint):
        async def fetch(self, request):
            path = request.url.rpartition("/")[2]
            if path == "json":
                data = await request.json()
                return Response.json({"a": data.deep.list[1], "b": data["deep"]["list"]})
            if path == "form":
                form = await request.form_data()
                file = form["file"]
                return Response.json([form["name"], form.get_all("name"), file.name,
                                      file.content_type, await file.text()])
            if path == "stream":
                return Response(request.body, headers={"content-type": "x/y"})
            if path == "count":
                total = 0
                async for chunk in request.body:
                    total += len(chunk)
                return Response(str(total))
            if path == "headers":
                copy = request.clone()
                return Response.json({
                    "pairs": [list(pair) for pair in request.headers.items()],
                    "js": [list(pair) for pair in request.js_object.headers],
                    "missing": request.headers["nope"],
                    "text": await copy.text(), "method": str(request.method),
                })
            if path == "twice":
                await request.text()
                return Response(await request.text())
            return Response(await request.bytes())
"""


async def test_bodies_in_and_out(tmp_path: Path) -> None:
    async with python_worker(tmp_path, ECHO) as rig:
        status, text = await rig.ask("POST", "/json", json={"deep": {"list": [1, 2]}})
        assert (status, json.loads(text)) == (200, {"a": 2, "b": [1, 2]})
        form = aiohttp.FormData()
        form.add_field("name", "Zoë")
        form.add_field("name", "b")
        form.add_field("file", b"abc", filename="a.txt", content_type="text/x")
        status, text = await rig.ask("POST", "/form", data=form)
        assert json.loads(text) == ["Zoë", ["Zoë", "b"], "a.txt", "text/x", "abc"]
        big = bytes(range(256)) * 20_000
        async with rig.session.post("http://w/stream", data=io.BytesIO(big)) as got:
            assert got.headers["content-type"] == "x/y"
            assert await got.read() == big
        async with rig.session.post("http://w/raw", data=io.BytesIO(big)) as got:
            assert await got.read() == big

        async def pieces() -> object:
            for _ in range(50):
                yield b"x" * 10_000

        assert await rig.ask("POST", "/count", data=pieces()) == (200, "500000")
        status, text = await rig.ask("POST", "/headers", data="hi", headers={"X-One": "a"})
        told = json.loads(text)
        assert ["x-one", "a"] in told["pairs"]
        assert told["js"] == told["pairs"]
        assert (told["missing"], told["text"], told["method"]) == (None, "hi", "POST")
        status, text = await rig.ask("POST", "/twice", data="x")
        assert status == 500
        assert "Body already used" in text


async def test_ai_answers_with_attributes_and_items(tmp_path: Path) -> None:
    code = """
    from workers import Response, WorkerEntrypoint

    class Default(WorkerEntrypoint):
        async def fetch(self, request):
            out = await self.env.AI.run("@cf/a/b", {"prompt": "hi", "image": b"\\x01\\x02"},
                                        gateway={"id": "g"})
            return Response.json([out.response, out["usage"]["n"], out.usage.n,
                                  self.env.AI.lastRequestId])
    """
    face = Fake(
        lambda _: web.Response(
            body=b'{"response":"yes","usage":{"n":3}}',
            headers={"content-type": "application/json", "cf-ai-req-id": "r1"},
        )
    )
    async with python_worker(
        tmp_path, code, faces={"AI": face}, bindings=[AiBinding(name="AI")]
    ) as rig:
        assert await rig.json() == ["yes", 3, 3, "r1"]
    method, target, headers, body = face.asked[0]
    assert (method, target) == ("POST", "/ai-gateway/run?version=3")
    assert headers["cf-consn-model-id"] == "@cf/a/b"
    assert json.loads(body) == {
        "inputs": {"prompt": "hi", "image": {"0": 1, "1": 2}},
        "options": {"gateway": {"id": "g"}},
    }


async def test_ai_errors_have_their_name_and_number(tmp_path: Path) -> None:
    code = """
    from workers import Response, WorkerEntrypoint

    class Default(WorkerEntrypoint):
        async def fetch(self, request):
            try:
                await self.env.AI.run("@cf/a/b", {})
            except Exception as error:
                return Response.json([type(error).__name__, error.name, str(error), error.code])
    """
    face = fake_json({"internalCode": 5007, "name": "AiError", "description": "No such model"}, 400)
    async with python_worker(
        tmp_path, code, faces={"AI": face}, bindings=[AiBinding(name="AI")]
    ) as rig:
        assert await rig.json() == ["AiError", "AiError", "5007: No such model", 5007]


async def test_a_stream_of_ai_reaches_the_client_as_it_comes(tmp_path: Path) -> None:
    code = """
    from workers import Response, WorkerEntrypoint

    class Default(WorkerEntrypoint):
        async def fetch(self, request):
            out = await self.env.AI.run("@cf/a/b", {"stream": True})
            if request.url.endswith("/reader"):
                reader, text = out.getReader(), ""
                while not (piece := await reader.read()).done:
                    text += piece.value.decode()
                return Response(text)
            return Response(out, headers={"content-type": "text/event-stream"})
    """
    go = asyncio.Event()

    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"data: 1\n\n")
        await go.wait()
        await response.write(b"data: 2\n\n")
        return response

    async with python_worker(
        tmp_path, code, faces={"AI": Fake(stream)}, bindings=[AiBinding(name="AI")]
    ) as rig:
        async with rig.session.get("http://w/") as got:
            assert await got.content.readuntil(b"\n\n") == b"data: 1\n\n"
            go.set()
            assert await got.content.read() == b"data: 2\n\n"
        assert await rig.get("/reader") == "data: 1\n\ndata: 2\n\n"


async def test_what_a_worker_says_comes_in_order(tmp_path: Path) -> None:
    code = """
    import logging
    from js import console
    from workers import Response, WorkerEntrypoint, wait_until

    async def later():
        raise ValueError("too late")

    class Default(WorkerEntrypoint):
        async def fetch(self, request):
            print("one", 1)
            logging.warning("two")
            console.error("three", {"a": [1]})
            self.ctx.waitUntil(later())
            wait_until(later())
            return Response("ok")
    """
    async with python_worker(tmp_path, code) as rig:
        await rig.get()
        await eventually(lambda: len(rig.logs) == 5)
        assert [(e.level, e.message[:2]) for e in rig.logs[:3]] == [
            ("log", ["one 1"]), ("warn", ["two"]), ("error", ["three", {"a": [1]}]),
        ]  # fmt: skip
        assert [e.kind for e in rig.logs[3:]] == ["waitUntil", "waitUntil"]
        assert len({event.request for event in rig.logs}) == 1
        assert "entry.py" in rig.said()[3]
        assert "too late" in rig.said()[3]


async def test_an_exception_shows_the_users_own_lines(tmp_path: Path) -> None:
    code = """
    from lib import boom
    from workers import Response, WorkerEntrypoint

    class Default(WorkerEntrypoint):
        async def fetch(self, request):
            return boom()
    """
    lib = "def boom():\n    raise LookupError('not there')\n"
    async with python_worker(tmp_path, code, files={"lib.py": lib}) as rig:
        status, text = await rig.ask("GET", "/")
        assert status == 500
        assert text.startswith("error code: 1101\nTraceback")
        assert 'lib.py", line 2, in boom' in text
        assert 'entry.py", line 7, in fetch' in text
        assert "_skerry" not in text
        assert rig.logs[0].kind == "exception"
        assert rig.logs[0].message[0] in text
        status, text = await rig.ask("GET", "/", headers={"accept": "text/html"})
        assert "<h1>Error 1101</h1>" in text
        rig.options = Options(verbose=False)
        first = rig.host
        await rig.start()
        await first.stop(2.0)
        assert await rig.ask("GET", "/") == (500, "error code: 1101")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import nope_nope", "No module named 'nope_nope'"),
        ("x = 1", "has no handler: define `class Default(WorkerEntrypoint)`"),
        ("def (:", "SyntaxError"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("import skerry", "No module named 'skerry'"),
        ("import aiohttp", "No module named 'aiohttp'"),
        ("from js import HTMLRewriterX", "cannot import name 'HTMLRewriterX' from 'js'"),
    ],
)
async def test_a_module_that_cannot_be_loaded(tmp_path: Path, code: str, words: str) -> None:
    async with python_worker(tmp_path, code, start=False) as rig:
        with pytest.raises(BuildError, match="worker cannot be loaded") as told:
            await rig.start()
        assert words in str(told.value)
        assert "_skerry" not in str(told.value)


async def test_a_wrong_result_is_told(tmp_path: Path) -> None:
    code = "def on_fetch():\n    return 'text'\n"
    async with python_worker(tmp_path, code) as rig:
        status, text = await rig.ask("GET", "/")
        assert status == 500
        assert "fetch() must return a Response, not str" in text


async def test_secrets_replace_variables_and_are_no_environment(tmp_path: Path) -> None:
    code = """
    import os
    from workers import Response, env

    NAME = env.KEY

    def on_fetch():
        return Response.json([NAME, env.OBJECT.a, dict(os.environ)])
    """
    async with python_worker(
        tmp_path, code, variables={"KEY": "plain", "OBJECT": {"a": 1}}, secrets={"KEY": "s3cret"}
    ) as rig:
        key, one, environ = await rig.json()
        assert (key, one) == ("s3cret", 1)
        assert not any("s3cret" in value for value in environ.values())
        assert set(environ) <= {"LANG", "LC_ALL", "TZ", "PWD", "LC_CTYPE", "HOME", "PATH"}


async def test_an_absent_class_says_so(tmp_path: Path) -> None:
    code = """
    from workers import DurableObject, Response, WorkflowEntrypoint

    class Room(DurableObject):
        pass

    def on_fetch(request, env, ctx):
        return Response(str(Room(ctx, env)))
    """
    async with python_worker(tmp_path, code) as rig:
        status, text = await rig.ask("GET", "/")
        assert status == 500
        assert "Durable Objects are not part of this node" in text
