"""What workers say, on the terminal."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from skerry.cli.output import out, print_json

if TYPE_CHECKING:
    from skerry.workers.logs import LogEvent, LogHub

_STYLES = {"error": "red", "warn": "yellow", "debug": "dim", "info": "", "log": ""}


class LogPrinter:
    """Prints events, one after the other."""

    def __init__(self, *, json: bool) -> None:
        self._json = json
        self._console = out()

    async def follow(self, logs: LogHub) -> None:
        """Print everything that is said from now on, until it is cancelled."""
        with logs.subscribe() as subscription:
            while (event := await subscription.get()) is not None:
                self.show(event)

    def show(self, event: LogEvent) -> None:
        """Print one event."""
        if self._json:
            print_json(event)
            return
        from rich.text import Text

        clock = time.strftime("%H:%M:%S", time.localtime(event.timestamp))
        text = Text(f"{clock} ", style="dim")
        text.append(" ".join(_word(each) for each in event.message), _STYLES.get(event.level, ""))
        self._console.print(text, soft_wrap=True)


def _word(part: Any) -> str:
    if isinstance(part, str):
        return part
    import msgspec

    return msgspec.json.encode(part).decode()
