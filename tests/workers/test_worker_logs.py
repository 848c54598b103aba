"""What a worker says: in order, with the places of the sources, and to whoever follows."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import msgspec

from skerry.workers.logs import WAITING, LogEvent, LogHub
from skerry.workers.workerd.lines import MARK, LineReader

from .rig import WorkerRig, until

Run = Callable[..., Awaitable[WorkerRig]]

SOURCE = """
async function later(): Promise<void> {
  await Promise.resolve();
  throw new Error("in the background");
}
export default {
  async fetch(request: Request, env: unknown, ctx: any): Promise<Response> {
    console.log("one", { a: 1 }, [1, 2]);
    console.warn("two\\nlines");
    console.error(new RangeError("three"));
    console.debug("four");
    ctx.waitUntil(later());
    return new Response("said");
  },
};
"""


async def test_everything_is_told_in_order(run: Run) -> None:
    rig = await run(SOURCE)
    assert await rig.get("/") == (200, "said")
    await rig.hears("in the background")
    said = [(each.level, each.kind, each.message[0]) for each in rig.events]
    first = [each for each in said if each[1] == "log"]
    assert first[0] == ("log", "log", "one { a: 1 } [ 1, 2 ]")
    assert first[1] == ("warn", "log", "two\nlines")
    assert first[2][0] == "error"
    assert first[2][2].startswith("RangeError: three\n    at Object.fetch (index.ts:10:19)")
    assert first[3] == ("debug", "log", "four")
    [late] = [each for each in said if each[1] == "waitUntil"]
    assert late[2].startswith("waitUntil: Error: in the background\n    at later (index.ts:4:9)")


async def test_a_reader_of_the_node_follows(run: Run) -> None:
    rig = await run(SOURCE)
    assert await rig.get("/") == (200, "said")
    await rig.hears("in the background")
    path = "/client/v4/accounts/local/workers/logs"
    got: list[LogEvent] = []
    async with rig.http.get(path, params={"recent": "200", "worker": "test"}) as stream:
        assert stream.content_type == "text/event-stream"
        async with asyncio.timeout(20):
            async for line in stream.content:
                if line.startswith(b"data: "):
                    got.append(msgspec.json.decode(line[6:], type=LogEvent))
                    if len(got) == 5:
                        await rig.get("/")
                    if len(got) == 10:
                        break
    assert [each.message for each in got[:4]] == [each.message for each in got[5:9]]


async def test_a_slow_reader_is_told_what_it_lost_and_holds_up_nobody() -> None:
    hub = LogHub()
    with hub.subscribe() as slow:
        for number in range(WAITING + 7):
            hub.put(LogEvent(timestamp=0.0, worker="w", message=[number]))
        first = await slow.get()
        assert first is not None
        assert first.message == ["7 events were lost: they came faster than they were read"]
        second = await slow.get()
        assert second is not None
        assert second.message == [7]
    assert hub.recent()[-1].message == [WAITING + 6]


async def test_a_flood_of_words_does_not_stop_the_worker(run: Run) -> None:
    rig = await run(
        "export default { fetch() { for (let at = 0; at < 3000; at++) console.log(at);"
        " console.log('x'.repeat(1 << 20)); console.log('end'); return new Response('ok'); } };"
    )
    assert await rig.get("/") == (200, "ok")
    await until(lambda: "end" in rig.said("log"))
    said = rig.said("log")
    assert said[:3000] == [str(at) for at in range(3000)]


def test_lines_that_nobody_understands_are_told_as_they_are() -> None:
    reader = LineReader("w", None)
    assert reader.read(b"plain", error=True).message == ["plain"]
    assert reader.read(b"\xff\xfe", error=False).level == "info"
    odd = reader.read(b'{"message":"m","level":"odd","timestamp":[]}', error=False)
    assert (odd.level, odd.message) == ("info", ["m"])
    played = msgspec.json.encode({"message": f"{MARK}no json", "level": "error"})
    assert reader.read(played, error=False).message == ["no json"]
