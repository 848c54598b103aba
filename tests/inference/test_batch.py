"""The batch queue: no row is lost or run twice, budgets hold, nothing waits."""

from __future__ import annotations

import threading

from hypothesis import given, settings
from hypothesis import strategies as st

from skerry.inference.batch import BatchQueue, Item, choose

lengths = st.lists(st.integers(0, 50), min_size=1, max_size=60)
jobs = st.lists(st.lists(st.integers(0, 50), max_size=20), max_size=20)


def items(of: list[int]) -> list[Item[str]]:
    return [Item(length, seq, 0, "job") for seq, length in enumerate(of)]


def padding(batch: list[Item[str]]) -> int:
    return sum(batch[-1].length - item.length for item in batch)


bounds = (st.integers(1, 20), st.integers(1, 400), st.integers(0, 60))


@given(lengths, *bounds)
def test_a_batch_keeps_to_its_bounds_and_loses_nothing(
    of: list[int], rows: int, tokens: int, spare: int
) -> None:
    waiting = items(of)
    batch, rest = choose(waiting, rows, tokens, spare)
    assert sorted(batch + rest) == sorted(waiting)
    assert 1 <= len(batch) <= rows
    assert batch == sorted(batch)
    assert len(batch) == 1 or len(batch) * batch[-1].length <= tokens
    assert padding(batch) <= spare
    assert min(waiting, key=lambda item: item.seq) in batch, "the oldest is never passed over"
    whole = sorted(waiting)
    if len(whole) <= rows and len(whole) * max(of) <= tokens and padding(whole) <= spare:
        assert not rest, "what fits is taken at once"


@given(lengths, *bounds)
def test_a_batch_is_as_full_as_its_neighbours_allow(
    of: list[int], rows: int, tokens: int, spare: int
) -> None:
    batch, rest = choose(items(of), rows, tokens, spare)
    if len(batch) < rows:
        shorter = [item for item in rest if item < batch[0]]
        longer = [item for item in rest if item > batch[-1]]
        for more in ([max(shorter), *batch] if shorter else [], [*batch, *longer[:1]]):
            if len(more) > len(batch):
                assert len(more) * more[-1].length > tokens or padding(more) > spare


@settings(max_examples=30, deadline=None)
@given(jobs, st.integers(1, 8), st.integers(1, 200), st.integers(1, 3))
def test_streams_take_every_row_once(
    of: list[list[int]], rows: int, tokens: int, streams: int
) -> None:
    queue: BatchQueue[int] = BatchQueue(rows, tokens, 8, lambda job: True)
    taken: list[tuple[int, int]] = []
    total = sum(map(len, of))
    all_taken = threading.Event()
    lock = threading.Lock()

    def stream() -> None:
        while batch := queue.take():
            with lock:
                taken.extend((item.job, item.row) for item in batch)
                if len(taken) >= total:
                    all_taken.set()

    threads = [threading.Thread(target=stream) for _ in range(streams)]
    for thread in threads:
        thread.start()
    for job, rows_of_job in enumerate(of):
        queue.put([(job, rows_of_job)])
    assert not total or all_taken.wait(10), "a row was lost, or waited for company"
    queue.close()
    for thread in threads:
        thread.join(10)
    assert sorted(taken) == [(job, row) for job, each in enumerate(of) for row in range(len(each))]


def test_idle_streams_share_what_comes() -> None:
    queue: BatchQueue[str] = BatchQueue(64, 10_000, 8, lambda job: True)
    sizes: list[int] = []
    lock = threading.Lock()
    both = threading.Barrier(2)

    def stream() -> None:
        batch = queue.take()
        with lock:
            sizes.append(len(batch))
        both.wait(10)  # neither comes back for more before the other has taken

    threads = [threading.Thread(target=stream) for _ in range(2)]
    for thread in threads:
        thread.start()
    while queue.idle < 2:
        threading.Event().wait(0.001)
    queue.put([("hundred", [5] * 100)])
    for thread in threads:
        thread.join(10)
    assert sizes == [50, 50]


def test_a_dead_job_is_not_taken() -> None:
    dead = {"b"}
    queue: BatchQueue[str] = BatchQueue(8, 100, 8, lambda job: job not in dead)
    queue.put([("a", [1]), ("b", [1, 1]), ("c", [1])])
    assert [item.job for item in queue.take()] == ["a", "c"]
