"""One workerd process with one version of a project's code."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import signal
import socket
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from skerry.errors import WorkerError
from skerry.storage.queues.base import MessageRetry, QueueBatch, QueueResult
from skerry.workers.host import ScheduledResult, WorkerHost
from skerry.workers.process import WorkerProcess
from skerry.workers.sandbox import Sandbox
from skerry.workers.workerd.config import CONTROL, MAIN

START = 20.0
"""Seconds until a process must listen."""
ANSWER = 15 * 60.0
"""Seconds that a cron or queue handler may take, as on Cloudflare."""
HOLD = 0.05
"""Seconds that requests wait before a process is asked to end: the pause of a busy client between
two on one connection is shorter."""
ASKING = 0.25
"""Seconds that a process may take to hear of it."""
WORDS = 20
"""Lines of stderr that are kept for a failure's message."""


class _Listening(msgspec.Struct):
    event: str
    socket: str = ""


class _Batch(msgspec.Struct):
    retry: bool = False
    delay: int | None = msgspec.field(name="delaySeconds", default=None)


class _Message(msgspec.Struct):
    id: str = msgspec.field(name="msgId")
    delay: int | None = msgspec.field(name="delaySeconds", default=None)


class _Delivered(msgspec.Struct, rename="camel"):
    """What workerd tells of a queue event."""

    outcome: str = "ok"
    ack_all: bool = False
    retry_batch: _Batch = msgspec.field(default_factory=_Batch)
    explicit_acks: list[str] = []
    retry_messages: list[_Message] = []

    def result(self) -> QueueResult:
        return QueueResult(
            outcome=self.outcome,
            ack_all=self.ack_all,
            retry_all=self.retry_batch.retry,
            retry_delay=self.retry_batch.delay,
            acks=self.explicit_acks,
            retries=[MessageRetry(id=each.id, delay=each.delay) for each in self.retry_messages],
        )


