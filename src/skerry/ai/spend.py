"""Step: neurons. What a request cost by the catalog's prices, and the daily allocation."""

from __future__ import annotations

import time

from skerry.ai.ai import Step
from skerry.ai.ended import when_ended
from skerry.ai.flight import Flight, Next, Reply
from skerry.catalog.entry import Price
from skerry.errors import NeuronsUsedUp
from skerry.types import Answer, AnswerStream, Usage

DAY = 86_400


def neurons(price: Price, usage: Usage) -> float:
    """The cost of `usage`: prices are neurons per million tokens, or per million images."""
    tokens = usage.prompt_tokens * price.input + usage.completion_tokens * price.output
    return (tokens + price.image) / 1e6


class Spend(Step):
    """Counts neurons per account and UTC day, in memory; past the allocation: 3036.

    `allocation` 0 is no bound. What is under way when the allocation ends is still answered.
    """

    def __init__(self, allocation: float) -> None:
        self._allocation = allocation
        self._spent: dict[str, float] = {}
        self._day = 0

    async def __call__(self, flight: Flight, proceed: Next) -> Reply:
        if self._allocation <= 0:
            return await proceed(flight)
        self._check(flight)
        reply = await proceed(flight)
        return when_ended(reply, lambda ended, _: self._settle(flight, ended))

    def _check(self, flight: Flight) -> None:
        day = int(flight.timestamp // DAY)
        if day != self._day:
            self._day, self._spent = day, {}
        account = flight.request.account
        if self._spent.get(account, 0.0) >= self._allocation:
            wait = (day + 1) * DAY - time.time()
            raise NeuronsUsedUp(
                f"Account {account} has used up its daily allocation of"
                f" {self._allocation:g} neurons; it starts anew at 00:00 UTC",
                retry_after=max(wait, 1.0),
            )

    def _settle(self, flight: Flight, ended: Answer | AnswerStream) -> None:
        account = flight.request.account
        cost = neurons(flight.resolved.price, ended.usage)
        self._spent[account] = self._spent.get(account, 0.0) + cost
