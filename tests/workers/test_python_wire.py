"""The HTTP of Python workers, byte by byte: what is hostile is refused, and harms nobody else."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.workers.python_rig import Rig, eventually, python_worker

ECHO = """
    from workers import Response, WorkerEntrypoint

    class Default(WorkerEntrypoint):
        async def fetch(self, request):
            if request.url.endswith("/never"):
                async def never():
                    yield b"begun"
                    raise ValueError("in the middle")
                return Response(never())
            if request.url.endswith("/split"):
                return Response("x", headers={"x-a": "b\\r\\nx-evil: 1"})
            if request.url.endswith("/short"):
                async def short():
                    yield b"1234"
                return Response(short(), headers={"content-length": "10"})
            if request.url.endswith("/status"):
                return Response("", status=700)
            return Response(f"{request.url}|{request.headers['x-skerry-binding']}|"
                            f"{len(await request.bytes())}")
"""


async def raw(rig: Rig, data: bytes, *, end: bool = False) -> bytes:
    """What a connection answers to these bytes. end: and to the end of the client's side."""
    reader, writer = await asyncio.open_unix_connection(str(rig.folder / "l.sock"))
    try:
        writer.write(data)
        if end:
            writer.write_eof()
        async with asyncio.timeout(10):
            return await reader.read()
    finally:
        writer.close()


CLOSE = b"Host: w\r\nConnection: close\r\n"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET / HTTP/1.1\r\n" + CLOSE + b"\r\n", 200),
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nbad header: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nx: a\x00b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nno-colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n folded: x\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 1, 2\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nx: " + b"a" * 70_000 + b"\r\n\r\n", 431),
        (b"GET /" + b"a" * 70_000, 431),
        (b"G\x00T / HTTP/1.1\r\n\r\n", 400),
    ],
)
async def test_what_is_no_request_is_refused(tmp_path: Path, data: bytes, status: int) -> None:
    async with python_worker(tmp_path, ECHO) as rig:
        answer = await raw(rig, data)
        assert answer.startswith(f"HTTP/1.1 {status} ".encode())
        assert await rig.get("/fine")


@pytest.mark.parametrize(
    "body",
    [
        b"zz\r\nabc\r\n0\r\n\r\n",
        b"3\r\nabcd\r\n0\r\n\r\n",
        b"ffffffffffffffffffff\r\n",
        b"3\r\nab",
        b"x" * 400,
    ],
)
async def test_broken_chunks_end_the_request(tmp_path: Path, body: bytes) -> None:
    async with python_worker(tmp_path, ECHO) as rig:
        head = b"POST / HTTP/1.1\r\n" + CLOSE + b"Transfer-Encoding: chunked\r\n\r\n"
        answer = await raw(rig, head + body, end=True)
        assert not answer.startswith(b"HTTP/1.1 200")
        assert await rig.get("/fine")


async def test_requests_in_one_write_are_answered_in_order(tmp_path: Path) -> None:
    async with python_worker(tmp_path, ECHO) as rig:
        one = b"POST /1 HTTP/1.1\r\nHost: w\r\nContent-Length: 3\r\n\r\nabc"
        two = b"POST /2 HTTP/1.1\r\nHost: w\r\nTransfer-Encoding: chunked\r\n\r\n"
        two += b"2;x=y\r\nab\r\n0\r\nt: v\r\n\r\n"
        three = b"GET http://other.test/3 HTTP/1.1\r\n" + CLOSE + b"\r\n"
        answer = await raw(rig, one + two + three)
        assert [line for line in answer.split(b"\r\n") if b"|" in line or b"HTTP" in line] == [
            b"HTTP/1.1 200 OK",
            b"http://w/1|None|3HTTP/1.1 200 OK",
            b"http://w/2|None|2HTTP/1.1 200 OK",
            b"http://other.test/3|None|0",
        ]


async def test_the_nodes_own_headers_cannot_be_forged(tmp_path: Path) -> None:
    async with python_worker(tmp_path, ECHO) as rig:
        text = await rig.get("/", headers={"X-Skerry-Binding": "KV"})
        assert text == "http://worker.test/|None|0"


async def test_a_large_body_that_nobody_reads_is_not_kept(tmp_path: Path) -> None:
    code = """
    import asyncio
    from workers import Response

    async def on_fetch():
        await asyncio.sleep(0.3)
        with open("/proc/self/statm") as statm:
            return Response(str(int(statm.read().split()[1]) * 4096))
    """
    async with python_worker(tmp_path, code) as rig:
        before = int(await rig.get())

        async def flood() -> object:
            for _ in range(400):
                yield b"x" * (1 << 18)

        status, text = await rig.ask("POST", "/", data=flood())
        assert status == 200
        assert int(text) - before < 8 << 20


async def test_what_a_handler_may_not_send(tmp_path: Path) -> None:
    async with python_worker(tmp_path, ECHO) as rig:
        status, text = await rig.ask("GET", "/split")
        assert status == 500
        assert "may hold no line break" in text
        assert (await rig.ask("GET", "/status"))[0] == 500
        answer = await raw(rig, b"GET /never HTTP/1.1\r\n" + CLOSE + b"\r\n")
        assert answer.endswith(b"begun\r\n")  # no last chunk: the client sees that it was cut
        assert "in the middle" in rig.said()[-1]
        answer = await raw(rig, b"GET /short HTTP/1.1\r\n" + CLOSE + b"\r\n")
        assert answer.endswith(b"\r\n\r\n1234")
        assert "shorter than its content-length" in rig.said()[-1]


async def test_a_client_that_leaves_cancels_its_handler(tmp_path: Path) -> None:
    code = """
    import asyncio
    from workers import Response, wait_until

    async def goes_on():
        await asyncio.sleep(0.2)
        print("went on")

    async def on_fetch():
        wait_until(goes_on())
        print("begun")
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            print("cancelled")
            raise
    """
    async with python_worker(tmp_path, code) as rig:
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "l.sock"))
        writer.write(b"GET / HTTP/1.1\r\nHost: w\r\n\r\n")
        await eventually(lambda: rig.said() == ["begun"])
        writer.close()
        await writer.wait_closed()
        await eventually(lambda: rig.said() == ["begun", "cancelled", "went on"])
        assert reader.at_eof() or not await reader.read()


async def test_a_flood_of_words_is_cut(tmp_path: Path) -> None:
    code = """
    from workers import Response

    def on_fetch():
        print("x" * 200_000)
        for _ in range(10_000):
            print("y" * 100)
        return Response("ok")
    """
    async with python_worker(tmp_path, code) as rig:
        assert await rig.get() == "ok"
        assert await rig.get() == "ok"
        said = rig.said()
        assert len(said[0]) < 70_000
        assert sum(len(line) for line in said) < 800_000
        assert said[-1] == "this request has logged 256 KiB: the rest is dropped"
