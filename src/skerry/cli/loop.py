"""Running an event loop that a signal ends in order."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Coroutine
from typing import Any


def run_loop(main: Coroutine[Any, Any, None]) -> None:
    """Run `main` on uvloop, where there is one."""
    try:
        import uvloop
    except ImportError:  # not on Windows
        asyncio.run(main)
    else:
        uvloop.run(main)


def on_signals(main: asyncio.Task[Any]) -> None:
    """The first signal cancels `main`; the next ends the process at once."""
    loop = asyncio.get_running_loop()
    count = 0

    def stop() -> None:
        nonlocal count
        count += 1
        if count > 1:
            # Runners and workers see their parent end, and end.
            os._exit(130)
        main.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
