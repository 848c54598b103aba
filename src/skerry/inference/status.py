"""What a node says of the models that it holds."""

from __future__ import annotations

from typing import Literal

import msgspec

State = Literal["pulling", "starting", "ready", "draining", "failed"]


class ModelStatus(msgspec.Struct, kw_only=True):
    """One model that is resident, on its way in or out, or that failed. Times in epoch seconds."""

    model: str
    state: State
    bytes: int = 0
    """Resident set of its runner; before it is ready, the estimate."""
    queued: int = 0
    """Requests that wait, in the node or in the runner."""
    running: int = 0
    """Requests that are being answered, at most `capacity`."""
    capacity: int = 0
    progress: str = ""
    """What loading or pulling is at, or why it failed."""
    fraction: float = 0.0
    pid: int | None = None
    since: float = 0.0
    """When it became what `state` says."""
    last_used: float = 0.0
    restarts: int = 0
    pinned: bool = False
    engine: str = ""
    precision: str = ""
    streams: int = 0
    log: list[str] = []
    """The last lines that its runner wrote to stderr."""
