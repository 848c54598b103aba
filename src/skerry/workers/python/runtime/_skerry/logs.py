"""What a worker says: print, logging, console, exceptions; one JSON line each, in order."""

from __future__ import annotations

import contextvars
import io
import json
import logging
import os
import time
import traceback
from pathlib import Path
from typing import Any

from _skerry.context import CURRENT
from _skerry.values import dumps, plain

EVENT_LIMIT = 64 << 10
"""Bytes of one event."""
REQUEST_LIMIT = 256 << 10
"""Bytes that one request may log, as Cloudflare has it; then it is told so once, and no more."""
HERE = str(Path(__file__).parent.parent)
LEVELS = {"DEBUG": "debug", "INFO": "info", "WARNING": "warn", "ERROR": "error"}


class Log:
    """Writes events to the pipe that the node reads."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe

    def write(self, level: str, *message: Any, kind: str = "log") -> None:
        """One event. The node stalls the worker rather than lose one."""
        context = CURRENT.get()
        parts = [_shown(part) for part in message]
        size = sum(len(part) if isinstance(part, str) else 32 for part in parts)
        if size > EVENT_LIMIT:
            parts = [f"{' '.join(map(_text, parts))[:EVENT_LIMIT]}… (cut)"]
            size = EVENT_LIMIT
        if context is not None:
            before, context.logged = context.logged, context.logged + size
            if before > REQUEST_LIMIT:
                return
            if context.logged > REQUEST_LIMIT:
                level, parts = "warn", ["this request has logged 256 KiB: the rest is dropped"]
        event = {
            "timestamp": time.time(), "level": level, "message": parts, "kind": kind,
            "request": context.id if context is not None else "",
        }  # fmt: skip
        data = json.dumps(event, ensure_ascii=True).encode() + b"\n"
        while data:
            data = data[os.write(self._pipe, data) :]

    def exception(self, error: BaseException, *, kind: str = "exception") -> None:
        """An exception with its traceback from the worker's own first line on."""
        self.write("error", trace(error), kind=kind)


def _shown(part: Any) -> Any:
    """A part of a message as it goes over the pipe: text, numbers; the rest as JSON or repr."""
    if part is None or isinstance(part, str | int | float | bool):
        return part
    if isinstance(part, BaseException):
        return trace(part)
    if isinstance(part, bytes):
        return repr(part)
    try:
        return json.loads(dumps(plain(part)))
    except (TypeError, ValueError, RecursionError):
        return repr(part)


def _text(part: Any) -> str:
    return part if isinstance(part, str) else json.dumps(part)


def trace(error: BaseException) -> str:
    """The traceback as Python prints it, without the frames of this runtime before the user's."""
    shown = traceback.TracebackException.from_exception(error)
    seen: traceback.TracebackException | None = shown
    while seen is not None:
        frames = list(seen.stack)
        own = [at for at, frame in enumerate(frames) if not _internal(frame.filename)]
        if own:
            seen.stack = traceback.StackSummary.from_list(frames[own[0] :])
        else:
            seen.stack = None  # type: ignore[assignment]  # then the message stands alone
        seen = seen.__cause__ or seen.__context__
    return "".join(shown.format()).rstrip("\n")


def _internal(filename: str) -> bool:
    return filename.startswith((HERE, "<frozen")) or "/asyncio/" in filename


class Stdout(io.TextIOBase):
    """What print() writes, a line an event."""

    def __init__(self, log: Log, level: str) -> None:
        self._log = log
        self._level = level
        # One unfinished line per request: two that print at once do not mix.
        self._rest: contextvars.ContextVar[str] = contextvars.ContextVar("rest", default="")

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, rest = (self._rest.get() + str(text)).split("\n")
        for line in lines:
            self._log.write(self._level, line)
        if len(rest) > EVENT_LIMIT:
            self._log.write(self._level, rest)
            rest = ""
        self._rest.set(rest)
        return len(text)

    def flush(self) -> None:
        rest = self._rest.get()
        if rest:
            self._rest.set("")
            self._log.write(self._level, rest)

    encoding = "utf-8"


class Records(logging.Handler):
    """What the logging module writes."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = record.getMessage()
            if record.exc_info and record.exc_info[1] is not None:
                text += "\n" + trace(record.exc_info[1])
            self._log.write(LEVELS.get(record.levelname, "error"), text)
        except Exception:  # as logging has it: a broken record must not end the request
            self.handleError(record)


class Console:
    """`console.log` and its sisters."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def log(self, *message: Any) -> None:
        self._log.write("log", *message)

    def info(self, *message: Any) -> None:
        self._log.write("info", *message)

    def debug(self, *message: Any) -> None:
        self._log.write("debug", *message)

    def warn(self, *message: Any) -> None:
        self._log.write("warn", *message)

    def error(self, *message: Any) -> None:
        self._log.write("error", *message)

    trace = debug
