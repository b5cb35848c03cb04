"""`schedules ...`: every state is recognized, settings are changed, and bad input changes nothing."""

import itertools
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest

from autosync_db.local.cluster import Cluster
from tests.cli.conftest import Listener
from tests.support import cases, clusters, command
from tests.support.command import Result

OTHER = "00000000-0000-4000-8000-000000000009"


@dataclass(frozen=True, slots=True)
class Table:
    """A database at head, and its schedules."""

    cluster: Cluster
    connection: psycopg.Connection[Any]

    def run(self, *arguments: str) -> Result:
        """Run `schedules ...` on this database."""
        return command.run("schedules", *arguments, database=self.cluster.url())

    def add(self, *arguments: str) -> str:
        """Add a schedule by command and return its id."""
        ids = ("--integration", str(uuid.uuid4()), "--organization", str(uuid.uuid4()))
        return command.succeeds(self.run("add", *ids, *arguments)).out.strip()

    def insert(self, **columns: str) -> str:
        """Insert a row past the trigger, from SQL expressions, and return its id."""
        values = {
            "integration_id": "gen_random_uuid()",
            "organization_id": "gen_random_uuid()",
            "enabled": "true",
            "updated_at": "now() - interval '1 day'",
        } | columns
        with self.connection.transaction():
            self.connection.execute("set local session_replication_role = replica")
            row = self.connection.execute(
                f"insert into public.auto_sync_schedules ({', '.join(values)})"
                f" values ({', '.join(values.values())}) returning id".encode()
            ).fetchone()
        assert row is not None
        return str(row[0])

    def row(self, id: str) -> dict[str, Any]:
        """Return a row as it is stored."""
        found = self.connection.execute(
            "select to_jsonb(s) from public.auto_sync_schedules as s where s.id = %s", [id]
        ).fetchone()
        assert found is not None, f"there is no schedule {id}"
        return dict(found[0])

    def contents(self) -> list[Any]:
        """Return every row."""
        return self.connection.execute("select s.* from public.auto_sync_schedules as s order by s.id").fetchall()

    def listed(self, *arguments: str) -> list[dict[str, Any]]:
        """Return what `list` says, as JSON."""
        found: list[dict[str, Any]] = command.succeeds(self.run("list", "--format", "json", *arguments)).json()
        return found


@pytest.fixture(scope="module")
def schedules_at_head(migrated_template: Cluster) -> Iterator[Cluster]:
    with clusters.cloned(migrated_template) as copy:
        yield copy


@pytest.fixture
def table(schedules_at_head: Cluster) -> Iterator[Table]:
    with clusters.connect(schedules_at_head, "supabase_admin") as connection:
        connection.execute("truncate public.auto_sync_schedules")
        yield Table(schedules_at_head, connection)


CLAIM = {"claim_id": "gen_random_uuid()", "claimed_at": "now()"}
STATES = {
    "overdue": {"next_run_at": "now() - interval '1 hour'"},
    "due": {"next_run_at": "now() - interval '1 minute'"},
    "failing": {
        "next_run_at": "now() - interval '1 minute'",
        "last_run_at": "now() - interval '1 hour'",
        "last_run_status": "'failed'",
        "consecutive_failures": "3",
    },
    "claimed": {
        "next_run_at": "now() - interval '1 hour'",
        **CLAIM,
        "claim_expires_at": "now() + interval '10 minutes'",
    },
    "never run": {"next_run_at": "now() + interval '1 hour'"},
    "waiting": {
        "next_run_at": "now() + interval '1 hour'",
        "last_run_at": "now() - interval '1 hour'",
        "last_run_status": "'success'",
    },
    "no next run": {},
    "disabled": {"enabled": "false", "next_run_at": "null", "consecutive_failures": "2"},
}


