"""`schedules show` and `run`, ids by their beginning, and a list for a narrow terminal."""

import io
import itertools
import re
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from rich.cells import cell_len
from rich.console import Console

from autosync_db.connection import connect, value
from autosync_db.jobs import calls
from autosync_db.report import as_schedules
from autosync_db.schedules import table
from tests.cli.conftest import Project
from tests.support import cases, clusters, command, keys
from tests.support.command import Result
from tests.support.http_stub import Request


@dataclass
class Function:
    """Stands for the deployed function: each call claims what is due and completes it, by the database's functions."""

    project: Project
    admin: psycopg.Connection[Any]
    batch: int = 50
    rounds: int = 10
    fails: set[str] = field(default_factory=set)
    ran: list[str] = field(default_factory=list)
    before_completion: Callable[[], None] = lambda: None

    def __call__(self, request: Request) -> int:
        """Work as the shipped function does, and answer 200."""
        with clusters.connect(self.project.cluster, "supabase_admin") as connection:
            for _ in range(self.rounds):
                claimed = connection.execute(
                    "select c.id, c.claim_id from public.auto_sync_claim(%s) as c", [self.batch]
                ).fetchall()
                for id, claim_id in claimed:
                    self.ran.append(str(id))
                    self.before_completion()
                    failed = str(id) in self.fails
                    summary = '{"errors": 1, "error": "device\\u001b[31m unreachable"}' if failed else '{"synced": 3}'
                    connection.execute(
                        "select from public.auto_sync_complete(%s, %s, %s, %s)",
                        [id, "failed" if failed else "success", summary, claim_id],
                    )
        return 200

    def schedules(self, *arguments: str) -> Result:
        """Run `schedules ...` on the project."""
        return self.project.run("schedules", *arguments)

    def add(self, *arguments: str) -> str:
        """Add a schedule that ran already and is next due in an hour."""
        ids = ("--integration", str(uuid.uuid4()), "--organization", str(uuid.uuid4()))
        id = command.succeeds(self.schedules("add", *ids, "--every", "60", *arguments)).out.strip()
        self.admin.execute("select from public.auto_sync_complete(%s, 'success')", [id])
        return id

    def row(self, id: str) -> dict[str, Any]:
        """Return a schedule as it is stored."""
        [(found,)] = self.admin.execute(
            "select to_jsonb(s) from public.auto_sync_schedules as s where s.id = %s", [id]
        ).fetchall()
        return dict(found)


@pytest.fixture
def function(project: Project) -> Iterator[Function]:
    """A project without schedules; its function was not called yet, and has no key."""
    with clusters.connect(project.cluster, "supabase_admin") as admin:
        admin.execute("truncate public.auto_sync_schedules")
        made = Function(project, admin)
        yield made
        admin.execute("truncate public.auto_sync_schedules")


@pytest.fixture
def called(function: Function) -> Function:
    """A project that is set up."""
    command.succeeds(function.project.setup())
    function.project.stub.requests.clear()
    function.project.stub.judge = function
    return function


def test_run_makes_one_schedule_due_and_says_what_came_of_it(called: Function) -> None:
    others = [called.add() for _ in range(3)]
    chosen, failing = called.add(), called.add()
    called.fails.add(failing)
    before = {id: called.row(id) for id in others}
    found = command.succeeds(called.schedules("run", chosen[:8], "--format", "json")).json()
    assert called.ran == [chosen]
    assert (found["has_run"], found["schedule"]["last_run_status"]) == (True, "success")
    assert [call["status_code"] for call in found["calls"]] == [200]
    assert len(called.project.stub.requests) == 1

    failed = called.schedules("run", failing)
    assert failed.code == 3
    assert "failed: device [31m unreachable" in failed.out, "and no character that a terminal would obey"
    assert "device" in failed.errors[0]
    assert called.ran == [chosen, failing]
    assert {id: called.row(id) for id in others} == before, "nobody else's run is touched"
    shown = command.succeeds(called.schedules("show", failing)).out
    assert "failing x1" in shown
    assert "device" in shown
    [listed] = [line for line in command.succeeds(called.schedules("list")).out.splitlines() if failing in line]
    assert "failed: device" in listed


