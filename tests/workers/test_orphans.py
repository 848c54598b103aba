"""A node that is killed leaves nothing behind, not even what its workers' processes have begun."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

NODE = """
import asyncio, sys
from pathlib import Path
from skerry.workers.process import WorkerProcess
from skerry.workers.sandbox import Sandbox

CHILD = '''
import os, time
os.fork()
print(os.getpid(), flush=True)
time.sleep(60)
'''

async def main():
    said = lambda line: print(line.decode(), flush=True)
    await WorkerProcess.start(
        [sys.executable, "-I", "-c", CHILD], cwd=Path("/"), sandbox=Sandbox(None, "none"),
        read=[], fds=[int(sys.argv[1])], out=said, err=said, on_end=print,
    )
    await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="signals by descriptors are Linux's")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_children_of_a_worker_end_with_the_node(number: signal.Signals) -> None:
    """As bubblewrap's own child must, which no signal of its parent's death reaches at first."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        node = subprocess.Popen(
            [sys.executable, "-c", NODE, str(listener.fileno())],
            stdout=subprocess.PIPE,
            pass_fds=[listener.fileno()],
            text=True,
        )
    with node:
        assert node.stdout is not None
        pids = [int(node.stdout.readline()) for _ in range(2)]
        try:
            assert all(running(pid) for pid in pids)
            node.send_signal(number)
            node.wait(10)
            deadline = time.monotonic() + 10
            while any(running(pid) for pid in pids):
                assert time.monotonic() < deadline
                time.sleep(0.01)
        finally:
            for pid in pids:
                if running(pid):
                    os.kill(pid, signal.SIGKILL)
    with socket.create_server(("127.0.0.1", port)):
        pass  # nobody holds the port


def running(pid: int) -> bool:
    """Whether a process is there, and not only the memory of it."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"
