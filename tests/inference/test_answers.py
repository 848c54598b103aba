"""A request goes to a runner process and its answer comes back."""

from __future__ import annotations

import os

from .rig import entry


async def test_rows_are_answered_in_order_by_another_process(bench):
    node = bench()
    answer = await node.answer(entry("a"), texts=["four", "a", "", "seven..", "xx"])
    assert answer.value["lengths"].tolist() == [4, 1, 0, 7, 2]
    assert answer.value["pid"] != os.getpid()
    assert answer.model == "@stub/a"
    assert answer.usage.prompt_tokens == 14
    assert answer.timing.run > 0
