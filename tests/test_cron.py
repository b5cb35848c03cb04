"""Schedules in seconds, by version of pg_cron; what pg_cron 1.6 says to the same texts was seen on a real one."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autosync_db import cron
from autosync_db.errors import UsageError


@pytest.mark.parametrize("version", ["1.5", "1.6", "1.10", "2.0", None])
def test_seconds_are_taken_where_pg_cron_has_them_or_is_not_known(version: str | None) -> None:
    cron.check("5 seconds", version)


@pytest.mark.parametrize("version", ["1.3", "1.4", "1.4-1"])
def test_an_older_pg_cron_is_named_with_the_version_that_is_needed(version: str) -> None:
    with pytest.raises(UsageError) as caught:
        cron.check("5 seconds", version)
    assert caught.value.message == f"the schedule '5 seconds' needs pg_cron 1.5 or newer; this server has {version}"


@pytest.mark.parametrize("version", ["1.4-1", "1.5"])
def test_the_last_day_of_the_month_needs_pg_cron_1_6(version: str) -> None:
    with pytest.raises(UsageError, match=r"needs pg_cron 1\.6 or newer"):
        cron.check("0 0 $ * *", version)
    for newer in ("1.6", None):
        cron.check("0 0 $ * *", newer)


@pytest.mark.parametrize(
    ("schedule", "seconds"), [("1 second", 1), ("1 seconds", 1), ("59 seconds", 59), ("30 Seconds", 30)]
)
def test_what_pg_cron_takes_has_a_period(schedule: str, seconds: int) -> None:
    cron.check(schedule, "1.6")
    assert cron.every(schedule) == timedelta(seconds=seconds)


@pytest.mark.parametrize("schedule", ["0 seconds", "60 seconds", "5 sec", "5s", "-5 seconds", "1.5 seconds"])
def test_what_pg_cron_refuses_is_refused_before(schedule: str) -> None:
    assert cron.every(schedule) is None
    with pytest.raises(UsageError):
        cron.check(schedule, "1.6")


@pytest.mark.parametrize(
    ("schedule", "instead"),
    [
        ("5/15 * * * *", "5-59/15"),
        ("0 6,8/3 * * *", "8-23/3"),
        ("0 0 1/2 * *", "1-31/2"),
        ("0 0 * jan/3 *", "jan-12/3"),
        ("0 0 * * 1/90", "1-7/90"),
    ],
)
def test_a_step_without_a_range_is_refused_and_how_it_is_written_is_said(schedule: str, instead: str) -> None:
    with pytest.raises(UsageError, match="a step without a range, which pg_cron refuses") as caught:
        cron.check(schedule)
    assert caught.value.hint == f"write {instead}"
    for near in ("0-59/15,7 * * * *", "*/15 * * * *", "3,5-50/5 * * * *"):
        cron.check(near)


def test_other_schedules_have_no_period() -> None:
    assert cron.every("*/5 * * * *") is None


@pytest.mark.parametrize(
    ("schedule", "kind", "still_ticks"),
    [
        ("@daily", None, None),
        (" */5 * * * * ", None, None),
        ("@reboot", "reboot", False),
        ("* * * * * *", "more_fields", True),
        ("* * * *", "fields", False),
        ("*/90 * * * *", "step", True),
        ("61 * * * *", "syntax", False),
        ("0 0 30 2 *", "syntax", False),
        # blank lines and comments before it are skipped, and so is the end of a line as Windows writes it
        ("\n*/5 * * * *\r\n", None, None),
        ("# each night\n\n  0 3 * * *\n# or later\n", None, None),
        ("\t@daily\n", None, None),
        (" 05\nseconds\n", None, None),
        ("0 3 * * *\n0 4 * * *", "more_fields", True),
        ("@daily x", "more_fields", True),
        ("@restart", "reboot", False),
        ("0 3 *\n* *", "fields", False),
        ("# often\n5 seconds", "fields", False),
        ("# nothing", "fields", False),
    ],
)
def test_schedule_of_a_job_is_judged_by_kind(schedule: str, kind: str | None, still_ticks: bool | None) -> None:
    fault = cron.misreading(schedule, "1.6")
    assert (fault and fault.kind, fault and fault.still_ticks) == (kind, still_ticks)


@pytest.mark.parametrize(
    ("schedule", "read"),
    [
        ("@hourly", "0 * * * *"),
        ("# nightly\n@daily x", "0 0 * * *"),
        ("\n0  3 * *\t*\r\n0 4 * * *", "0 3 * * *"),
        ("* * * * * garbage", "* * * * *"),
        ("1 SECOND", "1 seconds"),
        ("@reboot", "@reboot"),
        ("", ""),
    ],
)
def test_what_pg_cron_reads_of_a_text_is_one_line_of_fields(schedule: str, read: str) -> None:
    assert cron.as_read(schedule) == read
    assert cron.as_read(read) == read


def test_schedule_in_seconds_on_an_older_pg_cron_is_a_matter_of_its_version() -> None:
    fault = cron.misreading("5 seconds", "1.4")
    assert fault is not None
    assert fault.kind == "version"


# pg_cron's own reading of five fields (entry.c): lists of numbers, ranges and steps; a day matches by both fields where
# one of them begins with a star, else by either
RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))


def _values(field: str, low: int, high: int) -> set[int]:
    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, _, last = (f"{low}-{high}" if span == "*" else span).partition("-")
        found |= set(range(int(first), int(last or first) + 1, int(step or 1)))
    return found


def _counted(schedule: str, first: date, days: int, *, both_days: bool) -> int:
    fields = schedule.split()
    minutes, hours, dates, months, weekdays = (
        _values(field, *bounds) for field, bounds in zip(fields, RANGES, strict=True)
    )
    has_star = fields[2].startswith("*") or fields[4].startswith("*")
    by_day = sum(minute % 60 in minutes and minute // 60 in hours for minute in range(1440))
    count = 0
    for number in range(days):
        day = first + timedelta(days=number)
        on_date, on_weekday = day.day in dates, day.isoweekday() in weekdays or day.isoweekday() % 7 in weekdays
        on_day = on_date and on_weekday if has_star or both_days else on_date or on_weekday
        count += by_day if day.month in months and on_day else 0
    return count


@st.composite
def _fields(draw: st.DrawFn) -> str:
    fields = []
    for low, high in RANGES:
        parts = []
        for _ in range(draw(st.integers(1, 2))):
            first = draw(st.integers(low, high))
            last = draw(st.integers(first, high))
            shape = draw(st.sampled_from(["*", "*/{step}", "{first}", "{first}-{last}", "{first}-{last}/{step}"]))
            parts.append(shape.format(first=first, last=last, step=draw(st.integers(1, high - low))))
        fields.append(",".join(parts))
    return " ".join(fields)


@given(_fields(), st.dates(date(2026, 1, 1), date(2029, 1, 1)), st.booleans())
def test_ticks_of_a_month_are_those_that_pg_cron_has_minute_by_minute(text: str, first: date, both_days: bool) -> None:
    assert cron.count_ticks(text, first, 31, both_days=both_days) == _counted(text, first, 31, both_days=both_days)


TICKS_OF_FEBRUARY = {
    "*/5 * * * *": 288 * 28, "@daily": 28, "30 seconds": 2880 * 28, "7 seconds": 12342 * 28, "0 0 30 2 *": 0,
    "0 12 $ * *": 1, "*/90 * * * *": 24 * 28, "0 9-17/2 * * mon-fri": 5 * 20, "* * * * * *": 1440 * 28,
    "@reboot": None, "61 * * * *": None, "nonsense": None,
}  # fmt: skip


@pytest.mark.parametrize("schedule", TICKS_OF_FEBRUARY)
def test_ticks_of_february_are_counted(schedule: str) -> None:
    assert cron.count_ticks(schedule, date(2027, 2, 1), 28) == TICKS_OF_FEBRUARY[schedule]


def test_schedules_of_the_same_times_are_the_same_however_they_are_written() -> None:
    for one, other in (
        ("*/5 * * * *", "0-59/5 * * * *"), ("0,30 * * * *", "*/30 * * * *"), ("0 0 * * 7", "0 0 * * sun"),
        ("59 23 31 DEC *", "59  23 31 12 *"), ("@hourly", "0 */1 * * *"), ("0 9-11 * * *", "0 9,10,11 * * *"),
        ("30 seconds", "30 second"), ("nonsense", "nonsense"),
    ):  # fmt: skip
        assert cron.same(one, other), (one, other)
        assert cron.times(one) == cron.times(other)
    for one, other in (
        ("*/5 * * * *", "*/10 * * * *"), ("0 0 * * 1", "0 0 * * 2"), ("0 0 1 * 1", "0 0 1 * *"),
        ("5 seconds", "* * * * *"), ("0 0 */2 * 1", "0 0 1-31/2 * 1"), ("nonsense", "other"),
    ):  # fmt: skip
        assert not cron.same(one, other), (one, other)
