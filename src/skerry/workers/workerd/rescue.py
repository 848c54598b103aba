"""The callers of a process that has to be ended: their connections are taken over and answered.

workerd accepts on a socket that the node owns, but the accepted connections are its own. Linux
lets a parent copy them out of a process (pidfd_getfd), so that whoever waits there gets an answer
with a status instead of a connection that breaks.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

PIDFD_GETFD = 438
"""The system call's number, the same on every architecture since Linux 5.6."""
TCP_INFO = 11
LINGER = 0.5
"""Seconds that an answer may take to be taken off our hands."""


def taken_connections(pid: int, pidfd: int, port: int) -> list[socket.socket]:
    """The connections to `port` that the stopped process `pid` has accepted.

    Empty where the system does not allow it. Blocking; some milliseconds.
    """
    if sys.platform != "linux" or pidfd < 0:
        return []
    out = []
    for number in _sockets(pid):
        found = _take(pidfd, number)
        if found is None:
            continue
        if _is_connection(found, port):
            out.append(found)
        else:
            found.close()
    return out


def _sockets(pid: int) -> Iterator[int]:
    folder = Path(f"/proc/{pid}/fd")
    try:
        names = list(folder.iterdir())
    except OSError:
        return
    for path in names:
        with contextlib.suppress(OSError):
            if os.readlink(path).startswith("socket:"):  # noqa: PTH115 (no path)
                yield int(path.name)


def _take(pidfd: int, number: int) -> socket.socket | None:
    handle = ctypes.CDLL(None, use_errno=True).syscall(PIDFD_GETFD, pidfd, number, 0)
    if handle < 0:
        return None
    try:
        return socket.socket(fileno=handle)
    except OSError:
        os.close(handle)
        return None


def _is_connection(sock: socket.socket, port: int) -> bool:
    if sock.family not in (socket.AF_INET, socket.AF_INET6) or sock.type != socket.SOCK_STREAM:
        return False
    try:
        if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            return False
        sock.getpeername()
        return bool(sock.getsockname()[1] == port)
    except OSError:
        return False


def waits(sock: socket.socket) -> bool:
    """Does the client of this connection wait for the first byte of an answer?

    It does where the last that happened was that data came in. A keep-alive connection between
    two requests last sent; one in the middle of an answer as well.
    """
    if _unread(sock):
        return True
    info = sock.getsockopt(socket.IPPROTO_TCP, TCP_INFO, 256)
    if len(info) < 160:
        return False
    # struct tcp_info: 8 bytes of flags, then u32 fields. 9: ms since data was last sent, 11:
    # since it was last received. At 152 the segments of data that came in, at 156 that went out.
    words = struct.unpack_from("=24I", info, 8)
    last_sent, last_received = words[9], words[11]
    came, went = struct.unpack_from("=2I", info, 152)
    if not went or last_received == last_sent:
        return bool(came > went)
    return bool(last_received < last_sent)


def _unread(sock: socket.socket) -> bool:
    try:
        return bool(sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
    except (BlockingIOError, OSError):
        return False


def answer(connections: list[socket.socket], response: bytes) -> int:
    """Send `response` to those who wait and close all; how many were answered. Blocking."""
    count = 0
    for sock in connections:
        with sock:
            try:
                if waits(sock):
                    sock.settimeout(LINGER)
                    sock.sendall(response)
                    sock.shutdown(socket.SHUT_WR)
                    _drain(sock)
                    count += 1
            except OSError:
                continue  # the client has gone
    return count


def _drain(sock: socket.socket) -> None:
    """Read what the client still sends: closing with unread data would reset the connection."""
    sock.settimeout(0.0)
    with contextlib.suppress(OSError):
        while sock.recv(1 << 16):
            pass
