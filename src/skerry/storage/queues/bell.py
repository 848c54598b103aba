"""Wakes those who wait for a queue's messages, within this process."""

from __future__ import annotations

import asyncio


class Bells:
    """One bell per queue name; others' processes are not heard, so nobody waits for ever."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}

    def ring(self, name: str) -> None:
        """Wake all who wait for this queue."""
        for future in self._waiting.pop(name, ()):
            if not future.done():
                future.set_result(None)

    async def wait(self, name: str, seconds: float) -> None:
        """Until the bell rings, or `seconds` have passed."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(name, set()).add(future)
        try:
            async with asyncio.timeout(seconds):
                await future
        except TimeoutError:
            pass
        finally:
            waiting = self._waiting.get(name)
            if waiting is not None:
                waiting.discard(future)
                if not waiting:
                    del self._waiting[name]
