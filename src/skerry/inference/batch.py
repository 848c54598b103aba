"""The queue from which idle streams take batches of rows; it never waits for one to fill."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")


class Item(NamedTuple, Generic[T]):
    """A row that waits. Tuples sort by length, then by age, without a key function."""

    length: int
    """Tokens that it takes in a batch of its like, or 1."""
    seq: int
    """Its place in the order of arrival; unique."""
    row: int
    """Its place in the request."""
    job: T


def choose(
    waiting: Sequence[Item[T]], rows: int, tokens: int, spare: int
) -> tuple[list[Item[T]], list[Item[T]]]:
    """(batch, rest): up to `rows` items of like length, always with the oldest of all.

    Both come sorted by length. rows x longest of the batch is at most `tokens`, but for a single
    row that is longer on its own. At most `spare` tokens of it are padding: rows that would cost
    more make a batch of their own. Because the oldest is always in, sorting starves nobody.
    """
    ordered = sorted(waiting)
    low = min(range(len(ordered)), key=lambda at: ordered[at].seq)
    high = low + 1
    longest = ordered[low].length
    padding = 0
    while high - low < rows:
        count = high - low
        below = longest - ordered[low - 1].length if low else None
        above = (ordered[high].length - longest) * count if high < len(ordered) else None
        if below is not None and (count + 1) * longest > tokens:
            below = None
        if above is not None and (count + 1) * ordered[high].length > tokens:
            above = None
        if below is not None and (above is None or below < above):
            if padding + below > spare:
                break
            padding += below
            low -= 1
        elif above is not None:
            if padding + above > spare:
                break
            padding += above
            longest = ordered[high].length
            high += 1
        else:
            break
    return ordered[low:high], ordered[:low] + ordered[high:]


class BatchQueue(Generic[T]):
    """Rows in, batches out. Thread-safe.

    rows: most rows of a batch.  tokens: most rows x longest row of a batch.
    spare: most tokens of padding in a batch.
    alive: False for a job whose rows need not run; called when a stream takes.
    """

    def __init__(self, rows: int, tokens: int, spare: int, alive: Callable[[T], bool]) -> None:
        self._rows = rows
        self._tokens = tokens
        self._spare = spare
        self._alive = alive
        self._waiting: list[Item[T]] = []
        self._seq = 0
        self._idle = 0
        self._closed = False
        self._ready = threading.Condition(threading.Lock())

    @property
    def idle(self) -> int:
        """Streams that wait for rows."""
        return self._idle

    def put(self, jobs: Sequence[tuple[T, Sequence[int]]]) -> None:
        """Queue jobs, each with the lengths of its rows."""
        with self._ready:
            seq = self._seq
            for job, lengths in jobs:
                for row, length in enumerate(lengths):
                    self._waiting.append(Item(length, seq, row, job))
                    seq += 1
            added, self._seq = seq - self._seq, seq
            if self._idle and added:
                self._ready.notify(min(self._idle, added))

    def take(self) -> list[Item[T]]:
        """A stream's next batch, sorted by length; waits while there is none.

        With several streams idle each takes its share. [] once the queue is closed.
        """
        with self._ready:
            while not self._closed:
                if self._waiting:
                    self._waiting = [item for item in self._waiting if self._alive(item.job)]
                if self._waiting:
                    # Streams that were woken and have not got here yet count as idle.
                    share = -(-len(self._waiting) // (self._idle + 1))
                    batch, self._waiting = choose(
                        self._waiting, min(share, self._rows), self._tokens, self._spare
                    )
                    return batch
                self._idle += 1
                try:
                    self._ready.wait()
                finally:
                    self._idle -= 1
        return []

    def drop_dead(self) -> None:
        """Forget the rows of jobs that are no longer alive."""
        with self._ready:
            self._waiting = [item for item in self._waiting if self._alive(item.job)]

    def close(self) -> None:
        """Wake every stream with nothing."""
        with self._ready:
            self._closed = True
            self._ready.notify_all()
