"""The SQL agrees with the reference in every zone and session, around every change of clocks."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from functools import cache
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autosync_db.schedules import preview
from autosync_db.schedules.preview import Window, next_run, window_opening

Connect = Callable[..., psycopg.Connection[Any]]

ZONES = sorted(
    name for name in available_timezones() if "/" in name and name.split("/")[0] not in ("posix", "right", "SystemV")
)
# the ones that break naive arithmetic come up as often as all the others together
HARD_ZONES = [
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Pacific/Kwajalein",
    "Pacific/Fakaofo",
    "America/Nuuk",
    "America/Sao_Paulo",
    "America/Havana",
    "Asia/Beirut",
    "Asia/Gaza",
    "America/St_Johns",
    "Africa/Casablanca",
    "Europe/Dublin",
    "Antarctica/Troll",
    "Asia/Kathmandu",
    "America/New_York",
    "Europe/Paris",
    "Pacific/Chatham",
    "UTC",
    "Asia/Pyongyang",
    "America/Caracas",
    "Africa/Monrovia",
    "Europe/Lisbon",
    "Asia/Tehran",
    "America/Asuncion",
    "Africa/Cairo",
]
CASES_PER_QUERY = 100
# queries on a push, and in the long run
queries = pytest.mark.parametrize("count", [3, pytest.param(200, marks=pytest.mark.long)])


def heavy(count: int) -> settings:
    """Return the settings of a property that makes so many queries."""
    ignored = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]
    return settings(max_examples=count, deadline=None, suppress_health_check=ignored)


@cache
def changes(zone: str) -> list[datetime]:
    """Return the instants, 1971 to 2045, at which the zone's clocks change; two within a week may be missed."""
    place = ZoneInfo(zone)
    found: list[datetime] = []
    at = datetime(1971, 1, 1)
    offset = preview._offset(at, place)
    while at.year < 2045:
        following = at + timedelta(days=7)
        if (later := preview._offset(following, place)) != offset:
            found.append(preview._change(at, following, place).replace(tzinfo=UTC))
        at, offset = following, later
    return found


