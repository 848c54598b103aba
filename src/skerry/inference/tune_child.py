"""The tuner's end of a measuring process: start it, ask it, end it, whatever it does."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import tempfile
from types import TracebackType
from typing import Self

import msgspec

from skerry.inference.tune_measure import Failed, Job, Measured

_ANSWER = msgspec.json.Decoder(Measured | Failed)


class Child:
    """A measuring process; an async context manager that leaves no process behind.

    module: what is run with `python -m`.
    """

    def __init__(self, module: str = "skerry.inference.tune_measure") -> None:
        self._module = module
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by __aexit__
        try:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                self._module,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=self._errors,
            )
        except BaseException:
            self._errors.close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        process = self._process
        assert process is not None
        with contextlib.suppress(ProcessLookupError):
            process.kill()  # it keeps nothing that a gentle end would save
        # Shielded: a cancelled tuning still waits for the process to be gone.
        await asyncio.shield(process.wait())
        self._errors.close()

    async def ask(self, job: Job, timeout: float) -> Measured | Failed:
        """The process's answer; Failed also where it dies or is silent for `timeout` seconds."""
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            async with asyncio.timeout(timeout):
                process.stdin.write(msgspec.json.encode(job) + b"\n")
                await process.stdin.drain()
                line = await process.stdout.readline()
        except TimeoutError:
            return Failed(f"no answer within {timeout:.0f} s")
        except ConnectionError:
            line = b""
        if not line:
            return Failed(await self._epitaph(process))
        try:
            answer: Measured | Failed = _ANSWER.decode(line)
        except msgspec.DecodeError as error:
            return Failed(f"its answer is none: {error}")
        return answer

    async def _epitaph(self, process: asyncio.subprocess.Process) -> str:
        code = await process.wait()
        if code < 0:
            try:
                how = f"was killed by {signal.Signals(-code).name}"
            except ValueError:
                how = f"was killed by signal {-code}"
        else:
            how = f"ended with status {code}"
        self._errors.seek(0)
        text = self._errors.read()[-2000:].decode(errors="replace").strip()
        last = text.splitlines()[-1] if text else ""
        return f"its process {how}{': ' + last if last else ''}"
