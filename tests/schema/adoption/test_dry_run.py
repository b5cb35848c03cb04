"""`migrate --dry-run` says beforehand what becomes of what is there, and it is so."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from autosync_db import resources
from autosync_db.local.cluster import Cluster
from autosync_db.schema import adoption as questions
from autosync_db.schema import inventory, migrate, revisions
from autosync_db.schema.inventory import Note
from tests.schema import catalog
from tests.schema.adoption import conftest
from tests.schema.adoption.conftest import Adoption
from tests.support import clusters, command, keys

TABLES = ("public.pg_cron_secrets", "public.auto_sync_schedules")
SCHEDULES = TABLES[1]


def details_of(plan: migrate.MigrationPlan, action: str) -> dict[str, set[str]]:
    """Return the details of one action by object."""
    found: dict[str, set[str]] = {}
    for change in plan.adoption:
        if change.action == action:
            found.setdefault(change.object, set()).add(change.detail)
    return found


def names(cluster: Cluster, query: str) -> set[str]:
    with clusters.connect(cluster) as connection:
        return {str(row[0]) for row in connection.execute(query.encode())}


def things(cluster: Cluster) -> dict[str, set[str]]:
    """Return the names of everything on the two tables, by kind."""
    of = "in ('public.pg_cron_secrets'::regclass, 'public.auto_sync_schedules'::regclass)"
    return {
        "index": names(cluster, f"select indexrelid::regclass::text from pg_index where indrelid {of}"),
        # from PostgreSQL 18 on the not null of a column is one, too
        "constraint": names(cluster, f"select conname from pg_constraint where conrelid {of} and contype <> 'n'"),
        "trigger": names(cluster, f"select tgname from pg_trigger where tgrelid {of} and not tgisinternal"),
        "column": names(cluster, f"select attname from pg_attribute where attrelid {of} and not attisdropped"),
        "policy": names(cluster, f"select polname from pg_policy where polrelid {of}"),
        "function": names(cluster, "select oid::regprocedure from pg_proc where pronamespace = 'public'::regnamespace"),
    }


def test_who_loses_what_is_foretold_exactly(adoption: Adoption) -> None:
    shown = {change for change in adoption.plan.adoption if change.action == "revoke"}
    real = {
        change
        for table in TABLES
        for change in inventory.revocations(table, adoption.before.privileges[table], adoption.after.privileges[table])
    }
    assert shown == real
    assert len(shown) > 5


def test_nobody_gains_a_privilege(adoption: Adoption) -> None:
    for table in TABLES:
        gained = adoption.after.privileges[table] - adoption.before.privileges[table]
        # those who had the whole table had what they have of a new column
        new = {"timezone"} if table == SCHEDULES else set()
        assert {held for held in gained if held.role != "service_role" and held.column not in new} == set()


def test_what_it_keeps_adds_and_removes_is_so(adoption: Adoption) -> None:
    after = things(adoption.cluster)
    seen = {"index": 0, "constraint": 0, "trigger": 0, "function": 0}
    for change in adoption.plan.adoption:
        kind, _, name = change.object.partition(" ")
        if kind not in seen:
            continue
        seen[kind] += 1
        name = name.removeprefix("public.")
        there = name in {one.removeprefix("public.") for one in after[kind]}
        gone = change.action == "remove" or (change.action == "replace" and kind == "trigger")
        assert there is not gone, change
    assert all(count > 1 for count in seen.values()), seen
    added = {detail.removeprefix("column ") for detail in details_of(adoption.plan, "add")[SCHEDULES]}
    claiming = {
        "claim_id",
        "claimed_at",
        "claim_expires_at",
        "claims_since_run",
        "claim_retry_at",
        "completed_claim_id",
    }
    assert added == {"timezone", *claiming, "consecutive_failures"} <= after["column"]
    kept = {detail for details in details_of(adoption.plan, "keep").values() for detail in details}
    assert {"column notes of your own", "column priority of your own", "column description of your own"} <= kept
    assert "13 rows, with their ids" in kept


def test_nothing_that_was_there_is_left_unsaid(adoption: Adoption, open_template: Cluster) -> None:
    """Whatever differs afterwards, but for rows, was named before."""
    with conftest.copied(open_template) as copy:
        with clusters.connect(copy) as owner:
            owner.execute(conftest.EXTRAS.encode())
        before, after = things(copy), things(adoption.cluster)
    named = " ".join(f"{change.object} {change.detail}" for change in adoption.plan.adoption)
    ours = {"auto_sync_schedules_organization", "auto_sync_schedules_next_run_at", "pg_cron_secrets_nobody"}
    for kind in before:
        gone, new = before[kind] - after[kind], after[kind] - before[kind]
        if kind in ("function", "trigger"):
            new = set()  # ours, which are listed as objects
        assert [name for name in gone | new - ours if name.removeprefix("public.") not in named] == [], kind


def test_fixed_rows_are_named(adoption: Adoption) -> None:
    fixed = details_of(adoption.plan, "fix")[SCHEDULES]
    expected = {
        "frequencies are brought": ("10", "11"), "windows with start = end": ("12",), "next runs of disabled": ("03",),
        "enabled schedules that had no next run": ("08", "09"),
    }  # fmt: skip
    assert len(fixed) == len(expected)
    for words, numbers in expected.items():
        (line,) = [line for line in fixed if line.startswith(words)]
        assert line.count("-00000000d0") == len(numbers)
        assert all(f"00000000d0{number}" in line for number in numbers)


def test_our_checks_are_known_as_the_server_shows_them(transaction: psycopg.Connection[Any]) -> None:
    shown = transaction.execute(
        "select conname, pg_get_constraintdef(oid) from pg_constraint"
        " where conrelid = 'public.auto_sync_schedules'::regclass and contype = 'c'"
    ).fetchall()
    expected = {check["name"]: check["shown"] for check in questions.ask(transaction, "checks") if "shown" in check}
    assert {name: text for name, text in shown if name in expected} == expected
    assert expected


def test_it_is_shown_as_a_table_and_as_json_and_changes_nothing(deployed: Cluster) -> None:
    before, sums = catalog.snapshot(deployed), conftest.checksums(deployed)
    table = command.succeeds(command.run("migrate", "--dry-run", database=deployed.url()))
    assert "trigger trigger_update_auto_sync_next_run: by auto_sync_schedules_next_run_at" in table.out
    assert "cron job auto-sync-cron-job: job 1 with its schedule */5 * * * *" in table.out
    plan = command.succeeds(command.run("migrate", "--dry-run", "--format", "json", database=deployed.url())).json()
    assert {
        "action": "replace",
        "object": "trigger trigger_update_auto_sync_next_run",
        "detail": "by auto_sync_schedules_next_run_at",
    } in plan["adoption"]
    assert (catalog.snapshot(deployed), conftest.checksums(deployed)) == (before, sums)


def test_a_fresh_database_has_nothing_to_adopt(blank: Cluster) -> None:
    assert migrate.plan(blank.url()).adoption == []


@pytest.fixture(scope="module")
def running(open_template: Cluster) -> Iterator[Cluster]:
    """A running cluster in the deployed state, for what is rolled back."""
    with conftest.copied(open_template) as copy:
        yield copy


@pytest.fixture
def field(running: Cluster) -> Iterator[psycopg.Connection[Any]]:
    """A connection to a project in the deployed state, in a transaction that is rolled back."""
    with psycopg.connect(running.url().reveal()) as connection:
        try:
            yield connection
        finally:
            connection.rollback()


KEPT = {
    "a narrower check of the name that ours has": (
        "update public.auto_sync_schedules set frequency_minutes = 15 where frequency_minutes not in (5, 15, 60, 120);"
        "alter table public.auto_sync_schedules add constraint auto_sync_schedules_frequency_minutes_check"
        " check (frequency_minutes in (5, 15, 60, 120))",
        Note(
            "keep",
            "constraint auto_sync_schedules_frequency_minutes_check",
            "under the name auto_sync_schedules_frequency_minutes_check_before, beside ours",
        ),
    ),
    "a function of the old trigger that others use": (
        "create function public.mine() returns timestamptz language plpgsql as"
        " $$ begin return calculate_next_run(5, false, null, null); end $$",
        Note(
            "keep",
            "function public.calculate_next_run(integer,boolean,time without time zone,time without time zone)",
            "public.mine() uses it",
        ),
    ),
    "a trigger of one's own that writes what is ours": (
        "create function public.push() returns trigger language plpgsql as"
        " $$ begin new.next_run_at := now() + interval '1 year'; return new; end $$;"
        "create trigger zz before update on public.auto_sync_schedules for each row execute function public.push()",
        Note("keep", "trigger zz", "public.push(), which speaks of next_run_at: look at it"),
    ),
}


@pytest.mark.parametrize("what", KEPT)
def test_what_a_human_should_know_is_said(what: str, field: psycopg.Connection[Any]) -> None:
    statements, expected = KEPT[what]
    field.execute(statements.replace("{key}", keys.legacy().reveal()).encode())
    assert expected in inventory.notes(field, revisions.known())


REFUSED = {
    "another type": (
        "alter table public.auto_sync_schedules alter column device_tags type text using device_tags::text",
        (SCHEDULES, "column device_tags is text, not text[]"),
    ),
    "a missing column": (
        "alter table public.auto_sync_schedules drop column conflict_resolution, drop column only_online",
        (SCHEDULES, "column conflict_resolution is missing (text); column only_online is missing (boolean)"),
    ),
    "a column that may be null": (
        "alter table public.auto_sync_schedules alter column enabled drop not null",
        (SCHEDULES, "column enabled may be null"),
    ),
    "no primary key": (
        "alter table public.auto_sync_schedules drop constraint auto_sync_schedules_pkey",
        (SCHEDULES, "has no primary key on id alone"),
    ),
    "integrations that may repeat": (
        "alter table public.auto_sync_schedules drop constraint auto_sync_schedules_integration_id_key",
        (SCHEDULES, "has no unique index on integration_id alone"),
    ),
    "a half-applied adoption": (
        "alter table public.auto_sync_schedules add column claim_id text, add column timezone text",
        (SCHEDULES, "column timezone may be null; column claim_id is text, not uuid"),
    ),
    "a view": (
        "alter table public.auto_sync_schedules rename to old; create view public.auto_sync_schedules as table old",
        (SCHEDULES, "is a view"),
    ),
    "a value that is not known": (
        "alter table public.auto_sync_schedules drop constraint auto_sync_schedules_direction_check;"
        "update public.auto_sync_schedules set direction = 'sideways' where id::text like '%01'",
        (
            SCHEDULES,
            "direction of 1 rows has a value that is not known, e.g. 'sideways' in the row"
            " 00000000-0000-4000-8000-00000000d001",
        ),
    ),
    "a zone that is none": (
        "alter table public.auto_sync_schedules add column timezone text not null default 'Mars/Olympus'",
        (
            SCHEDULES,
            "timezone of 13 rows is no IANA name, e.g. 'Mars/Olympus' in the row 00000000-0000-4000-8000-00000000d001",
        ),
    ),
    "secrets under other names": (
        "alter table public.pg_cron_secrets rename column secret to value",
        (
            "public.pg_cron_secrets",
            "column secret is missing (text)",
        ),
    ),
    "secrets that need more": (
        "alter table public.pg_cron_secrets add column environment text not null default 'x';"
        "alter table public.pg_cron_secrets alter column environment drop default",
        ("public.pg_cron_secrets", "column environment needs a value that nobody knows"),
    ),
    "a function of a name of ours": (
        "create function public.auto_sync_claim(integer, interval) returns integer language sql as 'select 1'",
        ("function public.auto_sync_claim(integer, interval)", "exists already and is not of this package"),
    ),
    "a schema of our name": (
        "create schema autosync; create table autosync.mine ()",
        ("schema autosync", "holds mine, which is not of this package"),
    ),
    "a second job": (
        "select cron.schedule('again', '* * * * *',"
        " $$select net.http_post(url := 'https://x.example/functions/v1/auto-sync-cron')$$)",
        (
            "cron job again",
            "job 2 (* * * * *, role postgres) calls the same function: end it with: select cron.unschedule(2)",
        ),
    ),
    "a job without a name": (
        "select cron.schedule('* * * * *', $$select net.http_post('https://x.example/functions/v1/auto-sync-cron')$$)",
        (
            "cron job (unnamed)",
            "job 2 (* * * * *, role postgres) calls the same function: end it with: select cron.unschedule(2)",
        ),
    ),
    "the job under another name": (
        "select cron.schedule('sync', schedule, command), cron.unschedule('auto-sync-cron-job') from cron.job",
        (
            "cron job sync",
            "job 2 (*/5 * * * *, role postgres) calls the same function: end it with: select cron.unschedule(2)",
        ),
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_adopted_is_refused_with_its_differences(what: str, field: psycopg.Connection[Any]) -> None:
    statements, (name, detail) = REFUSED[what]
    field.execute(statements.encode())
    newest = field.execute("select max(jobid) from cron.job").fetchone()
    assert newest is not None
    expected = detail.replace("job 2 (", f"job {newest[0]} (").replace("unschedule(2)", f"unschedule({newest[0]})")
    found = inventory.notes(field, revisions.known())
    assert Note("refuse", name, expected) in found
    assert {change.action for change in found} == {"refuse"}
    # and the revisions themselves say the same
    questions.prepare(field, revisions.known())
    questions.ask(field, "refusals")
    with pytest.raises(psycopg.errors.InvalidTableDefinition) as refused:
        field.execute(resources.read("alembic/adoption/refuse.sql").encode())
    assert f"{name}: {expected}" in str(refused.value)


def test_near_misses_are_adopted(field: psycopg.Connection[Any]) -> None:
    for statement in (
        # a function with other arguments, a job of another function, our own schema after a rollback
        "create function public.auto_sync_claim(text) returns integer language sql as 'select 1'",
        "select cron.schedule('other', '* * * * *', $$select net.http_post('https://x/functions/v1/auto-sync-cron-b')$$)",
        "create schema autosync; create table autosync.alembic_version (version_num text)",
        "alter table public.pg_cron_secrets drop column created_at",
        "alter table public.auto_sync_schedules add column timezone text not null default 'Europe/Paris'",
        "create unique index one on public.auto_sync_schedules (integration_id);"
        "alter table public.auto_sync_schedules drop constraint auto_sync_schedules_integration_id_key",
    ):
        field.execute(statement.encode())
    assert "refuse" not in {note.action for note in inventory.notes(field, revisions.known())}


@pytest.mark.parametrize("arguments", [("migrate",), ("migrate", "--dry-run"), ("setup", "--no-wait")])
def test_a_refusal_exits_5_names_everything_and_changes_nothing(arguments: tuple[str, ...], running: Cluster) -> None:
    with clusters.connect(running) as owner:
        owner.execute("alter table public.auto_sync_schedules alter column enabled drop not null")
        owner.execute("alter table public.pg_cron_secrets alter column secret drop not null")
        try:
            before = catalog.snapshot(running)
            result = command.run(*arguments, "-q", database=running.url())
            assert result.code == 5, result
            assert len(result.errors) == 1
            assert "public.auto_sync_schedules: column enabled may be null" in result.errors[0]
            assert "public.pg_cron_secrets: column secret may be null" in result.errors[0]
            assert result.hints
            assert catalog.snapshot(running) == before
        finally:
            owner.execute("alter table public.auto_sync_schedules alter column enabled set not null")
            owner.execute("alter table public.pg_cron_secrets alter column secret set not null")
