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


def api_user(connection: psycopg.Connection[Any], user: str) -> None:
    """Become a signed-in user, who has the table's grants and whom a policy lets pass."""
    connection.execute("set role postgres")
    connection.execute(f"grant select, insert, update, delete on {TABLE} to authenticated")
    connection.execute(f"create policy everybody on {TABLE} to authenticated using (true)")
    connection.execute(
        "select set_config('request.jwt.claims', json_build_object('sub', %s::text)::text, true)", [user]
    )
    connection.execute("set local role authenticated")


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


def test_an_organization_has_no_more_schedules_than_the_limit_says(schedule_db: Connect) -> None:
    db = schedule_db(None, autocommit=False)
    db.execute("""insert into autosync.setting (name, value) values ('limits', '{"schedules_per_organization": 3}')""")
    fill = (
        f"insert into {TABLE} (integration_id, organization_id)"
        " select gen_random_uuid(), %s from generate_series(1, %s)"
    )
    full = "00000000-0000-4000-8000-0000000000cc"
    db.execute(fill, [full, 5])
    api_user(db, full)
    db.execute(fill, ["00000000-0000-4000-8000-0000000000dd", 3])
    for statement, values in (
        (fill, [full, 1]),
        (fill, ["00000000-0000-4000-8000-0000000000ee", 4]),
        (f"update {TABLE} set organization_id = %s where organization_id <> %s", [full, full]),
    ):
        with pytest.raises(psycopg.errors.CheckViolation, match="may have 3 schedules") as refused, db.transaction():
            db.execute(statement.encode(), values)
        assert refused.value.diag.constraint_name == "schedules_per_organization"
    db.rollback()


def test_an_organization_is_asked_for_where_the_mode_says_so(schedule_db: Connect) -> None:
    db = schedule_db(None, autocommit=False)
    insert = f"insert into {TABLE} (integration_id) values (gen_random_uuid())".encode()
    db.execute(insert)
    db.execute(
        "insert into autosync.setting (name, value) values ('isolation', '{\"mode\": \"organization\"}')"
        " on conflict (name) do update set value = excluded.value"
    )
    with pytest.raises(psycopg.errors.CheckViolation, match="organization_id is missing"):
        db.execute(insert)
    db.rollback()


def test_a_message_shows_an_excerpt_of_a_long_value(schedule_db: Connect) -> None:
    db = schedule_db("service_role")
    for column in ("direction", "conflict_resolution", "device_filter", "last_run_status", "timezone"):
        with pytest.raises(psycopg.errors.CheckViolation) as refused:
            add(db, **{column: "y" * 1_000_000})
        assert len(str(refused.value)) < 1000


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
    ({"device_tags": ["x"] * 101}, "device_tags", ["100", "101"]),
    ({"device_tags": ["x" * 1_100_000]}, "device_tags", ["10000 bytes", "1100000"]),
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
            "EUROPE/PARIS",
            "Europe/PARIS",
            "America/Port-Au-Prince",
            "Etc/Utc",
            "us/pacific",
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
    spelled_otherwise = db.execute(
        """
        select w.name
        from pg_timezone_names as z
        cross join lateral (values (upper(z.name)), (lower(z.name)), (initcap(z.name))) as w (name)
        where z.name ~ '/' and w.name <> z.name and autosync.is_time_zone(w.name)
            and w.name not in (select name from pg_timezone_names)
        """
    ).fetchall()
    assert spelled_otherwise == []


def test_the_zones_that_are_let_in_unseen_exist(schedule_db: Connect) -> None:
    body = "select prosrc from pg_proc where oid = 'autosync.set_next_run_at()'::regprocedure"
    found = f"select (regexp_matches(({body}), '[A-Z][a-z]+/[A-Z][A-Za-z_]+', 'g'))[1] as zone"
    zones = (
        schedule_db().execute(f"select autosync.is_time_zone(f.zone), f.zone from ({found}) as f".encode()).fetchall()
    )
    assert len(zones) > 40
    assert [zone for is_known, zone in zones if not is_known] == []


def test_the_checks_stand_behind_the_trigger(schedule_db: Connect) -> None:
    db = schedule_db(None)
    db.execute("set session_replication_role = replica")
    for columns in ({"frequency_minutes": 0}, {"direction": "x"}, {"time_window_enabled": True}):
        with pytest.raises(psycopg.errors.CheckViolation):
            add(db, **columns)
