"""What a Python worker may not do, and that nothing is lost while it is replaced."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from skerry.workers.bindings import AiBinding
from skerry.workers.watchdog import Limits
from skerry.workers.workerd.config import Options
from tests.workers.python_rig import Fake, Rig, eventually, python_worker

LOOP = """
    import asyncio, time
    from workers import Response, WorkerEntrypoint

    class Default(WorkerEntrypoint):
        async def fetch(self, request):
            path = request.url.rpartition("/")[2]
            if path == "wait":
                await asyncio.sleep(60)
            if path == "loop":
                while True:
                    pass
            if path == "block":
                time.sleep(60)
            if path == "eat":
                held = []
                while True:
                    held.append(bytearray(b"x" * (1 << 20)))
            if path == "huge":
                return Response(str(len(bytearray(1 << 40))))
            if path == "spin":
                while True:
                    try:
                        await asyncio.sleep(0.01)
                    except asyncio.CancelledError:
                        pass
            return Response("ok")
"""


@pytest.mark.parametrize(
    ("path", "kind", "words"),
    [
        ("/loop", "exceededCpu", "exceeded its CPU time limit"),
        ("/block", "exceededWallTime", "blocked its event loop"),
        ("/eat", "exceededMemory", "exceeded its memory limit"),
    ],
)
async def test_a_worker_past_its_bounds_is_cut_off(
    tmp_path: Path, path: str, kind: str, words: str
) -> None:
    limits = Limits(cpu=0.5, memory=64 << 20)
    async with python_worker(tmp_path, LOOP, limits=limits, options=Options(timeout=1.0)) as rig:
        assert await rig.get("/") == "ok"
        status, text = await rig.ask("GET", path)
        assert (status, text.split("\n")[0]) == (503, "error code: 1102")
        await eventually(lambda: rig.ends and rig.logs)
        assert rig.ends == [70]
        assert rig.logs[-1].kind == kind
        assert words in rig.said()[-1]
        assert 'entry.py", line' in rig.said()[-1]
        await rig.start()
        assert await rig.get("/") == "ok"


async def test_all_that_wait_are_told_and_the_socket_keeps_the_rest(tmp_path: Path) -> None:
    limits = Limits(cpu=0.5)
    async with python_worker(tmp_path, LOOP, limits=limits) as rig:
        waiting = [asyncio.create_task(rig.ask("GET", "/wait")) for _ in range(3)]
        await eventually(lambda: len(_connections(rig)) >= 3)
        looping = asyncio.create_task(rig.ask("GET", "/loop"))
        assert {status for status, _ in await asyncio.gather(looping, *waiting)} == {503}
        await eventually(lambda: rig.ends)
        late = asyncio.create_task(rig.ask("GET", "/"))
        await rig.start()
        assert await late == (200, "ok")


def _connections(rig: Rig) -> list[Any]:
    connector = rig.session.connector
    assert connector is not None
    return list(connector._acquired)


@pytest.mark.parametrize("path", ["/wait", "/spin"])
async def test_a_handler_that_never_answers_is_given_up(tmp_path: Path, path: str) -> None:
    async with python_worker(tmp_path, LOOP, options=Options(timeout=0.4)) as rig:
        status, text = await rig.ask("GET", path)
        assert status == 500
        assert text.startswith("error code: 1101")
        assert "would never generate a response" in text
        assert await rig.get("/") == "ok"


async def test_a_handler_that_waits_for_the_node_is_not_hung(tmp_path: Path) -> None:
    code = """
    from workers import Response, env

    async def on_fetch():
        return Response((await env.AI.run("m", {})).response)
    """

    async def slow(request: web.Request) -> web.Response:
        await asyncio.sleep(0.8)
        return web.Response(
            body=b'{"response":"late"}', headers={"content-type": "application/json"}
        )

    async with python_worker(
        tmp_path, code, options=Options(timeout=0.2), faces={"AI": Fake(slow)},
        bindings=[AiBinding(name="AI")],
    ) as rig:  # fmt: skip
        assert await rig.get() == "late"


async def test_memory_that_cannot_be_had_is_an_exception(tmp_path: Path) -> None:
    async with python_worker(tmp_path, LOOP) as rig:
        status, text = await rig.ask("GET", "/huge")
        assert status == 500
        assert "MemoryError" in text
        assert await rig.get("/") == "ok"


def _last(seen: list[str], version: str) -> bool:
    return bool(seen) and seen[-1] == version


async def test_reload_under_load_loses_nothing(tmp_path: Path) -> None:
    code = """
    import asyncio
    from workers import Response, WorkerEntrypoint

    class Default(WorkerEntrypoint):
        async def fetch(self, request):
            text = await request.text()
            await asyncio.sleep(0.003)
            return Response(f"VERSION {text}")
    """
    async with python_worker(tmp_path, code.replace("VERSION", "0")) as rig:
        seen: list[str] = []
        over = asyncio.Event()

        async def client(number: int) -> None:
            count = 0
            async with aiohttp.ClientSession(
                connector=aiohttp.UnixConnector(path=str(tmp_path / "l.sock"))
            ) as session:
                while not over.is_set():
                    count += 1
                    said = f"{number}-{count}"
                    async with session.post("http://w/", data=said) as got:
                        text = await got.text()
                        assert got.status == 200
                        version, _, back = text.partition(" ")
                        assert back == said
                        seen.append(version)

        clients = [asyncio.create_task(client(number)) for number in range(8)]
        for version in "1234":
            before = rig.host
            rig.write(code.replace("VERSION", version))
            await rig.start()
            await before.stop(10.0)
            await eventually(partial(_last, seen, version))
        over.set()
        await asyncio.gather(*clients)
        assert set(seen) == set("01234")
        assert all(host.process.status == 0 for host in rig.hosts[:-1])


async def test_what_is_in_flight_ends_before_the_process_does(tmp_path: Path) -> None:
    code = """
    import asyncio
    from workers import Response, WorkerEntrypoint

    async def later(text):
        await asyncio.sleep(0.3)
        print(text)

    async def slow():
        for n in range(4):
            yield f"{n}"
            await asyncio.sleep(0.1)

    class Default(WorkerEntrypoint):
        async def fetch(self, request):
            self.ctx.waitUntil(later("done"))
            return Response(slow())
    """
    async with python_worker(tmp_path, code) as rig:
        async with rig.session.get("http://w/") as got:
            assert await got.content.readexactly(1) == b"0"
            stopping = asyncio.create_task(rig.host.stop(10.0))
            assert await got.content.read() == b"123"
        await stopping
        assert rig.host.process.status == 0
        assert rig.said() == ["done"]


async def test_grace_has_an_end(tmp_path: Path) -> None:
    async with python_worker(tmp_path, LOOP) as rig:
        # A POST: aiohttp asks for a GET again, and nobody would answer it.
        asked = asyncio.create_task(rig.ask("POST", "/wait"))
        await eventually(lambda: _connections(rig))
        await asyncio.wait_for(rig.host.stop(0.2), 5.0)
        with pytest.raises(aiohttp.ClientError):
            await asked


async def test_a_worker_sees_its_project_and_nothing_else(tmp_path: Path) -> None:
    code = """
    import os
    from workers import Response

    def on_fetch(request):
        seen = []
        for path in ("/root", "/home", "{tmp}/secret.txt", "/etc/passwd", "{tmp}"):
            try:
                seen.append(os.listdir(path) if os.path.isdir(path) else open(path).read())
            except OSError as error:
                seen.append(type(error).__name__)
        try:
            open("{tmp}/project/new", "w")
        except OSError as error:
            seen.append(type(error).__name__)
        return Response.json([seen, os.getcwd(), len([p for p in os.listdir("/proc")
                                                      if p.isdigit()])])
    """
    (tmp_path / "secret.txt").write_text("secret")
    async with python_worker(tmp_path, code.replace("{tmp}", str(tmp_path))) as rig:
        if rig.sandbox.bwrap is None:
            pytest.skip(f"no sandbox here: {rig.sandbox.reason}")
        seen, cwd, processes = await rig.json()
    assert "secret" not in str(seen)
    assert seen[3] == "FileNotFoundError"
    assert sorted(seen[4]) == ["project", "s"]
    assert seen[5] == "OSError"
    assert cwd == str(tmp_path / "project")
    assert processes == 1


PARENT = """
import asyncio, sys
from pathlib import Path
from tests.workers.python_rig import python_worker

