"""Becomes another program that ends with its parent and has bounds: `launcher.py PARENT COMMAND…`.

Run as a script with `python -I -S`, so that it starts in some 15 ms: it imports nothing of
Skerry. A worker's process cannot be given these through subprocess without a preexec_fn, which
may hang where the parent has threads.
"""

import ctypes
import os
import resource
import signal
import sys

PR_SET_PDEATHSIG = 1
FILES = 4096


def main(parent: int, command: list[str]) -> None:
    """Never returns."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before we asked
            sys.exit(1)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.execv(command[0], command)  # noqa: S606 (no shell, by intention)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
