"""What moves next_run_at and what does not."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest

from tests.schedules.rows import TABLE, Connect, add, api_user, look, put


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
        "last_run_at = '2026-01-01 00:00+00', last_run_status = 'success', last_run_summary = '{}'",
    )
    assert look(db, schedule, "next_run_at = timestamptz '2026-02-01 00:00+00'")


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
    put(db, schedule, "last_run_status = 'failed', last_run_at = now() - interval '1 minute', consecutive_failures = 9")
    put(db, schedule, "frequency_minutes = 30")
    assert look(db, schedule, "next_run_at = updated_at + interval '30 minutes'")


@pytest.mark.parametrize("moment", ["2099-01-01", "infinity"])
def test_a_last_run_in_the_future_counts_as_now(schedule_db: Connect, moment: str) -> None:
    db = schedule_db("service_role")
    schedules = [add(db, enabled=True, last_run_at=moment), add(db, enabled=True)]
    put(db, schedules[1], "last_run_at = %s", moment)
    for schedule in schedules:
        counted = "last_run_at <= clock_timestamp() and next_run_at = last_run_at + interval '15 minutes'"
        assert look(db, schedule, counted)


def test_a_shorter_frequency_after_the_window_closed_waits_for_the_next_opening(schedule_db: Connect) -> None:
    db = schedule_db()
    clock = "(now() at time zone 'UTC' - interval '{}')::time"
    schedule = add(db, enabled=True, frequency_minutes=60)
    put(
        db,
        schedule,
        f"time_window_enabled = true, time_window_start = {clock.format('3 hours')},"
        f" time_window_end = {clock.format('10 minutes')}",
    )
    put(db, schedule, "last_run_at = now() - interval '40 minutes'")
    put(db, schedule, "frequency_minutes = 15")
    assert look(db, schedule, "next_run_at - now() between interval '20:59' and interval '21:01'")


def test_who_wrote_a_row_is_not_up_to_the_user(schedule_db: Connect) -> None:
    user, other = "00000000-0000-4000-8000-0000000000aa", "00000000-0000-4000-8000-0000000000bb"
    db = schedule_db(None, autocommit=False)
    api_user(db, user)
    schedule = add(db, created_by=other, updated_by=other)
    assert look(db, schedule, "array[created_by::text, updated_by::text]") == [user, user]
    put(db, schedule, "created_by = %s, updated_by = %s", other, other)
    assert look(db, schedule, "array[created_by::text, updated_by::text]") == [user, user]
    db.execute("reset role")
    put(db, schedule, "created_by = %s, updated_by = %s", other, other)
    assert look(db, schedule, "array[created_by::text, updated_by::text]") == [other, other]
    db.rollback()


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
        put(db, schedule, "last_run_status = 'failed', last_run_at = now() - make_interval(hours => 20 - %s)", hour)
        waits.append(look(db, schedule, "next_run_at - last_run_at"))
    assert waits == [timedelta(hours=hours) for hours in (1, 2, 4, 8, 16, 24, 24, 24)]
    put(db, schedule, "last_run_status = 'success', last_run_at = now() - interval '1 hour'")
    assert look(db, schedule, "next_run_at - last_run_at") == timedelta(hours=1)
    assert look(db, schedule, "consecutive_failures") == 0


def test_a_failing_schedule_never_runs_sooner_than_a_healthy_one(schedule_db: Connect) -> None:
    db = schedule_db()
    schedule = add(db, enabled=True, frequency_minutes=44640)
    for _ in range(3):
        put(db, schedule, "last_run_status = 'failed', last_run_at = clock_timestamp()")
        assert look(db, schedule, "next_run_at - last_run_at") == timedelta(days=31)