def test_every_state_is_recognized_and_can_be_asked_for(table: Table) -> None:
    wanted = {table.insert(**columns): state for state, columns in STATES.items()}
    assert {row["id"]: row["state"] for row in table.listed()} == wanted
    for id_, state in wanted.items():
        assert [row["id"] for row in table.listed("--state", state)] == [id_], state
    shown = command.succeeds(table.run("list")).out
    for id_, state in wanted.items():
        [line] = [line for line in shown.splitlines() if line.startswith(id_)]
        assert line.removeprefix(id_).strip().startswith(state), line
    assert "failing x3" in shown
    message = command.refused(table.run("list", "--state", "late"), 2)
    assert "'late'" in message


OVERDUE = (
    # due for long, but its window has just closed: it waits for the window, not for the tick
    (
        {
            "next_run_at": "now() - interval '3 hours'",
            "time_window_enabled": "true",
            "time_window_start": "(now() at time zone 'UTC' - interval '3 hours')::time",
            "time_window_end": "(now() at time zone 'UTC' - interval '2 hours')::time",
        },
        "due",
    ),
    ({"next_run_at": "now() - interval '3 hours'", "updated_at": "now()"}, "due"),
    (
        {
            "next_run_at": "now() - interval '3 hours'",
            **CLAIM,
            "claim_expires_at": "now() - interval '1 minute'",
        },
        "overdue",
    ),
)


def test_overdue_means_that_a_tick_should_have_taken_it(table: Table) -> None:
    expected = {table.insert(**columns): state for columns, state in OVERDUE}
    assert {row["id"]: row["state"] for row in table.listed()} == expected


def test_the_next_run_is_shown_in_utc_and_on_its_own_clock(table: Table) -> None:
    for zone, shown, local in (
        ("Asia/Kolkata", "2031-07-01 12:00", "17:30 Asia/Kolkata"),
        ("america/new_york", "2031-07-01 12:00", "08:00 america/new_york"),
        ("Nowhere/At_All", "2031-07-01 12:00", "Nowhere/At_All"),
    ):
        id_ = table.insert(next_run_at="'2031-07-01 12:00+00'", timezone=f"'{zone}'")
        [line] = [line for line in command.succeeds(table.run("list")).out.splitlines() if line.startswith(id_)]
        assert shown in line
        assert local in line
    by_zone = {row["timezone"]: row for row in table.listed()}
    assert datetime.fromisoformat(by_zone["Asia/Kolkata"]["next_run_at"]).utcoffset() == timedelta()
    local_run = datetime.fromisoformat(by_zone["Asia/Kolkata"]["next_run_local"])
    assert (local_run.utcoffset(), local_run.hour) == (timedelta(hours=5, minutes=30), 17)
    assert by_zone["Nowhere/At_All"]["next_run_local"] is None


def test_list_names_window_last_run_and_what_it_leaves_out(table: Table) -> None:
    table.insert(
        next_run_at="'2031-07-01 22:00+00'",
        time_window_enabled="true",
        time_window_start="'22:00'",
        time_window_end="'02:00'",
        last_run_at="'2026-01-02 03:04+00'",
        last_run_status="'partial'",
    )
    table.insert(next_run_at="'2032-07-01 12:00+00'")
    shown = command.succeeds(table.run("list")).out
    assert "15 min, 22:00-02:00" in shown
    assert re.search(r"2026-01-02 03:04\)\s+partial", shown)
    assert "never" in shown
    first = command.succeeds(table.run("list", "-n", "1"))
    assert "2031" in first.out
    assert "2032" not in first.out
    assert "only the first 1 are listed" in first.err


def test_an_empty_table_is_an_empty_list(table: Table) -> None:
    assert table.listed() == []
    command.succeeds(table.run("list"))


