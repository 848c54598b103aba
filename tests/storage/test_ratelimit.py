"""Rate limits: the window slides, memory is bounded, and the wire."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.api.bindings.ratelimit import RateLimitFace
from skerry.storage.ratelimit.base import RateLimitError
from skerry.storage.ratelimit.embedded import EmbeddedRateLimits

from .faces import Now, bound


async def test_the_window_slides() -> None:
    now = Now(0)
    limits = EmbeddedRateLimits(now)

    async def asked(key: str = "k", delta: int = 1, namespace: str = "n") -> bool:
        return await limits.limit(namespace, key, limit=3, period=10, delta=delta)

    assert [await asked() for _ in range(4)] == [True, True, True, False]
    now.seconds = 5
    assert not await asked()
    assert await asked("other")
    assert await asked(namespace="other")
    now.seconds = 10
    assert await asked(delta=7)  # below the limit, though it goes past it
    now.seconds = 19.9
    assert not await asked()
    now.seconds = 20
    assert await asked()


@given(
    st.lists(st.tuples(st.floats(0, 8), st.integers(1, 3)), min_size=1, max_size=80),
    st.integers(1, 6),
)
def test_no_window_lets_more_through(calls: list[tuple[float, int]], limit: int) -> None:
    async def run() -> None:
        now = Now(0)
        limits = EmbeddedRateLimits(now)
        passed: list[tuple[float, int]] = []
        for wait, delta in calls:
            now.seconds += wait
            before = sum(count for time, count in passed if time > now.seconds - 10)
            went = await limits.limit("n", "k", limit=limit, period=10, delta=delta)
            if went:
                assert before < limit
                passed.append((now.seconds, delta))
            else:
                # What is counted as one call within a hundredth of the period may count longer.
                wider = sum(count for time, count in passed if time > now.seconds - 10.1)
                assert wider >= limit

    asyncio.run(run())


async def test_the_longest_unasked_is_forgotten() -> None:
    limits = EmbeddedRateLimits(Now(0), keys=2)
    for key in ("a", "b", "a", "c"):
        await limits.limit("n", key, limit=1, period=10)
    assert not await limits.limit("n", "a", limit=1, period=10)
    assert await limits.limit("n", "b", limit=1, period=10)


async def test_a_busy_key_holds_few_entries() -> None:
    now = Now(0)
    limits = EmbeddedRateLimits(now)
    for _ in range(20_000):
        now.seconds += 0.001
        await limits.limit("n", "k", limit=1_000_000, period=10)
    [window] = limits._windows.values()
    assert len(window.calls) <= 101


@pytest.mark.parametrize(
    ("key", "limit", "period", "delta"),
    [
        ("x" * 2049, 1, 1, 1),
        ("x", 0, 1, 1),
        ("x", 1, 0, 1),
        ("x", 1, 3601, 1),
        ("x", 1, float("nan"), 1),
        ("x", 1, 1, 0),
    ],
)
async def test_out_of_bounds(key: str, limit: int, period: float, delta: int) -> None:
    with pytest.raises(RateLimitError):
        await EmbeddedRateLimits().limit("n", key, limit=limit, period=period, delta=delta)


async def test_the_wire(tmp_path: Path) -> None:
    limits = EmbeddedRateLimits(Now(0))
    faces = {"R": RateLimitFace(limits, "1", 2, 60)}
    async with bound(faces, tmp_path) as session:
        wire: aiohttp.ClientSession = session("R")

        async def asked(**body: object) -> object:
            async with wire.post("/", json=body) as answer:
                assert answer.status == 200
                return await answer.json()

        # Limit and period are the binding's, whatever the worker claims.
        assert await asked(key="k", limit=1, period=10) == {"success": True}
        assert await asked(key="k", limit=99) == {"success": True}
        assert await asked(key="k", limit=99) == {"success": False}
        assert await asked(key="j", delta=2) == {"success": True}
        assert await asked(key="j") == {"success": False}
        for body in (
            b"",
            b"{}",
            b'{"key":1}',
            b"[" * 9999,
            b'{"key":"\xff"}',
            b'{"key":"x","delta":-1}',
        ):
            async with wire.post("/", data=body) as answer:
                assert answer.status == 400
                assert (await answer.json())["error"]
        async with wire.post("/", data=b"x" * 50_000) as answer:
            assert answer.status == 413
        async with wire.get("/") as answer:
            assert answer.status == 405
