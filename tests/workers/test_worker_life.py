"""A worker's life: reload, broken builds, crashes, and the bounds that it is held to."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import psutil
import pytest

from .rig import WorkerRig, until

Run = Callable[..., Awaitable[WorkerRig]]


def says(text: str) -> str:
    """A worker that answers every request with `text`."""
    return (
        f"export default {{ async fetch(): Promise<Response> {{ return new Response('{text}') }} }}"
    )


ODD = """
const routes: Record<string, () => unknown> = {
  spin() { while (true) {} },
  async eat() {
    const kept = [];
    while (true) {
      kept.push(new Uint8Array(1 << 20).fill(1));
      await new Promise((done) => setTimeout(done, 0));
    }
  },
  throw() { throw new TypeError("thrown on purpose"); },
  reject() { return Promise.reject("a string"); },
  hang() { return new Promise(() => {}); },
  async slow() {
    await new Promise((done) => setTimeout(done, 700));
    return new Response("slow but well");
  },
  nothing() { return undefined; },
};
export default {
  async fetch(request: Request) {
    const route = routes[new URL(request.url).pathname.slice(1)];
    return route ? await route() : new Response("fine");
  },
};
"""


def pid_of(rig: WorkerRig) -> int:
    version = rig.supervisor.version
    assert version is not None
    assert version.host is not None
    return version.host.process.pid


async def test_reload_under_load_loses_no_request(run: Run) -> None:
    rig = await run(says("v0"))
    seen: list[str] = []
    stop = asyncio.Event()

    async def ask() -> None:
        async with aiohttp.ClientSession(rig.url) as http:
            while not stop.is_set():
                async with http.get("/") as answer:
                    assert answer.status == 200
                    seen.append(await answer.text())

    async with asyncio.TaskGroup() as group:
        askers = [group.create_task(ask()) for _ in range(8)]
        for number in range(1, 4):
            before = len(seen)
            assert await rig.change(says(f"v{number}"))
            await until(lambda before=before: len(seen) > before + 20)  # type: ignore[misc]
            assert f"v{number}" in seen
        stop.set()
        await asyncio.gather(*askers)
    assert seen[0] == "v0"
    assert await rig.get("/") == (200, "v3")
    assert set(seen) == {"v0", "v1", "v2", "v3"}


async def test_a_request_in_flight_ends_on_the_version_that_it_began_on(run: Run) -> None:
    rig = await run(ODD)
    slow = asyncio.create_task(rig.get("/slow"))
    await asyncio.sleep(0.1)
    assert await rig.change(says("new"))
    assert await rig.get("/") == (200, "new")
    assert await slow == (200, "slow but well")


async def test_a_broken_build_leaves_the_old_version_serving(run: Run) -> None:
    rig = await run(says("good"))
    assert not await rig.change("export default { fetch() { return new Response( } }")
    assert await rig.get("/") == (200, "good")
    [said] = rig.said("build")
    assert "index.ts:1:48: Unexpected" in said
    assert "goes on" in said
    assert not await rig.change("throw new Error('at start'); export default { fetch() {} }")
    assert await rig.get("/") == (200, "good")
    assert "at start" in rig.said("build")[-1]
    assert await rig.change(says("better"))
    assert await rig.get("/") == (200, "better")


async def test_without_an_old_version_callers_are_told_why(run: Run) -> None:
    rig = await run("let x = <b>;")
    status, text = await rig.get("/any")
    assert status == 500
    assert "index.ts:1:" in text
    status, page = await rig.get("/any", headers={"Accept": "text/html"})
    assert status == 500
    assert "<h1>The worker cannot be built</h1>" in page
    assert (await rig.get("/healthz"))[0] == 200  # the node's own API answers all the same
    assert await rig.change(says("good"))
    assert await rig.get("/any") == (200, "good")


async def test_what_throws_gets_error_1101(run: Run) -> None:
    rig = await run(ODD)
    status, text = await rig.get("/throw")
    assert status == 500
    assert text.startswith("error code: 1101\nTypeError: thrown on purpose")
    status, page = await rig.get("/throw", headers={"Accept": "text/html"})
    assert status == 500
    assert "<h1>Error 1101</h1>" in page
    assert "Worker threw exception" in page
    await until(lambda: len(rig.said("exception")) == 2)
    first = rig.said("exception")[0]
    assert "at throw (index.ts:11:19)" in first  # the place in the source, not the bundle
    assert "entry" not in first
    assert (await rig.get("/reject"))[0] == 500
    assert (await rig.get("/nothing"))[0] == 500
    assert await rig.get("/") == (200, "fine")


async def test_an_endless_loop_is_cut_off_and_its_callers_get_1102(run: Run) -> None:
    rig = await run(ODD, worker_cpu=0.6)
    before = pid_of(rig)
    (status, text), (other, _) = await asyncio.gather(rig.get("/spin"), rig.get("/spin"))
    assert (status, other) == (503, 503)
    assert text.startswith("error code: 1102\nWorker exceeded resource limits")
    assert await rig.get("/") == (200, "fine")
    assert pid_of(rig) != before


async def test_what_eats_memory_is_cut_off(run: Run) -> None:
    rig = await run(ODD, worker_memory=64 << 20)
    status, text = await rig.get("/eat")
    assert status == 503
    assert "memory grew past its limit of 64 MB" in text
    assert await rig.get("/") == (200, "fine")


async def test_what_never_answers_is_given_up_but_what_waits_is_not(run: Run) -> None:
    rig = await run(ODD, worker_timeout=0.3)
    status, text = await rig.get("/hang")
    assert status == 500
    assert "code had hung and would never generate a response" in text


async def test_one_worker_s_fault_does_not_reach_another(run: Run) -> None:
    bad = await run(ODD, worker_cpu=0.6)
    good = await run(says("untouched"))
    spinning = asyncio.create_task(bad.get("/spin"))
    count = 0
    while not spinning.done():
        assert await good.get("/") == (200, "untouched")
        count += 1
    assert (await spinning)[0] == 503
    assert count > 10


async def test_a_process_that_is_killed_is_started_again(run: Run) -> None:
    rig = await run(says("here"))
    before = pid_of(rig)
    os.kill(before, signal.SIGKILL)
    assert await rig.get("/") == (200, "here")  # it waits in the listening socket meanwhile
    assert pid_of(rig) != before
    assert any("SIGKILL" in each for each in rig.said("host"))


async def test_nothing_is_left_when_the_node_stops(run: Run) -> None:
    rig = await run(says("here"))
    await rig.change(says("there"))
    pid = pid_of(rig)
    folders = {Path(arg).parent for arg in psutil.Process(pid).cmdline() if arg.endswith(".capnp")}
    assert len(folders) == 1
    await rig.node.stop()
    assert not psutil.pid_exists(pid)
    assert not any(folder.exists() for folder in folders)
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", int(rig.url.rpartition(":")[2])), 1)


async def test_a_worker_s_process_sees_nothing_of_the_node(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKERRY_TOKEN", "secret-of-the-node")
    rig = await run(says("here"))
    process = psutil.Process(pid_of(rig))
    assert "SKERRY_TOKEN" not in process.environ()
    assert set(process.environ()) <= {"LANG", "LC_ALL", "TZ", "PWD"}
    workers = await rig.node.workers()
    if workers.sandbox.bwrap is None:
        pytest.skip(workers.sandbox.reason)
    inside = Path(f"/proc/{process.pid}/root")
    assert (inside / "usr").is_dir()
    assert not (inside / str(rig.root)[1:]).exists()
    assert not (inside / str(Path.home())[1:] / ".ssh").exists()
    assert not _same(process.pid, "net")
    assert not _same(process.pid, "pid")


def _same(pid: int, kind: str) -> bool:
    """Is the process in this process's namespace of that kind?"""
    theirs, ours = Path(f"/proc/{pid}/ns/{kind}"), Path(f"/proc/self/ns/{kind}")
    return theirs.readlink() == ours.readlink()


