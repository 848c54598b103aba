"""kill -9 of the node and of workerd under load: nothing acknowledged is lost (bench/crash.py)."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.crash import run

KILLS = 6


@pytest.mark.usefixtures("tools")
def test_whatever_is_killed_nothing_acknowledged_is_lost(toolbox: Path) -> None:
    found = run(KILLS, seed=11, clients=4, environ={"SKERRY_TOOLS": str(toolbox)})
    assert found["raw"]["lost"] == []
    assert found["raw"]["wrong"] == []
    assert [what for what, *_, holds in found["checks"] if not holds] == []
    assert sum(found["raw"]["kills"].values()) >= KILLS
    assert set(found["raw"]["kills"]) >= {"node", "workerd"}
