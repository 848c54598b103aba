"""Cron expressions: Cloudflare's examples, and a slow reading of their rules beside ours."""

from __future__ import annotations

import calendar
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skerry.workers.cron import CronExpression, InvalidCron

DAY = 86_400


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def firings(cron: str, after: str, count: int = 3) -> list[str]:
    time, out, expression = at(after), [], CronExpression(cron)
    for _ in range(count):
        found = expression.next_after(time)
        assert found is not None
        time = found
        out.append(datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M"))
    return out


@pytest.mark.parametrize(
    ("cron", "wanted"),
    [
        ("* * * * *", ["2026-11-25 03:21", "2026-11-25 03:22", "2026-11-25 03:23"]),
        ("*/30 * * * *", ["2026-11-25 03:30", "2026-11-25 04:00", "2026-11-25 04:30"]),
        ("45 * * * *", ["2026-11-25 03:45", "2026-11-25 04:45", "2026-11-25 05:45"]),
        ("0 17 * * sun", ["2026-11-29 17:00", "2026-12-06 17:00", "2026-12-13 17:00"]),
        ("0 17 * * 1", ["2026-11-29 17:00", "2026-12-06 17:00", "2026-12-13 17:00"]),
        ("10 7 * * mon-fri", ["2026-11-25 07:10", "2026-11-26 07:10", "2026-11-27 07:10"]),
        ("10 7 * * 2-6", ["2026-11-25 07:10", "2026-11-26 07:10", "2026-11-27 07:10"]),
        ("0 15 1 * *", ["2026-12-01 15:00", "2027-01-01 15:00", "2027-02-01 15:00"]),
        ("0 18 * * 6L", ["2026-11-27 18:00", "2026-12-25 18:00", "2027-01-29 18:00"]),
        ("0 18 * * friL", ["2026-11-27 18:00", "2026-12-25 18:00", "2027-01-29 18:00"]),
        ("59 23 LW * *", ["2026-11-30 23:59", "2026-12-31 23:59", "2027-01-29 23:59"]),
        ("0 0 L * *", ["2026-11-30 00:00", "2026-12-31 00:00", "2027-01-31 00:00"]),
        ("0 0 L-2 2 *", ["2027-02-26 00:00", "2028-02-27 00:00", "2029-02-26 00:00"]),
        ("0 0 29 2 *", ["2028-02-29 00:00", "2032-02-29 00:00", "2036-02-29 00:00"]),
        ("0 0 * * L", ["2026-11-28 00:00", "2026-12-05 00:00", "2026-12-12 00:00"]),
        ("0 0 * * 2#5", ["2026-11-30 00:00", "2027-03-29 00:00", "2027-05-31 00:00"]),
        ("0 0 * * mon#1,fri#3", ["2026-12-07 00:00", "2026-12-18 00:00", "2027-01-04 00:00"]),
        ("0 0 1W * *", ["2026-12-01 00:00", "2027-01-01 00:00", "2027-02-01 00:00"]),
        ("0 0 1w 5,8 *", ["2027-05-03 00:00", "2027-08-02 00:00", "2028-05-01 00:00"]),
        ("0 0 31W * *", ["2026-12-31 00:00", "2027-01-29 00:00", "2027-03-31 00:00"]),
        ("5 22-2/2 * * *", ["2026-11-25 22:05", "2026-11-26 00:05", "2026-11-26 02:05"]),
        ("0 0 * DEC-jan fri-MON", ["2026-12-04 00:00", "2026-12-05 00:00", "2026-12-06 00:00"]),
        ("0 0 13 * fri", ["2026-11-27 00:00", "2026-12-04 00:00", "2026-12-11 00:00"]),
        ("50/5,1 4 * * *", ["2026-11-25 04:01", "2026-11-25 04:50", "2026-11-25 04:55"]),
        ("  0\t0  1 1   * ", ["2027-01-01 00:00", "2028-01-01 00:00", "2029-01-01 00:00"]),
    ],
)
def test_when_it_fires(cron: str, wanted: list[str]) -> None:
    assert firings(cron, "2026-11-25 03:20:59") == wanted


@pytest.mark.parametrize(
    ("cron", "said"),
    [
        ("", "0 fields"),
        ("* * * *", "4 fields"),
        ("* * * * * *", "6 fields"),
        ("60 * * * *", "minute '60'"),
        ("* 24 * * *", "hour '24'"),
        ("* * 0 * *", "day of the month '0'"),
        ("* * 32 * *", "day of the month"),
        ("* * * 13 *", "month '13'"),
        ("* * * foo *", "month 'FOO'"),
        ("* * * * 0", "1 is Sunday"),
        ("* * * * 8", "1 is Sunday"),
        ("*/0 * * * *", "step '0'"),
        ("*/x * * * *", "step 'X'"),
        ("*/ * * * *", "step ''"),
        ("1- * * * *", "''"),
        ("-1 * * * *", "''"),
        ("1,,2 * * * *", "minute ''"),
        ("² * * * *", "minute"),
        ("1.5 * * * *", "minute"),
        ("+1 * * * *", "minute"),
        ("L * * * *", "minute 'L'"),
        ("* * W * *", "day of the month 'W'"),
        ("* * L-31 * *", "L-31"),
        ("* * ? * *", "?"),
        ("* * * * 2#6", "from 1 to 5"),
        ("* * * * #1", "''"),
        ("* * * * XL", "weekday"),
        ("0 0 31 2,4,6 *", "never fires"),
        ("0 0 30W 2 *", "never fires"),
        ("* " * 5000, "fields"),
        ("@daily", "1 fields"),
    ],
)
def test_what_is_none_says_why(cron: str, said: str) -> None:
    with pytest.raises(InvalidCron) as caught:
        CronExpression(cron)
    assert said in str(caught.value)


@given(st.text("0123456789*,-/LW#SUNFRI ", max_size=25))
@settings(max_examples=300, deadline=None)
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = CronExpression(text).next_after(at("2026-11-25"))
    except InvalidCron:
        return
    assert found is not None
    assert CronExpression(text).matches(found)


def parts(low: int, high: int) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    step = st.integers(1, high)
    part = st.one_of(
        st.just("*"),
        number.map(str),
        st.tuples(number, number).map(lambda pair: f"{min(pair)}-{max(pair)}"),
        step.map(lambda each: f"*/{each}"),
        st.tuples(number, step).map(lambda pair: f"{pair[0]}/{pair[1]}"),
    )
    return st.lists(part, min_size=1, max_size=3).map(",".join)


def slow(field: str, value: int, low: int, high: int) -> bool:
    """Is a value in a field? Read as a person would."""
    for part in field.split(","):
        span, _, step = part.partition("/")
        if span == "*":
            first, last = low, high
        elif "-" in span:
            first, last = (int(each) for each in span.split("-"))
        else:
            first = int(span)
            last = high if step else first
        if first <= value <= last and (value - first) % int(step or 1) == 0:
            return True
    return False


def slow_day(day: str, weekday: str, when: date) -> bool:
    sunday_first = (when.weekday() + 1) % 7 + 1
    by_day, by_weekday = slow(day, when.day, 1, 31), slow(weekday, sunday_first, 1, 7)
    if day == "*":
        return by_weekday
    return by_day if weekday == "*" else by_day or by_weekday


@given(
    parts(0, 59),
    parts(0, 23),
    parts(1, 31),
    parts(1, 12),
    parts(1, 7),
    st.integers(0, 4_000_000_000),
)
@settings(max_examples=200, deadline=None)
def test_the_next_firing_is_the_first_minute_that_fits(
    minute: str, hour: str, day: str, month: str, weekday: str, start: int
) -> None:
    try:
        expression = CronExpression(f"{minute} {hour} {day} {month} {weekday}")
    except InvalidCron as error:
        assert "never fires" in str(error)
        return
    found = expression.next_after(start)
    assert found is not None
    assert found > start
    assert found % 60 == 0
    got = datetime.fromtimestamp(found, UTC)
    assert slow(minute, got.minute, 0, 59)
    assert slow(hour, got.hour, 0, 23)
    assert slow(month, got.month, 1, 12)
    assert slow_day(day, weekday, got.date())
    # No day between fits, and no earlier minute of the day itself.
    when = datetime.fromtimestamp(start, UTC).date()
    fits = [
        60 * h + m
        for h in range(24)
        if slow(hour, h, 0, 23)
        for m in range(60)
        if slow(minute, m, 0, 59)
    ]
    while when <= got.date():
        if slow(month, when.month, 1, 12) and slow_day(day, weekday, when):
            midnight = calendar.timegm(when.timetuple())
            first = [midnight + 60 * each for each in fits if midnight + 60 * each > start]
            if first:
                assert first[0] == found
                return
        when += timedelta(days=1)
    pytest.fail("the slow reading finds no firing")


@given(st.integers(0, 4_000_000_000), st.sampled_from(["*/7 3-9 * * *", "0 12 LW * fri#2"]))
@settings(deadline=None)
def test_matches_agrees_with_next(start: int, cron: str) -> None:
    expression = CronExpression(cron)
    found = expression.next_after(start)
    assert found is not None
    assert expression.matches(found + 59.9)
    assert not expression.matches(start + 60) or found <= start + 60
