"""A process that sends to a queue and consumes it, telling each step, until it is killed."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from skerry.storage.open import Stores
from skerry.storage.queues.base import ConsumerSettings, Lease, Outgoing

SETTINGS = ConsumerSettings(max_retries=100)


def tell(what: str, *bodies: bytes) -> None:
    """One line, in one write: it arrives whole or not at all."""
    os.write(1, f"{what} {' '.join(body.decode() for body in bodies)}\n".encode())


async def send(stores: Stores, name: str, task: int) -> None:
    queue = stores.queue("acc", "q")
    for number in range(1_000_000):
        bodies = [f"{name}.{task}.{number}.{part}".encode() for part in range(3)]
        await queue.send([Outgoing(body=body, content_type="text") for body in bodies])
        tell("sent", *bodies)


async def consume(stores: Stores) -> None:
    queue = stores.queue("acc", "q")
    while True:
        got = await queue.lease(SETTINGS, most=5, seconds=0.5)
        if not got:
            await asyncio.sleep(0.001)
            continue
        tell("got", *(each.body for each in got))
        acks, retries = got[:4], got[4:]
        tell("acking", *(each.body for each in acks))
        settled = await queue.settle(
            SETTINGS,
            [each.lease_id for each in acks],
            [Lease(lease_id=each.lease_id) for each in retries],
        )
        assert settled.acked <= len(acks)
        tell("acked", *(each.body for each in acks))


async def main(folder: str, name: str) -> None:
    stores = Stores(Path(folder))
    async with asyncio.TaskGroup() as group:
        for task in range(3):
            group.create_task(send(stores, name, task))
        for _ in range(2):
            group.create_task(consume(stores))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
