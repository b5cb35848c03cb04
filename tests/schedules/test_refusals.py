"""How a bad schedule is refused, and one too many."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from tests.schedules.rows import TABLE, Connect, add, api_user, put


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
    # an upsert of a schedule that is there comes by as an insert
    upsert = (
        f"insert into {TABLE} (integration_id, organization_id, frequency_minutes) select {{}}, organization_id, 20"
        f" from {TABLE} where organization_id = %s limit 1"
        " on conflict (integration_id) do update set frequency_minutes = excluded.frequency_minutes"
    )
    assert db.execute(upsert.format("integration_id").encode(), [full]).rowcount == 1
    with pytest.raises(psycopg.errors.CheckViolation, match="may have 3 schedules"), db.transaction():
        db.execute(upsert.format("gen_random_uuid()").encode(), [full])
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
