"""What a worker's fetch may reach, by real requests from a real worker."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web

from skerry.api.bindings.outbound import Allowed, RefusedError, public

from .rig import WorkerRig

Run = Callable[..., Awaitable[WorkerRig]]

SOURCE = """
export default { async fetch(request: Request) {
  const target = new URL(request.url).searchParams.get("to")!;
  if (request.method === "POST") {
    return await fetch(target, { method: "POST", body: request.body, headers: { "x-own": "1" } });
  }
  return await fetch(target, { redirect: "manual" });
} };
"""


@pytest.fixture
async def outside() -> AsyncIterator[int]:
    """A server beside the node: answers what it was asked."""

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path == "/moved":
            raise web.HTTPFound("/elsewhere")
        if request.path == "/stream":
            response = web.StreamResponse()
            await response.prepare(request)
            for part in (b"one ", b"two"):
                await response.write(part)
            return response
        body = await request.read()
        named = [name for name in request.headers if name.lower().startswith("x-")]
        return web.json_response(
            {"host": request.host, "path": request.path_qs, "size": len(body), "own": named},
            status=201,
            headers={"x-answer": "yes"},
        )

    app = web.Application(client_max_size=1 << 24)
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield runner.addresses[0][1]
    await runner.cleanup()


async def test_a_named_host_is_reached_with_everything(run: Run, outside: int) -> None:
    rig = await run(SOURCE, outbound=[f"127.0.0.1:{outside}"], offline=False)
    to = f"http://127.0.0.1:{outside}"
    async with rig.http.get("/", params={"to": f"{to}/a%2Fb?q=%20"}) as answer:
        assert answer.status == 201
        assert answer.headers["x-answer"] == "yes"
        told = await answer.json()
    assert told["path"] == "/a%2Fb?q=%20"
    assert told["host"] == f"127.0.0.1:{outside}"
    assert told["own"] == []  # nothing of how it came here
    async with rig.http.post(
        "/", params={"to": f"{to}/up"}, data=io.BytesIO(b"x" * 3_000_000)
    ) as answer:
        assert await answer.json() == told | {"path": "/up", "size": 3_000_000, "own": ["x-own"]}
    async with rig.http.get("/", params={"to": f"{to}/moved"}, allow_redirects=False) as answer:
        assert answer.status == 302
    assert await rig.get("/", params={"to": f"{to}/stream"}) == (200, "one two")


@pytest.mark.parametrize("offline", [False, True])
async def test_others_are_refused(run: Run, outside: int, offline: bool) -> None:
    rig = await run(SOURCE, offline=offline)
    for host in ("127.0.0.1", "localhost", "[::1]", "10.0.0.1", "169.254.169.254", "2130706433"):
        status, text = await rig.get("/", params={"to": f"http://{host}:{outside}/"})
        assert status == 403, host
        assert "offline" in text if offline else "outbound" in text
    status, text = await rig.get("/", params={"to": f"{rig.url}/v1/models"})
    assert status == 403  # not even the node itself


async def test_an_unreachable_host_is_a_gateway_error(run: Run) -> None:
    rig = await run(SOURCE, outbound=["127.0.0.1:9"], offline=False)
    status, text = await rig.get("/", params={"to": "http://127.0.0.1:9/"})
    assert status == 502
    assert "fetch of 127.0.0.1" in text


@pytest.mark.parametrize(
    ("address", "is_public"),
    [
        ("1.1.1.1", True),
        ("2606:4700::1111", True),
        ("127.0.0.1", False),
        ("0.0.0.0", False),
        ("10.1.2.3", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("::ffff:127.0.0.1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("64:ff9b::7f00:1", False),
        ("2002:7f00:1::", False),
        ("no address", False),
    ],
)
def test_what_is_public(address: str, is_public: bool) -> None:
    assert public(address) is is_public


def test_patterns_of_hosts() -> None:
    allowed = Allowed(["api.example.com", "*.trusted.org", "10.0.0.5:8080"], offline=False)
    allowed.check("api.example.com", 443)
    allowed.check("x.trusted.org", 443)
    allowed.check("10.0.0.5", 8080)
    allowed.check_address("10.0.0.5", 8080, "10.0.0.5")
    for host, port in (("example.com", 443), ("trusted.org.evil.net", 443), ("10.0.0.5", 80)):
        with pytest.raises(RefusedError):
            allowed.check(host, port)
    with pytest.raises(RefusedError, match="no public address"):
        Allowed(["*"], offline=False).check_address("rebound.example", 80, "192.168.0.1")