@pytest.mark.long
def test_run_goes_before_what_is_due_and_those_run_as_at_any_tick(called: Function) -> None:
    first, chosen = called.add(), called.add()
    called.admin.execute(
        "insert into public.auto_sync_schedules (integration_id, organization_id, enabled)"
        " select gen_random_uuid(), gen_random_uuid(), true from generate_series(1, 3)"
    )
    called.batch, called.rounds = 1, 1
    command.succeeds(called.schedules("run", chosen))
    assert called.ran == [chosen]
    assert len(called.project.stub.requests) == 1
    # one that was claimed and never completed waits long for its next try, but not when somebody asks
    called.admin.execute(
        "update public.auto_sync_schedules set enabled = false where id not in (%s, %s)", [first, chosen]
    )
    called.admin.execute(
        "update public.auto_sync_schedules set claims_since_run = 4, claim_retry_at = now() + interval '6 hours'"
        " where id = %s",
        [chosen],
    )
    called.rounds = 3
    command.succeeds(called.schedules("run", chosen))
    assert called.ran == [chosen, chosen]


@pytest.mark.long
def test_run_is_refused_where_it_may_not_run_and_changes_nothing(called: Function) -> None:
    now = "now() at time zone 'UTC'"
    shut = called.add()
    called.admin.execute(
        "update public.auto_sync_schedules set time_window_enabled = true,"
        f" time_window_start = ({now} + interval '2 hours')::time, time_window_end = ({now} + interval '3 hours')::time"
        " where id = %s".encode(),
        [shut],
    )
    disabled, claimed = called.add(), called.add()
    command.succeeds(called.schedules("disable", disabled))
    called.admin.execute(
        "update public.auto_sync_schedules set claim_id = gen_random_uuid(), claimed_at = now(),"
        " claim_expires_at = now() + interval '10 minutes' where id = %s",
        [claimed],
    )
    before = {id: called.row(id) for id in (shut, disabled, claimed)}
    refusals = {
        shut: ("time window", "--window none"),
        disabled: ("is disabled", "schedules enable"),
        claimed: ("being run already", "schedules show"),
    }
    with cases.collected() as case:
        for id, (said, hint) in refusals.items():
            with case(said):
                result = called.schedules("run", id)
                assert said in command.refused(result, 2)
                assert hint in result.hints[0]
                assert called.row(id) == before[id]
        with case("paused job"):
            fine = called.add()
            command.succeeds(called.project.run("jobs", "pause"))
            try:
                result = called.schedules("run", fine)
            finally:
                command.succeeds(called.project.run("jobs", "resume"))
            assert "paused" in command.refused(result, 2)
            assert "jobs resume" in result.hints[0]
    assert called.project.stub.requests == [], "no call was made"


@pytest.mark.long
def test_run_says_why_the_schedule_was_not_run(called: Function) -> None:
    id = called.add()
    called.project.stub.judge = None
    called.project.stub.answer(401, {"message": "Invalid API key"})
    refused = called.schedules("run", id)
    assert refused.code == 3
    assert "401" in refused.errors[0]
    assert "verify" in refused.hints[0]
    called.project.stub.answer(200)
    idle = called.schedules("run", id)
    assert idle.code == 3
    assert "did not run this schedule" in idle.errors[0]
    assert command.succeeds(called.schedules("show", id, "--format", "json")).json()["state"] == "due", "it stays due"
    # the outcome is waited for while a claim stands, also after the answer
    called.project.stub.judge = called
    called.before_completion = lambda: time.sleep(0.5)
    command.succeeds(called.schedules("run", id))


def test_run_waits_for_no_call_of_a_tick_that_makes_none(called: Function, monkeypatch: pytest.MonkeyPatch) -> None:
    id = called.add()
    tick = "insert into autosync.tick (job_id, caller, due, decision) values (1, 'me', 1, 'backlogged') returning id"
    monkeypatch.setattr(calls, "trigger", lambda connection, name, force: value(connection, tick))
    refused = called.schedules("run", id)
    assert (refused.code, refused.errors) == (3, ["no call was made, the tick is backlogged"])
    assert "waiting" not in refused.err


def test_a_change_prints_the_schedule(function: Function) -> None:
    id = function.add()
    for typed in (("disable", id), ("enable", id), ("set", id, "--every", "30")):
        changed = command.succeeds(function.schedules(*typed, "--format", "json")).json()
    assert (changed["id"], changed["enabled"], changed["frequency_minutes"]) == (id, True, 30)
    removed = command.succeeds(function.schedules("remove", id, "--yes", "--format", "json")).json()
    assert removed == {"id": id, "outcome": "deleted"}


