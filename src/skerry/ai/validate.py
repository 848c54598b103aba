"""Step: decode binary fields and hold the input against the model's schema."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from skerry.ai.ai import Step
from skerry.ai.flight import Flight, Next, Reply
from skerry.errors import LoraNotSupported
from skerry.tasks.base import Task
from skerry.tasks.binary import is_long
from skerry.tasks.validate import InputCheck


class Validate(Step):
    """One compiled check per model, made when the model is first asked for."""

    def __init__(self, tasks: Mapping[str, Task]) -> None:
        self._tasks = tasks
        self._checks: dict[str, InputCheck] = {}

    async def __call__(self, flight: Flight, proceed: Next) -> Reply:
        entry = flight.resolved
        check = self._checks.get(entry.id)
        if check is None:
            task = self._tasks[entry.task]
            check = InputCheck(task, entry.schema, entry.defaults, entry.options)
            self._checks[entry.id] = check
        request = flight.request
        if request.inputs.get("lora") is not None and not entry.lora:
            raise LoraNotSupported(f"{entry.name} takes no LoRA: leave out the field `lora`")
        task = self._tasks[entry.task]
        if task.binary_field is not None and is_long(request.inputs.get(task.binary_field)):
            request.inputs = await asyncio.to_thread(check.check, request.inputs)
        else:
            request.inputs = check.check(request.inputs)
        if request.inputs.get("stream") and task.streams:
            request.stream = True
        return await proceed(flight)