def test_add_set_enable_disable_and_remove(table: Table) -> None:
    options = ("--every", "30", "--window", "22:00-02:00", "--timezone", "Europe/Paris", "--direction", "import",
               "--conflict-resolution", "manual", "--disabled")  # fmt: skip
    id_ = table.add(*options)
    row = table.row(id_)
    assert {
        name: row[name]
        for name in ("enabled", "frequency_minutes", "time_window_enabled", "time_window_start", "time_window_end",
                     "timezone", "direction", "conflict_resolution", "next_run_at")
    } == {
        "enabled": False, "frequency_minutes": 30, "time_window_enabled": True, "time_window_start": "22:00:00",
        "time_window_end": "02:00:00", "timezone": "Europe/Paris", "direction": "import",
        "conflict_resolution": "manual", "next_run_at": None,
    }  # fmt: skip

    command.succeeds(table.run("enable", id_))
    assert table.row(id_)["next_run_at"] is not None
    command.succeeds(table.run("set", id_, "--window", "none", "--every", "45"))
    row = table.row(id_)
    assert (row["time_window_enabled"], row["time_window_start"], row["frequency_minutes"]) == (False, None, 45)
    assert (row["timezone"], row["direction"]) == ("Europe/Paris", "import"), "what was not named stays"
    command.succeeds(table.run("disable", id_))
    assert (table.row(id_)["enabled"], table.row(id_)["next_run_at"]) == (False, None)

    other = table.add()
    assert "--yes" in " ".join(table.run("remove", id_).hints)
    assert len(table.contents()) == 2
    command.succeeds(table.run("remove", id_, "--yes"))
    assert [str(row[0]) for row in table.contents()] == [other]


def test_add_can_answer_in_json(table: Table) -> None:
    ids = ("--integration", str(uuid.uuid4()), "--organization", str(uuid.uuid4()))
    answer = command.succeeds(table.run("add", *ids, "--format", "json")).json()
    assert table.row(answer["id"])["enabled"] is True


BAD = {
    "frequency 0": (("--every", "0"), "frequency_minutes", "between 1 and 44640"),
    "frequency negative": (("--every", "-5"), "frequency_minutes", "between 1 and 44640"),
    "frequency above 31 days": (("--every", "44641"), "frequency_minutes", "between 1 and 44640"),
    "frequency beyond an integer": (("--every", "99999999999"), "frequency_minutes", "between 1 and 44640"),
    "frequency no number": (("--every", "often"), "--every", "valid integer"),
    "window without end": (("--window", "22:00"), "window", "START-END"),
    "window with an empty end": (("--window", "22:00-"), "window", "START-END"),
    "window with an empty start": (("--window", "-06:00"), "window", "START-END"),
    "window start = end": (("--window", "08:00-08:00"), "window", "different times"),
    "window of no times": (("--window", "morning-noon"), "window", "08:00-18:00"),
    "window with a zone": (("--window", "08:00+02:00-18:00"), "window", "START-END"),
    "zone unknown": (("--timezone", "Mars/Olympus"), "timezone", "Europe/Paris"),
    "zone abbreviation": (("--timezone", "EST"), "timezone", "Europe/Paris"),
    "zone offset": (("--timezone", "UTC+2"), "timezone", "Europe/Paris"),
    "zone empty": (("--timezone", ""), "timezone", "Europe/Paris"),
    "direction": (("--direction", "sideways"), "direction", "import, export or bidirectional"),
    "conflicts": (
        ("--conflict-resolution", "coin"),
        "conflict_resolution",
        "newest_wins, local_wins, remote_wins or manual",
    ),
}


def test_bad_settings_are_refused_by_add_and_set_and_nothing_changes(table: Table) -> None:
    id_ = table.add("--every", "20")
    before = table.contents()
    add = ("add", "--integration", str(uuid.uuid4()), "--organization", str(uuid.uuid4()))
    with cases.collected() as case:
        for (what, (arguments, column, allowed)), start in itertools.product(BAD.items(), (add, ("set", id_))):
            with case((start[0], what)):
                result = table.run(*start, *arguments)
                message = command.refused(result, 2) + " " + result.hints[0]
                assert column in message
                assert allowed in message
                assert table.contents() == before


def test_a_second_schedule_of_an_integration_is_refused(table: Table) -> None:
    integration = str(uuid.uuid4())
    arguments = ("--integration", integration, "--organization", OTHER)
    command.succeeds(table.run("add", *arguments))
    before = table.contents()
    result = table.run("add", *arguments)
    assert "one schedule per integration" in command.refused(result, 2)
    assert "schedules set" in result.hints[0]
    assert table.contents() == before