def random_case(source: random.Random) -> tuple[datetime, time, time, str]:
    """Return (moment, start, end, zone), mostly near a change of clocks, the window mostly near it too."""
    zone = source.choice(HARD_ZONES if source.random() < 0.7 else ZONES)
    near = changes(zone)
    if near and source.random() < 0.85:
        change = source.choice(near)
        moment = change + timedelta(
            seconds=source.choice(
                [
                    0,
                    -1,
                    1,
                    -60,
                    60,
                    source.randrange(-7200, 7200),
                    source.randrange(-5 * 86400, 5 * 86400),
                ]
            )
        )
        shown = source.choice([change - timedelta(seconds=1), change]).astimezone(ZoneInfo(zone))
        minute = shown.hour * 60 + shown.minute + source.randrange(-100, 100)
    else:
        moment = datetime(1971, 1, 1, tzinfo=UTC) + timedelta(seconds=source.randrange(0, 74 * 365 * 86400))
        minute = source.randrange(1440)
    width = source.choice([1, 1, 15, 30, 60, 90, 600, 1439, source.randrange(1, 1440)])
    start, end = minute % 1440, (minute + width) % 1440
    return moment, time(start // 60, start % 60), time(end // 60, end % 60), zone


def columns(rows: list[Any]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]


@queries
@pytest.mark.parametrize(
    "session",
    [
        ("Australia/Lord_Howe", "German"),
        pytest.param(("UTC", "ISO, MDY"), marks=pytest.mark.long),
        pytest.param(("America/New_York", "SQL, DMY"), marks=pytest.mark.long),
    ],
)
def test_window_opening_agrees_with_the_reference(schedule_db: Connect, session: tuple[str, str], count: int) -> None:
    connection = schedule_db()
    connection.execute("select set_config('TimeZone', %s, false), set_config('DateStyle', %s, false)", session)

    @heavy(count)
    @given(seed=st.integers(0, 2**62))
    def run(seed: int) -> None:
        source = random.Random(seed)
        cases = [random_case(source) for _ in range(CASES_PER_QUERY)]
        answers = connection.execute(
            """
            select extract(epoch from autosync.window_opening(moment, start, stop, zone))
            from unnest(%s::timestamptz[], %s::time[], %s::time[], %s::text[])
                with ordinality as given (moment, start, stop, zone, position)
            order by position
            """,
            columns(cases),
        ).fetchall()
        for (moment, start, end, zone), (epoch,) in zip(cases, answers, strict=True):
            expected = window_opening(moment, Window(start, end), ZoneInfo(zone))
            answer = datetime.fromtimestamp(float(epoch), UTC)
            assert answer == expected, (zone, moment.isoformat(), start, end)

    run()


def random_schedule(source: random.Random) -> dict[str, Any]:
    moment, start, end, zone = random_case(source)
    frequency = source.choice([1, 5, 15, 60, 1440, 10080, 44640, source.randrange(1, 44641)])
    windowed = source.random() < 0.8
    never = source.random() < 0.1
    return {
        "enabled": source.random() < 0.95,
        "last_run_at": None if never else moment - timedelta(minutes=source.choice([0, frequency])),
        "frequency_minutes": frequency,
        "time_window_enabled": windowed,
        "time_window_start": start if windowed or source.random() < 0.5 else None,
        "time_window_end": end,
        "timezone": zone,
        "consecutive_failures": source.choice([0, 0, 1, 2, 3, 5, 12, 40]),
    }


def expected_run(row: dict[str, Any], at: datetime, not_after: datetime | None = None) -> datetime | None:
    window = Window(row["time_window_start"], row["time_window_end"]) if row["time_window_enabled"] else None
    return next_run(
        enabled=row["enabled"],
        last_run_at=row["last_run_at"],
        frequency_minutes=row["frequency_minutes"],
        window=window,
        zone=ZoneInfo(row["timezone"]),
        at=at,
        consecutive_failures=row["consecutive_failures"],
        not_after=not_after,
    )


def past(moment: datetime) -> datetime:
    """Return the moment, or one before it that has passed."""
    while moment > datetime.now(UTC) - timedelta(days=2):
        moment -= timedelta(days=9999)
    return moment


def expected_in_table(row: dict[str, Any], at: datetime, now: datetime, not_after: datetime | None = None) -> Any:
    """Return what the trigger makes of it: what is due outside its window waits for the next opening from now."""
    found = expected_run(row, at, not_after)
    if found is None or found >= now or not row["time_window_enabled"]:
        return found
    opening = window_opening(now, Window(row["time_window_start"], row["time_window_end"]), ZoneInfo(row["timezone"]))
    return opening if opening > now else found


@queries
def test_next_run_at_agrees_with_the_reference_at_any_time(schedule_db: Connect, count: int) -> None:
    connection = schedule_db()
    names = [
        "enabled", "last_run_at", "frequency_minutes", "time_window_enabled", "time_window_start", "time_window_end",
        "timezone", "at", "consecutive_failures", "not_after",
    ]  # fmt: skip

    @heavy(count)
    @given(seed=st.integers(0, 2**62))
    def run(seed: int) -> None:
        source = random.Random(seed)
        rows = [random_schedule(source) for _ in range(CASES_PER_QUERY)]
        for row in rows:
            row["at"] = random_case(source)[0]
            row["not_after"] = source.choice([None, random_case(source)[0]])
        answers = connection.execute(
            f"select autosync.next_run_at({', '.join(names[:-3])}, at, consecutive_failures, not_after) from unnest("
            "%s::boolean[], %s::timestamptz[], %s::int[], %s::boolean[], %s::time[], %s::time[], %s::text[],"
            " %s::timestamptz[], %s::int[], %s::timestamptz[])"
            f" with ordinality as given ({', '.join(names)}, n) order by n",
            columns([[row[name] for name in names] for row in rows]),
        ).fetchall()
        for row, (answer,) in zip(rows, answers, strict=True):
            assert (answer and answer.astimezone(UTC)) == expected_run(row, row["at"], row["not_after"]), row

    run()


@queries
def test_the_trigger_agrees_with_the_reference_on_insert_run_and_new_settings(schedule_db: Connect, count: int) -> None:
    connection = schedule_db(autocommit=False)
    connection.execute("set timezone = 'Pacific/Apia'")
    connection.commit()
    names = (
        "enabled",
        "last_run_at",
        "frequency_minutes",
        "time_window_enabled",
        "time_window_start",
        "time_window_end",
        "timezone",
        "consecutive_failures",
    )
    listed = ", ".join(names)
    given_rows = (
        "unnest(%s::boolean[], %s::timestamptz[], %s::int[], %s::boolean[], %s::time[], %s::time[], "
        "%s::text[], "
        f"%s::int[]) with ordinality as given ({listed}, n)"
    )
    ids = "lpad(to_hex(n), 32, '0')::uuid"

    @heavy(count)
    @given(seed=st.integers(0, 2**62))
    def run(seed: int) -> None:
        connection.rollback()
        source = random.Random(seed)
        rows = [random_schedule(source) for _ in range(60)]
        for row in rows:
            # the future counts as now
            row["last_run_at"] = row["last_run_at"] and past(row["last_run_at"])
            if row["time_window_start"] is None:
                row["time_window_end"] = None
        table = [[row[name] for name in names] for row in rows]

        def stored() -> list[Any]:
            found = connection.execute("select next_run_at, now() from public.auto_sync_schedules order by id")
            # in UTC: Python calls a time that its own zone shows twice unequal to every time of another zone
            return [(run and run.astimezone(UTC), now.astimezone(UTC)) for run, now in found]

        # inserted whole
        connection.execute(
            f"insert into public.auto_sync_schedules (id, integration_id, organization_id, {listed}) "
            f"select {ids}, {ids}, {ids}, {listed} from {given_rows}",
            columns(table),
        )
        for row, (answer, now) in zip(rows, stored(), strict=True):
            assert answer == expected_in_table(row, now, now), row

        # a run is recorded, the count of failures given with it
        for row in rows:
            if row["last_run_at"] is not None:
                before_it = row["last_run_at"]
                while row["last_run_at"] == before_it:
                    row["last_run_at"] = past(random_case(source)[0])
                row["consecutive_failures"] = row["consecutive_failures"] + 1
        connection.execute(
            "update public.auto_sync_schedules as s set last_run_at = given.last_run_at, "
            f"consecutive_failures = given.consecutive_failures from {given_rows} where s.id = {ids}",
            columns([[row[name] for name in names] for row in rows]),
        )
        before = stored()
        for row, (answer, now) in zip(rows, before, strict=True):
            assert answer == expected_in_table(row, now, now), row

        # new settings
        was_enabled = [row["enabled"] for row in rows]
        old = [dict(row) for row in rows]
        for row in rows:
            fresh = random_schedule(source)
            for name in source.sample(["frequency_minutes", "enabled", "timezone"], source.randrange(0, 4)):
                row[name] = fresh[name]
        connection.execute(
            "update public.auto_sync_schedules as s set frequency_minutes = given.frequency_minutes, "
            f"enabled = given.enabled, timezone = given.timezone from {given_rows} where s.id = {ids}",
            columns([[row[name] for name in names] for row in rows]),
        )
        for row, was, enabled, (previous, _), (answer, now) in zip(
            rows, old, was_enabled, before, stored(), strict=True
        ):
            if row == was:
                assert answer == previous
            else:
                at = min(previous, now) if enabled else now
                cap = now + timedelta(minutes=row["frequency_minutes"])
                assert answer == expected_in_table(row, at, now, cap), (row, was)

    run()


@pytest.mark.long
def test_clocks_change_seldom_enough_for_the_shortcut() -> None:
    """window_opening looks 50 hours back and 26 ahead: two changes that cancel within that would hide."""
    for name in ZONES:
        instants = changes(name)
        assert all(b - a > timedelta(hours=76) for a, b in pairwise(instants)), name
