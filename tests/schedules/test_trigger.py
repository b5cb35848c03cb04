"""What moves next_run_at and what does not, and how a bad schedule is refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest

Connect = Callable[..., psycopg.Connection[Any]]

TABLE = "public.auto_sync_schedules"


def add(connection: psycopg.Connection[Any], **columns: Any) -> Any:
    """Insert one schedule and return its id."""
    names = ["integration_id", "organization_id", *columns]
    values = ["gen_random_uuid()", "gen_random_uuid()", *["%s"] * len(columns)]
    row = connection.execute(
        f"insert into {TABLE} ({', '.join(names)}) values ({', '.join(values)}) returning id",
        list(columns.values()),
    ).fetchone()
    assert row is not None
    return row[0]


def put(connection: psycopg.Connection[Any], schedule_id: Any, assignment: str, *values: Any) -> None:
    connection.execute(f"update {TABLE} set {assignment} where id = %s", [*values, schedule_id])


def look(connection: psycopg.Connection[Any], schedule_id: Any, expression: str = "next_run_at") -> Any:
    row = connection.execute(f"select {expression} from {TABLE} where id = %s", [schedule_id]).fetchone()
    assert row is not None
    return row[0]


def hours_from_now(connection: psycopg.Connection[Any], hours: int) -> Any:
    """Return the UTC clock time that many hours from now, on the minute."""
    row = connection.execute(
        "select date_trunc('minute', (now() at time zone 'UTC') + make_interval(hours => %s))::time", [hours]
    ).fetchone()
    assert row is not None
    return row[0]


def test_disabled_is_never_due(schedule_db: Connect) -> None:
    db = schedule_db()
    schedule = add(db)
    assert look(db, schedule) is None
    put(db, schedule, "enabled = true")
    assert look(db, schedule) is not None
    put(db, schedule, "enabled = false")
    assert look(db, schedule) is None


def test_first_enable_is_due_now_without_a_window_or_inside_it(schedule_db: Connect) -> None:
    db = schedule_db()
    plain = add(db)
    put(db, plain, "enabled = true")
    inside = add(
        db,
        enabled=True,
        time_window_enabled=True,
        time_window_start=hours_from_now(db, -2),
        time_window_end=hours_from_now(db, 2),
    )
    for schedule in (plain, inside):
        assert look(db, schedule, "next_run_at = updated_at")


def test_first_enable_outside_the_window_waits_for_the_opening(schedule_db: Connect) -> None:
    db = schedule_db()
    start = hours_from_now(db, 3)
    schedule = add(
        db,
        enabled=True,
        time_window_enabled=True,
        time_window_start=start,
        time_window_end=hours_from_now(db, 5),
    )
    assert look(db, schedule, "(next_run_at at time zone 'UTC')::time") == start
    assert look(db, schedule, "next_run_at between now() and now() + interval '3 hours'")


def test_a_run_moves_it_one_frequency_on(schedule_db: Connect) -> None:
    db = schedule_db()
    schedule = add(db, enabled=True, frequency_minutes=44640)
    put(
        db,
        schedule,
        "last_run_at = '2030-01-01 00:00+00', last_run_status = 'success', last_run_summary = '{}'",
    )
    assert look(db, schedule, "next_run_at = timestamptz '2030-02-01 00:00+00'")


@pytest.mark.parametrize(
    "assignment",
    [
        "direction = 'import'",
        "conflict_resolution = 'manual'",
        "only_online = false",
        "device_filter = 'tagged'",
        "device_tags = '{a}'",
        "last_run_status = 'failed'",
        "last_run_summary = '{}'",
        "updated_by = gen_random_uuid()",
        "organization_id = gen_random_uuid()",
        "consecutive_failures = 7",
        "next_run_at = now() + interval '9 days'",
        "next_run_at = null",
        "enabled = true, frequency_minutes = 60",
        "claim_id = gen_random_uuid(), claimed_at = now(), claim_expires_at = now()",
    ],
)
def test_nothing_else_moves_it(schedule_db: Connect, assignment: str) -> None:
    db = schedule_db()
    schedule = add(db, enabled=True, frequency_minutes=60, last_run_at=datetime.fromisoformat("2026-01-01T00:00:00Z"))
    before = look(db, schedule)
    put(db, schedule, assignment)
    assert look(db, schedule) == before


def test_new_settings_count_from_the_last_run(schedule_db: Connect) -> None:
    db = schedule_db()
    schedule = add(db, enabled=True, frequency_minutes=600)
    put(db, schedule, "last_run_at = now() - interval '1 hour'")
    put(db, schedule, "frequency_minutes = 90")
    assert look(db, schedule, "next_run_at = last_run_at + interval '90 minutes'")


def test_an_overdue_schedule_stays_due_whatever_is_changed(schedule_db: Connect) -> None:
    db = schedule_db()
    ran = add(db, enabled=True, frequency_minutes=60)
    put(db, ran, "last_run_at = now() - interval '5 hours'")
    never = add(db, enabled=True)
    for schedule in (ran, never):
        for assignment in (
            "frequency_minutes = 30",
            "timezone = 'Asia/Tokyo'",
            "enabled = false",
            "enabled = true",
        ):
            put(db, schedule, assignment)
        assert look(db, schedule, "next_run_at <= now()")


def test_new_settings_never_wait_longer_than_a_frequency_from_now(schedule_db: Connect) -> None:
    db = schedule_db()
    schedule = add(db, enabled=True, frequency_minutes=60)
    put(db, schedule, "last_run_at = now() + interval '30 days'")
    put(db, schedule, "frequency_minutes = 30")
    assert look(db, schedule, "next_run_at = updated_at + interval '30 minutes'")


def test_a_row_loaded_past_the_trigger_is_corrected_by_any_update(schedule_db: Connect) -> None:
    db = schedule_db(None)
    db.execute("set session_replication_role = replica")
    schedule = add(db, enabled=True)
    db.execute("reset session_replication_role")
    assert look(db, schedule) is None
    put(db, schedule, "only_online = false")
    assert look(db, schedule) is not None


def test_a_plain_update_by_service_role_is_a_run(schedule_db: Connect) -> None:
    """The deployed function: select what is due, then update last_run_*."""
    db = schedule_db("service_role")
    schedule = add(db, enabled=True, frequency_minutes=20)
    due = db.execute(f"select id from {TABLE} where enabled and next_run_at <= now()").fetchall()
    assert due == [(schedule,)]
    put(db, schedule, "last_run_at = now(), last_run_status = 'partial', last_run_summary = '{\"synced\": 1}'")
    assert look(db, schedule, "next_run_at = last_run_at + interval '20 minutes'")


def test_failures_double_the_wait_up_to_a_day_and_success_resets(schedule_db: Connect) -> None:
    db = schedule_db()
    schedule = add(db, enabled=True, frequency_minutes=60)
    waits = []
    for hour in range(8):
        put(db, schedule, "last_run_status = 'failed', last_run_at = now() + make_interval(hours => %s)", hour)
        waits.append(look(db, schedule, "next_run_at - last_run_at"))
    assert waits == [timedelta(hours=hours) for hours in (1, 2, 4, 8, 16, 24, 24, 24)]
    put(db, schedule, "last_run_status = 'success', last_run_at = now() + interval '10 hours'")
    assert look(db, schedule, "next_run_at - last_run_at") == timedelta(hours=1)
    assert look(db, schedule, "consecutive_failures") == 0


def test_a_failing_schedule_never_runs_sooner_than_a_healthy_one(schedule_db: Connect) -> None:
    db = schedule_db()
    schedule = add(db, enabled=True, frequency_minutes=44640)
    for _ in range(3):
        put(db, schedule, "last_run_status = 'failed', last_run_at = clock_timestamp()")
        assert look(db, schedule, "next_run_at - last_run_at") == timedelta(days=31)


BAD = [
    ({"frequency_minutes": 0}, "frequency_minutes", ["1", "44640"]),
    ({"frequency_minutes": -5}, "frequency_minutes", ["1", "44640"]),
    ({"frequency_minutes": 44641}, "frequency_minutes", ["1", "44640"]),
    ({"direction": "sideways"}, "direction", ["import", "export", "bidirectional"]),
    (
        {"conflict_resolution": "coin"},
        "conflict_resolution",
        ["newest_wins", "local_wins", "remote_wins", "manual"],
    ),
    ({"device_filter": "some"}, "device_filter", ["all", "tagged"]),
    ({"last_run_status": "fine"}, "last_run_status", ["success", "partial", "failed"]),
    ({"time_window_enabled": True}, "time_window_start", ["time_window_end"]),
    ({"time_window_enabled": True, "time_window_start": "08:00"}, "time_window_end", ["time_window_start"]),
    ({"time_window_start": "08:00"}, "time_window_end", ["time_window_start"]),
    ({"time_window_end": "08:00"}, "time_window_start", ["time_window_end"]),
    (
        {"time_window_enabled": True, "time_window_start": "08:00", "time_window_end": "08:00"},
        "time_window_end",
        ["time_window_start", "08:00"],
    ),
    (
        {"time_window_enabled": True, "time_window_start": "00:00", "time_window_end": "24:00"},
        "time_window_end",
        [],
    ),
    *[
        ({"timezone": name}, "timezone", ["UTC", "Europe/Paris", name])
        for name in (
            "Mars/Olympus",
            "EST",
            "CEST",
            "UTC+2",
            "Mars/Olympus+2",
            "Etc/GMT+25",
            "",
            "posix/Europe/Paris",
            "europe/paris",
            "+02:00",
        )
    ],
]


@pytest.mark.parametrize(("columns", "column", "words"), BAD)
@pytest.mark.parametrize("how", ["insert", "update"])
def test_bad_input_is_refused_with_the_column_and_the_allowed_values(
    schedule_db: Connect, columns: dict[str, Any], column: str, words: list[str], how: str
) -> None:
    db = schedule_db("service_role")

    def write() -> None:
        if how == "insert":
            add(db, **columns)
        else:
            put(db, add(db), ", ".join(f"{name} = %s" for name in columns), *columns.values())

    with pytest.raises(psycopg.errors.CheckViolation) as refused:
        write()
    said = refused.value.diag
    assert said.message_primary is not None
    for word in [column, *words]:
        assert word in said.message_primary
    assert (said.table_name, said.column_name) == ("auto_sync_schedules", column)
    assert said.constraint_name
    assert said.message_hint


def test_every_iana_zone_of_a_place_is_accepted(schedule_db: Connect) -> None:
    db = schedule_db()
    refused = db.execute(
        """
        select name from pg_timezone_names
        where name ~ '/' and name !~ '^(posix|right|SystemV)/' and not autosync.is_time_zone(name)
        """
    ).fetchall()
    assert refused == []


def test_the_checks_stand_behind_the_trigger(schedule_db: Connect) -> None:
    db = schedule_db(None)
    db.execute("set session_replication_role = replica")
    for columns in ({"frequency_minutes": 0}, {"direction": "x"}, {"time_window_enabled": True}):
        with pytest.raises(psycopg.errors.CheckViolation):
            add(db, **columns)
