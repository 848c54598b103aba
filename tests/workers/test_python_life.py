"""Python workers on a whole node: over TCP, with the supervisor and the node's own stores."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from skerry.workers.bindings import AiBinding, KvBinding, QueueBinding
from skerry.workers.project import Assets, QueueConsumer

from .rig import WorkerRig, until

Run = Callable[..., Awaitable[WorkerRig]]

CODE = """
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        if request.url.endswith("/spin"):
            return Response(str(sum(range(10**12))))
        if request.url.endswith("/ip"):
            return Response(request.headers["cf-connecting-ip"])
        return Response("VERSION")
"""


def python(**fields: Any) -> dict[str, Any]:
    return {"file": "entry.py", "language": "python", **fields}


async def test_a_broken_module_leaves_the_old_version_serving(run: Run) -> None:
    rig = await run(CODE.replace("VERSION", "one"), **python())
    assert await rig.get("/") == (200, "one")
    assert not await rig.change("def (:")
    assert await rig.get("/") == (200, "one")
    await rig.hears("The version before goes on.")
    assert any("entry.py" in each and "SyntaxError" in each for each in rig.said())
    assert await rig.change(CODE.replace("VERSION", "two"))
    assert await rig.get("/") == (200, "two")


async def test_without_an_old_version_callers_are_told_why(run: Run) -> None:
    rig = await run("import nope_nope", **python())
    status, text = await rig.get("/")
    assert status == 500
    assert "No module named 'nope_nope'" in text
    assert await rig.change(CODE)
    assert (await rig.get("/"))[0] == 200


async def test_code_that_holds_the_interpreter_is_cut_off(run: Run) -> None:
    """In C: neither the event loop nor the watchdog's thread runs any more."""
    rig = await run(CODE, **python(worker_cpu=0.5))
    waiting = asyncio.create_task(rig.get("/spin"))
    status, text = await waiting
    assert status == 503
    assert "error code: 1102" in text
    assert await rig.get("/") == (200, "VERSION")


async def test_a_process_that_is_killed_is_started_again(run: Run) -> None:
    rig = await run(CODE, **python())
    version = rig.supervisor.version
    assert version is not None
    assert version.host is not None
    os.kill(version.host.process.pid, signal.SIGKILL)
    await rig.hears("starting it again")
    assert await rig.get("/") == (200, "VERSION")


async def test_the_client_s_address_is_not_what_it_says(run: Run) -> None:
    rig = await run(CODE, **python())
    assert await rig.get("/ip", headers={"CF-Connecting-IP": "6.6.6.6"}) == (200, "127.0.0.1")


async def test_the_node_s_own_api_is_beside_the_worker(run: Run) -> None:
    rig = await run(CODE, **python())
    assert (await rig.json("/healthz"))["status"] == "ok"
    assert "result" in await rig.json("/client/v4/accounts/local/ai/models/search")


async def test_files_come_before_the_worker(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "public"
    folder.mkdir()
    (folder / "a.txt").write_text("a file")
    rig = await run(CODE, **python(assets=Assets(directory=folder)))
    assert await rig.get("/a.txt") == (200, "a file")
    assert await rig.get("/other") == (200, "VERSION")


async def test_bindings_and_deliveries_on_the_node(run: Run) -> None:
    code = """
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        if request.url.endswith("/kept"):
            return Response(await self.env.KV.get("kept") or "")
        try:
            await self.env.AI.run("@cf/no/such", {"text": "x"})
        except Exception as error:
            await self.env.Q.send({"error": str(error)})
            return Response(type(error).__name__)

    async def queue(self, batch):
        for message in batch.messages:
            await self.env.KV.put("kept", message.body.error)
"""
    rig = await run(
        code,
        **python(
            bindings=(
                AiBinding(name="AI"),
                KvBinding(name="KV", id="ns"),
                QueueBinding(name="Q", queue="q"),
            ),
            consumers=(QueueConsumer(queue="q", max_batch_timeout=0.1),),
        ),
    )
    assert await rig.get("/") == (200, "AiError")
    kept: list[str] = []

    async def look() -> None:
        while not kept:
            text = (await rig.get("/kept"))[1]
            if text:
                kept.append(text)

    task = asyncio.create_task(look())
    await until(lambda: kept)
    await task
    assert kept[0].startswith("5007: No such model")