async def main():
    code = "from workers import Response\\ndef on_fetch():\\n    return Response('x')\\n"
    async with python_worker(Path(sys.argv[1]), code) as rig:
        print(rig.host.process.pid, flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


def _runs(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


async def test_it_ends_with_its_parent(tmp_path: Path) -> None:
    parent = subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE
    )
    try:
        assert parent.stdout is not None
        pid = int(await asyncio.to_thread(parent.stdout.readline))
        assert _runs(pid)
        os.kill(parent.pid, signal.SIGKILL)
        await eventually(lambda: not _runs(pid))
    finally:
        parent.kill()
        parent.wait()
        if parent.stdout is not None:
            parent.stdout.close()


async def test_a_connection_goes_on_with_the_next_process(tmp_path: Path) -> None:
    code = """
    from workers import Response

    async def on_fetch(request):
        return Response("VERSION" + await request.text())
    """
    async with python_worker(tmp_path, code.replace("VERSION", "0")) as rig:
        idle = await asyncio.open_unix_connection(str(tmp_path / "l.sock"))
        begun = await asyncio.open_unix_connection(str(tmp_path / "l.sock"))
        ask = b"POST / HTTP/1.1\r\nHost: w\r\nContent-Length: 1\r\n\r\nx"
        idle[1].write(ask)
        assert (await idle[0].readuntil(b"0x")).startswith(b"HTTP/1.1 200")
        begun[1].write(ask + ask[:30])
        assert (await begun[0].readuntil(b"0x")).startswith(b"HTTP/1.1 200")
        before = rig.host
        rig.write(code.replace("VERSION", "1"))
        await rig.start()
        await before.stop(10.0)
        assert before.process.status == 0
        idle[1].write(ask)
        begun[1].write(ask[30:])
        for reader, writer in (idle, begun):
            assert (await reader.readuntil(b"1x")).startswith(b"HTTP/1.1 200")
            writer.close()
