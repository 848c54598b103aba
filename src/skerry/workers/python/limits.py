"""What a Python worker may use."""

from __future__ import annotations

import msgspec


class Limits(msgspec.Struct, kw_only=True, frozen=True):
    """Bounds of one worker's process."""

    cpu: float = 30.0
    """Seconds of CPU that one turn of its event loop may take, as Cloudflare's default."""
    wall: float = 300.0
    """Seconds that its event loop may stand still for any other reason."""
    memory: int = 512 << 20
    """Bytes of resident memory. Cloudflare has 128 MiB; native wheels alone take more."""
    start: float = 30.0
    """Seconds until it must listen: imports of large packages are in it."""
    event: float = 15 * 60.0
    """Seconds that a cron event or a batch of messages may take, as on Cloudflare."""
