"""Cron expressions as Cloudflare reads them: five fields, UTC, with L, W and #.

Source: Cloudflare, "Cron Triggers": minutes, hours, days of the month (L, W), months (names),
weekdays 1-7 from Sunday (names, L, #). Where days of the month and weekdays are both given, a day
that fits either fires, as in cron.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from skerry.errors import ProjectError

MINUTE = 60

_MONTHS = {name.upper(): at for at, name in enumerate(calendar.month_abbr) if name}
_WEEKDAYS = {
    name: at for at, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"), 1)
}
_YEARS = 9
"""29 February comes at most 8 years after the last one; what has not come by then never does."""


class InvalidCron(ProjectError):
    """Not a cron expression; the message names the field and what would do."""


class _Field:
    """What one field may hold: its name, its bounds and the names of its values."""

    def __init__(self, name: str, low: int, high: int, names: dict[str, int] | None = None) -> None:
        self.name = name
        self.low = low
        self.high = high
        self.names = names or {}

    def wrong(self, text: str, why: str) -> InvalidCron:
        return InvalidCron(f"cron: {self.name} {text!r}: {why}")

    def number(self, text: str, whole: str) -> int:
        """One value. Raises InvalidCron."""
        named = self.names.get(text)
        if named is not None:
            return named
        if not re.fullmatch("[0-9]{1,4}", text) or not self.low <= int(text) <= self.high:
            extra = " (1 is Sunday)" if self.names is _WEEKDAYS else ""
            raise self.wrong(whole, f"{text!r} is not from {self.low} to {self.high}{extra}")
        return int(text)

    def values(self, part: str) -> set[int]:
        """`*`, `a`, `a-b`, each with or without `/step`; a-b with a > b goes round the end."""
        span, slash, step_text = part.partition("/")
        step = 1
        if slash:
            if not re.fullmatch("[0-9]{1,4}", step_text) or int(step_text) == 0:
                raise self.wrong(part, f"the step {step_text!r} is not a number above 0")
            step = int(step_text)
        first, dash, last = span.partition("-")
        if span == "*":
            start, end = self.low, self.high
        elif dash:
            start, end = self.number(first, part), self.number(last, part)
        else:
            start = self.number(span, part)
            end = self.high if slash else start
        if end < start:
            size = self.high - self.low + 1
            return {self.low + (at - self.low) % size for at in range(start, end + size + 1, step)}
        return set(range(start, end + 1, step))


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("weekday", 1, 7, _WEEKDAYS),
)


class CronExpression:
    """A parsed expression. Times are Unix seconds, UTC; slots are whole minutes."""

    def __init__(self, text: str) -> None:
        """Raises InvalidCron, also for what can never fire (30 February)."""
        self.text = text
        fields = text.upper().split()
        if len(text) > 200 or len(fields) != len(_FIELDS):
            raise InvalidCron(
                f"cron: {text[:200]!r} has {len(fields)} fields; give minute, hour, day of the"
                " month, month and weekday, like */15 * * * *"
            )
        minute, hour, day, month, weekday = (field.split(",") for field in fields)
        self._minutes = sorted(_plain(_FIELDS[0], minute))
        self._hours = sorted(_plain(_FIELDS[1], hour))
        self._months = _plain(_FIELDS[3], month)
        self._days = None if day == ["*"] else [_day(part) for part in day]
        self._weekdays = None if weekday == ["*"] else [_weekday(part) for part in weekday]
        self._days_of = lru_cache(maxsize=24)(self._fitting_days)
        if self.next_after(0.0) is None:
            raise InvalidCron(f"cron: {text!r} never fires: no month has such a day")

    def matches(self, time: float) -> bool:
        """Does the minute that holds `time` fit?"""
        at = _utc(time)
        return (
            at.minute in self._minutes
            and at.hour in self._hours
            and at.month in self._months
            and at.day in self._days_of(at.year, at.month)
        )

    def next_after(self, time: float) -> float | None:
        """The first fitting minute that begins after `time`; None where there is none."""
        at = _utc(time).replace(second=0, microsecond=0) + timedelta(minutes=1)
        year, month = at.year, at.month
        for _ in range(_YEARS * 12):
            if month in self._months:
                for day in self._days_of(year, month):
                    found = self._first(datetime(year, month, day, tzinfo=UTC), at)
                    if found is not None:
                        return found.timestamp()
            year, month = (year, month + 1) if month < 12 else (year + 1, 1)
        return None

    def _first(self, day: datetime, at: datetime) -> datetime | None:
        """The first fitting minute of a day that is not before `at`."""
        if day.date() < at.date():
            return None
        for hour in self._hours:
            for minute in self._minutes:
                found = day.replace(hour=hour, minute=minute)
                if found >= at:
                    return found
        return None

    def _fitting_days(self, year: int, month: int) -> tuple[int, ...]:
        last = calendar.monthrange(year, month)[1]
        if self._days is None and self._weekdays is None:
            return tuple(range(1, last + 1))
        found: set[int] = set()
        for rule in [*(self._days or []), *(self._weekdays or [])]:
            found |= rule.days(year, month, last)
        return tuple(sorted(found))


class _Rule:
    """Which days of a month fit; the kinds are those of the fields for days and weekdays."""

    def __init__(self, kind: str, values: Iterable[int] = (), nth: int = 0) -> None:
        self._kind = kind
        self._values = frozenset(values)
        self._nth = nth

    def days(self, year: int, month: int, last: int) -> set[int]:
        kind = self._kind
        if kind == "days":
            return {day for day in self._values if day <= last}
        if kind == "last day":
            return {last - self._nth} if last > self._nth else set()
        if kind == "weekday near":
            return {_near(year, month, self._nth, last)} if self._nth <= last else set()
        if kind == "weekday near last":
            return {_near(year, month, last, last)}
        fitting = [
            day for day in range(1, last + 1) if _weekday_of(year, month, day) in self._values
        ]
        if kind == "weekdays":
            return set(fitting)
        if kind == "last weekday":
            return {fitting[-1]}
        return set(fitting[self._nth - 1 : self._nth])  # the nth


def _plain(field: _Field, parts: Sequence[str]) -> set[int]:
    found: set[int] = set()
    for part in parts:
        found |= field.values(part)
    return found


def _day(part: str) -> _Rule:
    field = _FIELDS[2]
    if part == "L":
        return _Rule("last day")
    if part in ("LW", "WL"):
        return _Rule("weekday near last")
    if part.startswith("L-"):
        return _Rule("last day", nth=_Field(field.name, 1, 30).number(part[2:], part))
    if part.endswith("W"):
        return _Rule("weekday near", nth=field.number(part[:-1], part))
    return _Rule("days", field.values(part))


def _weekday(part: str) -> _Rule:
    field = _FIELDS[4]
    if part == "L":
        return _Rule("weekdays", [7])
    if part.endswith("L"):
        return _Rule("last weekday", [field.number(part[:-1], part)])
    day, hash_sign, nth = part.partition("#")
    if hash_sign:
        if nth not in tuple("12345"):
            raise field.wrong(part, "after # comes a number from 1 to 5")
        return _Rule("nth weekday", [field.number(day, part)], int(nth))
    return _Rule("weekdays", field.values(part))


def _weekday_of(year: int, month: int, day: int) -> int:
    """1 is Sunday."""
    return (calendar.weekday(year, month, day) + 1) % 7 + 1


def _near(year: int, month: int, day: int, last: int) -> int:
    """The day from Monday to Friday nearest to `day`, within the same month."""
    weekday = _weekday_of(year, month, day)
    if weekday == 7:  # Saturday
        return day - 1 if day > 1 else day + 2
    if weekday == 1:  # Sunday
        return day + 1 if day < last else day - 2
    return day


def _utc(time: float) -> datetime:
    return datetime.fromtimestamp(time, UTC)
