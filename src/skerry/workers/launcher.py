"""Becomes another program that ends with its parent and has bounds.

`launcher.py PARENT LIFELINE COMMAND…`; PARENT is the process id, LIFELINE a descriptor.

Run as a script with `python -I -S`, so that it starts in some 15 ms: it imports nothing of
Skerry. A worker's process cannot be given these through subprocess without a preexec_fn, which
may hang where the parent has threads.

LIFELINE is the reading end of a pipe whose other end the parent alone holds: when that is closed,
however the parent ends, the kernel kills the whole process group. The signal of a parent's death
(prctl) reaches the process itself only: bubblewrap, killed so while it starts, would leave a child
that waits for it for ever and holds what it inherited, the listening socket too.
"""

import ctypes
import fcntl
import os
import resource
import signal
import sys

PR_SET_PDEATHSIG = 1
FILES = 4096


def main(parent: int, lifeline: int, command: list[str]) -> None:
    """Never returns."""
    if sys.platform == "linux":
        fcntl.fcntl(lifeline, fcntl.F_SETOWN, -os.getpgrp())
        fcntl.fcntl(lifeline, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before we asked
            sys.exit(1)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.execv(command[0], command)  # noqa: S606 (no shell, by intention)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