def test_nobody_sets_the_next_run_but_run(function: Function) -> None:
    one, other = function.add(), function.add()
    before = {id: function.row(id)["next_run_at"] for id in (one, other)}
    with function.admin.transaction():
        function.admin.execute("select autosync.make_due(%s)", [one])
        function.admin.execute("update public.auto_sync_schedules set next_run_at = now() - interval '1 day'")
    assert function.row(other)["next_run_at"] == before[other]
    assert function.row(one)["next_run_at"] < before[one]
    # who has the service role may set any variable: it moves that row alone, and nobody of the API may
    with function.admin.transaction():
        function.admin.execute("set local role authenticated")
        function.admin.execute("select set_config('autosync.make_due', %s, true)", [other])
        with pytest.raises(psycopg.errors.InsufficientPrivilege), function.admin.transaction():
            function.admin.execute("select autosync.make_due(%s)", [other])


@pytest.mark.long
def test_the_beginning_of_an_id_is_enough_unless_it_is_that_of_several(function: Function) -> None:
    ids = ("aaaa1111-0000-4000-8000-000000000001", "aaaa1111-0000-4000-8000-000000000002", function.add())
    for id in ids[:2]:
        function.admin.execute(
            "insert into public.auto_sync_schedules (id, integration_id, organization_id, enabled)"
            " values (%s, gen_random_uuid(), gen_random_uuid(), true)",
            [id],
        )
    unique = ids[2]
    with cases.collected() as case:
        for text in (unique, unique[:4], unique[:13], unique.upper()[:10], unique.replace("-", ""), "{" + unique + "}"):
            with case(text):
                # four characters are those of another in one run of 16,000
                shown = command.succeeds(function.schedules("show", text, "--format", "json")).json()
                assert shown["id"] == unique
        for name, *options in (
            ("show",),
            ("set", "--every", "5"),
            ("enable",),
            ("disable",),
            ("remove", "--yes"),
            ("run",),
        ):
            with case(name):
                several = function.schedules(name, "AAAA1111", *options)
                message = command.refused(several, 2)
                assert all(id in message for id in ids[:2])
                assert "more characters" in several.hints[0]
                assert "no schedule ffff" in command.refused(function.schedules(name, "ffffffff", *options), 2)
                for text in ("aaa", "wxyz", "%", "aaaa'--"):
                    short = function.schedules(name, text, *options)
                    assert "is not the id of a schedule" in command.refused(short, 2)
                    assert "at least 4" in short.hints[0]
    assert function.admin.execute("select count(*) from public.auto_sync_schedules").fetchone() == (3,)


def test_the_list_fits_eighty_columns_with_ids_that_can_be_used(function: Function) -> None:
    ids = [function.add("--window", "22:00-02:00") for _ in range(5)]
    function.admin.execute(
        "update public.auto_sync_schedules set frequency_minutes = 44640, consecutive_failures = 12,"
        " last_run_status = 'failed', last_run_summary = %s",
        ['{"errors": 2, "error": "' + "http 500: 器 failed with many words; " * 9 + '"}'],
    )
    function.admin.execute("update public.auto_sync_schedules set last_run_summary = %s where id = %s", ["[3]", ids[0]])
    with connect(function.project.cluster.url()) as connection:
        found = table.find(connection)
    out = io.StringIO()
    as_schedules.listed(found, Console(file=out, width=80, highlight=False), datetime.now(UTC))
    lines = out.getvalue().splitlines()
    assert max(map(cell_len, lines)) <= 80
    for id in ids:
        [place] = [place for place, line in enumerate(lines) if line.startswith(id[:8])]
        line, row = lines[place], function.row(id)
        block = " ".join([line, *itertools.takewhile(lambda more: more.startswith(" "), lines[place + 1 :])])
        assert row["integration_id"][:8] in block
        assert row["organization_id"][:8] in block
        assert ("http 500: 器 failed" in block) == (id != ids[0])
        shown = command.succeeds(function.schedules("show", line.split()[0], "--format", "json")).json()
        assert shown["id"] == id
    piped = command.succeeds(function.schedules("list")).out
    assert all(id in piped and function.row(id)["integration_id"] in piped for id in ids)


def test_a_key_in_what_a_function_reported_is_not_shown(function: Function) -> None:
    id, key = function.add(), keys.secret().reveal()
    function.admin.execute(
        "update public.auto_sync_schedules set last_run_status = 'failed', last_run_summary ="
        " jsonb_build_object('error', %s::text, 'more', jsonb_build_array(%s::text)) where id = %s",
        [f"refused {key}", key, id],
    )
    for arguments in (("list",), ("list", "--format", "json"), ("show", id), ("show", id, "--format", "json")):
        shown = command.succeeds(function.schedules(*arguments)).out
        assert key not in shown
        assert re.search(r"refused \*\*\*", shown)