class WorkerdHost(WorkerHost):
    """Runs `config`; requests reach it through `listener`, which the parent owns and shares with
    the process before and the one after."""

    def __init__(
        self,
        *,
        name: str,
        workerd: Path,
        config: Path,
        listener: socket.socket,
        sockets: Sequence[Path],
        control: Path,
        sandbox: Sandbox,
        on_line: Callable[[bytes, bool], None],
        on_end: Callable[[int], None],
    ) -> None:
        """sockets: the folders of the node's sockets that it may reach. control: where its own
        control socket is made. on_line: each line it writes, and whether to stderr. on_end: its
        exit status, once it has started."""
        self._name = name
        self._workerd = workerd
        self._config = config
        self._listener = listener
        self._sockets = sockets
        self._control = control
        self._sandbox = sandbox
        self._on_line = on_line
        self._on_end = on_end
        self._words: deque[str] = deque(maxlen=WORDS)
        self._process: WorkerProcess | None = None
        self._started = False
        self._session: Any = None

    @property
    def address(self) -> Path:
        """Its control socket; HTTP goes to the listener itself."""
        return self._control

    @property
    def process(self) -> WorkerProcess:
        """The process. Only after `start`."""
        assert self._process is not None
        return self._process

    async def start(self) -> None:
        """Start and wait until it listens. Raises WorkerError with its last words."""
        ours, theirs = socket.socketpair()
        control = _listen(self._control)
        ours.setblocking(False)
        fds = {MAIN: self._listener.fileno(), CONTROL: control.fileno()}
        command = [str(self._workerd), "serve", "--experimental"]
        command += [f"--socket-fd={name}={fd}" for name, fd in fds.items()]
        command += [f"--control-fd={theirs.fileno()}", str(self._config)]
        try:
            with control, theirs:
                self._process = await WorkerProcess.start(
                    command,
                    cwd=self._config.parent,
                    sandbox=self._sandbox,
                    read=[self._workerd, self._config.parent, *self._sockets],
                    fds=[*fds.values(), theirs.fileno()],
                    out=lambda line: self._line(line, False),
                    err=lambda line: self._line(line, True),
                    on_end=self._ended,
                )
            async with asyncio.timeout(START):
                await self._listens(ours)
        except TimeoutError as error:
            self.process.kill()
            raise WorkerError(
                f"{self._name}: workerd did not start within {START:.0f} s"
            ) from error
        except BaseException:
            if self._process is not None:
                self._process.kill()
            raise
        finally:
            ours.close()
        self._started = True

    async def _listens(self, pipe: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        wanted = {MAIN, CONTROL}
        rest = b""
        while wanted:
            data = await loop.sock_recv(pipe, 4096)
            if not data:
                await self.process.ended(5.0)
                raise WorkerError(self._failure())
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                event = msgspec.json.decode(line, type=_Listening)
                if event.event == "listen":
                    wanted.discard(event.socket)

    def _failure(self) -> str:
        words = "\n".join(self._words)
        return words or f"{self._name}: workerd ended with status {self.process.status}"

    def _line(self, line: bytes, error: bool) -> None:
        if error and not self._started:
            self._words.append(line.decode(errors="replace"))
        self._on_line(line, error)

    def _ended(self, status: int) -> None:
        if self._started:
            self._on_end(status)

    async def stop(self, grace: float) -> None:
        """SIGTERM lets requests in flight end; SIGKILL after `grace` seconds."""
        process = self._process
        if process is not None and process.status is None and grace:
            await self._hold()
        session, self._session = self._session, None
        if session is not None:
            await session.close()
        if process is None:
            return
        if process.status is None:
            process.signal(signal.SIGTERM)
            if not await process.ended(grace):
                process.kill()
        await process.ended(5.0)
        self._control.unlink(missing_ok=True)

    async def _hold(self) -> None:
        """Have requests wait, so that none comes in on a connection as it is closed.

        workerd reads what was sent on its connections, then is asked to end; held requests are
        answered with `Connection: close`. Whether a process hears of it or not, it is to end.
        """
        with contextlib.suppress(WorkerError, TimeoutError):
            async with asyncio.timeout(ASKING):
                await self._ask("POST", "/hold", {"ms": 2000 * HOLD})
                await asyncio.sleep(HOLD)
                await self._ask("POST", "/hold", {"ms": 1000 * HOLD})

    async def ping(self) -> None:
        """Does its event loop turn? Raises WorkerError."""
        await self._ask("GET", "/ping", None)

    async def scheduled(self, cron: str, time: float) -> ScheduledResult:
        answer = await self._ask("POST", "/scheduled", {"cron": cron, "time": round(time * 1000)})
        return ScheduledResult(
            outcome=answer.get("outcome", "exception"), no_retry=answer.get("noRetry", False)
        )

    async def queue(self, batch: QueueBatch) -> QueueResult:
        messages = [
            {
                "id": each.id,
                "timestamp": each.timestamp_ms,
                "attempts": each.attempts,
                "format": each.content_type,
                "body": base64.b64encode(each.body).decode(),
            }
            for each in batch.messages
        ]
        answer = await self._ask("POST", "/queue", {"queue": batch.queue, "messages": messages})
        try:
            return msgspec.convert(answer, _Delivered).result()
        except msgspec.ValidationError as error:
            raise WorkerError(f"{self._name}: no answer to a batch: {error}") from error

    async def _ask(self, method: str, path: str, body: Any) -> Any:
        import aiohttp

        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.UnixConnector(path=str(self._control), keepalive_timeout=2.0),
                timeout=aiohttp.ClientTimeout(total=ANSWER),
            )
        try:
            async with self._session.request(method, f"http://control{path}", json=body) as answer:
                data = await answer.read()
                if answer.status != 200:
                    raise WorkerError(f"{self._name}: {data[:500].decode(errors='replace')}")
                return msgspec.json.decode(data) if body is not None else None
        except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError) as error:
            raise WorkerError(f"{self._name}: its process did not answer: {error}") from error


def _listen(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        made.bind(str(path))
        path.chmod(0o600)
        made.listen(64)
        made.setblocking(False)
    except BaseException:
        made.close()
        raise
    return made