async def test_what_is_saved_is_live_and_what_is_written_beside_it_is_not(run: Run) -> None:
    rig = await run(says("v1"), watched=True)
    before = pid_of(rig)
    (rig.root / "notes.db").write_text("the worker's own data")
    rig.main.write_text(says("v2"))
    await rig.hears("reloaded in")
    assert await rig.get("/") == (200, "v2")
    (rig.root / "extra.ts").write_text("export const word = 'v3';")
    rig.main.write_text("import { word } from './extra';" + says("$").replace("'$'", "word"))
    await until(lambda: len([each for each in rig.said() if "reloaded in" in each]) == 2)
    assert await rig.get("/") == (200, "v3")
    (rig.root / "extra.ts").write_text("export const word = 'v4';")
    await until(lambda: len([each for each in rig.said() if "reloaded in" in each]) == 3)
    assert await rig.get("/") == (200, "v4")
    assert pid_of(rig) != before


ADDRESS = """
export default {
  async fetch(request: Request) {
    const own = new Request("http://elsewhere/", { headers: { a: "b" } });
    return Response.json({
      address: request.headers.get("CF-Connecting-IP"),
      real: request.headers.get("x-real-ip"),
      other: request.headers.get("x-other"),
      again: request.headers === request.headers,
      own: [...own.headers],
    });
  },
};
"""


async def test_a_worker_is_told_the_client_s_address_and_no_client_can_forge_it(run: Run) -> None:
    rig = await run(ADDRESS)
    forged = {"CF-Connecting-IP": "8.8.8.8", "X-Other": "kept"}
    status, text = await rig.get("/", headers=forged)
    assert status == 200
    assert json.loads(text) == {
        "address": "127.0.0.1",
        "real": "127.0.0.1",
        "other": "kept",
        "again": True,
        "own": [["a", "b"]],
    }