def test_an_id_that_is_none_is_refused(table: Table) -> None:
    table.add()
    before = table.contents()
    with cases.collected() as case:
        for name, *options in (("set", "--every", "5"), ("enable",), ("disable",), ("remove", "--yes")):
            with case(name):
                unknown = table.run(name, OTHER, *options)
                assert OTHER in command.refused(unknown, 2)
                assert "schedules list" in unknown.hints[0]
                assert "not the id of a schedule" in command.refused(table.run(name, "not-a-uuid", *options), 2)
                assert table.contents() == before


def test_set_without_a_setting_and_add_without_ids_are_refused(table: Table) -> None:
    id_ = table.add()
    result = table.run("set", id_)
    assert "nothing to change" in command.refused(result, 2)
    assert "set --help" in result.hints[0]
    assert "--integration" in command.refused(table.run("add", "--organization", OTHER), 2)
    assert "valid UUID" in command.refused(table.run("add", "--organization", OTHER, "--integration", "not-a-uuid"), 2)


def test_without_the_table_setup_is_named(blank: Cluster) -> None:
    for arguments in (("list",), ("enable", OTHER), ("add", "--integration", OTHER, "--organization", OTHER)):
        result = command.run("schedules", *arguments, database=blank.url())
        assert "no autosync schema" in command.refused(result, 5)
        assert "autosync-db setup" in result.hints[0]


def _preview(listener: Listener, *arguments: str) -> Result:
    result = command.run("schedules", "preview", *arguments, database=listener.database)
    assert not listener.was_called, "preview contacts no database"
    return result


def test_preview_shows_the_next_runs_without_a_database(listener: Listener) -> None:
    arguments = (
        "--every",
        "60",
        "--window",
        "22:00-00:00",
        "--timezone",
        "Europe/Paris",
        "--from",
        "2026-07-01",
        "-n",
        "3",
    )
    runs = command.succeeds(_preview(listener, *arguments, "--format", "json")).json()
    assert [run["at"] for run in runs] == [
        "2026-07-01T20:00:00+00:00",
        "2026-07-01T21:00:00+00:00",
        "2026-07-02T20:00:00+00:00",
    ]
    assert [datetime.fromisoformat(run["local"]).hour for run in runs] == [22, 23, 22]
    shown = command.succeeds(_preview(listener, *arguments)).out
    assert "2026-07-01 20:00:00" in shown
    assert "Wed 2026-07-01 22:00:00 CEST" in shown
    assert len(command.succeeds(_preview(listener, "--format", "json")).json()) == 10


def test_preview_says_what_clock_changes_do(listener: Listener) -> None:
    night = ("--every", "720", "--window", "02:30-04:00", "--timezone", "Europe/Paris")
    spring = command.succeeds(_preview(listener, *night, "--from", "2026-03-28", "-n", "3", "--format", "json")).json()
    notes = [run["note"] or "" for run in spring]
    assert notes[0] == ""
    assert any("clocks went forward 1:00" in note for note in notes[1:]), notes
    assert any("02:30 was skipped" in note for note in notes[1:]), notes
    autumn = command.succeeds(
        _preview(listener, "--every", "30", "--timezone", "Europe/Paris", "--from", "2026-10-25T00:00", "-n", "5")
    ).out
    assert "clocks went back 1:00" in autumn
    assert "the clocks show this time for the second time" in autumn


BAD_PREVIEWS = (
    (("--timezone", "EST"), "timezone"),
    (("--timezone", "Mars/Olympus"), "Mars/Olympus"),
    (("--timezone", "../../etc/passwd"), "timezone"),
    (("--every", "0"), "frequency_minutes"),
    (("--every", "44641"), "44640"),
    (("--window", "22:00"), "time window"),
    (("--window", "22:00-22:00"), "time window"),
    (("--count", "0"), "--count"),
    (("--from", "tomorrow"), "--from"),
    (("--from", "9999-12-31T23:00"), "9999"),
)


def test_preview_refuses_what_add_would_refuse(listener: Listener) -> None:
    with cases.collected() as case:
        for arguments, named in BAD_PREVIEWS:
            with case(arguments):
                assert named in command.refused(_preview(listener, *arguments), 2)
