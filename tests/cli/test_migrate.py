"""`migrate` and `rollback` on real databases."""

import itertools
import os
import subprocess
import tomllib
from pathlib import Path

import pytest
from alembic import command as alembic
from alembic.config import Config
from alembic.util import CommandError

from autosync_db import resources
from autosync_db.local.cluster import Cluster
from autosync_db.schema import revisions
from tests.cli.conftest import Listener
from tests.support import cases, clusters, command, keys
from tests.support.command import Result
from tests.support.dumps import contents, schema

PENDING = 5


def _run(cluster: Cluster, *arguments: str) -> Result:
    return command.run(*arguments, database=cluster.url())


def _apply(cluster: Cluster, script: str) -> None:
    done = subprocess.run(
        [str(cluster.installation.bin / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1"],
        env={**os.environ, **cluster.environment("postgres")},
        input=script,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def _edit(cluster: Cluster) -> None:
    with clusters.connect(cluster) as connection:
        connection.execute(
            "create or replace function autosync.excerpt(body text) returns text language sql immutable"
            " set search_path = '' as 'select body'"
        )


def test_check_exits_5_while_pending_then_0_and_changes_nothing(blank: Cluster) -> None:
    before = contents(blank)
    pending = _run(blank, "migrate", "--check")
    assert pending.code == PENDING
    assert f"{len(revisions.known())} revisions" in pending.errors[0]
    assert pending.hints == ["run: autosync-db migrate"]
    assert "0001" in pending.out
    assert contents(blank) == before

    command.succeeds(_run(blank, "migrate"))
    current = contents(blank)
    command.succeeds(_run(blank, "migrate", "--check"))
    assert contents(blank) == current


def test_dry_run_shows_the_plan_and_changes_nothing(blank: Cluster) -> None:
    before = contents(blank)
    shown = command.succeeds(_run(blank, "migrate", "--dry-run"))
    assert "functions, triggers and grants; -v lists them" in shown.out
    assert "autosync.dispatch" not in shown.out
    assert "autosync.dispatch" in command.succeeds(_run(blank, "migrate", "--dry-run", "-v")).out
    assert contents(blank) == before
    plan = command.succeeds(_run(blank, "migrate", "--dry-run", "--format", "json")).json()
    assert [step["id"] for step in plan["upgrades"]] == revisions.known()
    assert set(plan["objects"].values()) == {"missing"}


def test_a_job_of_somebody_that_has_the_name_of_housekeeping_is_named_with_the_way_to_rename_it(blank: Cluster) -> None:
    house = "autosync-keep-house"
    with clusters.connect(blank) as owner:
        owner.execute("create extension if not exists pg_cron")
        owner.execute("select cron.schedule(%s, '0 0 1 1 *', 'select 1')", [house])
        there = "select jobname, command from cron.job"
        before = owner.execute(there.encode()).fetchall()
        said = {command.refused(_run(blank, "migrate", "-q"), PENDING): True}
        for arguments in (("migrate", "--dry-run"), ("migrate", "--check")):
            shown = _run(blank, *arguments)
            assert shown.code == PENDING
            assert "do what is said of the job" in shown.hints[0]
            said[shown.errors[0]] = True
        assert all(house in one for one in said)
        assert owner.execute(there.encode()).fetchall() == before
        assert not owner.execute("select to_regnamespace('autosync')").fetchall()[0][0]
        Path("autosync.toml").write_text("")
        command.succeeds(_run(blank, "jobs", "import", "--write"))
        assert house not in tomllib.loads(Path("autosync.toml").read_text()).get("jobs", {})
        # as it is printed
        owner.execute(_run(blank, "migrate", "-q").hints[0].partition(": ")[2].encode())
        command.succeeds(_run(blank, "migrate"))
        assert owner.execute(
            "select c.command, c.schedule from cron.job as c where c.jobname in ('my-keep-house', %s) order by 1",
            [house],
        ).fetchall() == [("select 1", "0 0 1 1 *"), ("select autosync.keep_house()", "*/5 * * * *")]


def test_a_second_migration_changes_nothing(blank: Cluster) -> None:
    command.succeeds(_run(blank, "migrate"))
    before = contents(blank)
    second = command.succeeds(_run(blank, "migrate"))
    assert "nothing to do" in second.err
    assert contents(blank) == before


@pytest.mark.long
def test_a_schema_of_a_role_that_is_not_ours_is_refused_and_nothing_is_made_in_it(blank: Cluster) -> None:
    with clusters.connect(blank, "supabase_admin") as admin:
        admin.execute("create role outsider; create schema autosync authorization outsider")
        admin.execute("grant all on schema autosync to postgres")
        before = contents(blank)
        for role, arguments in itertools.product(
            ("postgres", "supabase_admin"), (("migrate",), ("migrate", "--dry-run"), ("migrate", "--check"))
        ):
            refused = command.refused(command.run(*arguments, database=blank.url(role)), PENDING)
            assert "the schema autosync belongs to the role outsider" in refused
        # plain Alembic looks for nothing beforehand
        with pytest.MonkeyPatch.context() as patch, resources.folder("alembic") as folder:
            patch.setenv("AUTOSYNC_DATABASE_URL", blank.url().reveal())
            plain = Config()
            plain.set_main_option("script_location", str(folder))
            with pytest.raises(CommandError, match="belongs to the role outsider"):
                alembic.upgrade(plain, "head")
        assert contents(blank) == before
        admin.execute("alter schema autosync owner to postgres")
    command.succeeds(_run(blank, "migrate"))


def test_an_edited_function_is_drift_until_migrate_repairs_it(migrated: Cluster) -> None:
    before = schema(migrated)
    _edit(migrated)
    edited = schema(migrated)
    assert edited != before
    drifted = _run(migrated, "migrate", "--check")
    assert drifted.code == PENDING
    assert "edited" in drifted.out
    assert "autosync.excerpt" in drifted.out
    assert "autosync.dispatch" not in drifted.out
    assert schema(migrated) == edited
    command.succeeds(_run(migrated, "migrate"))
    command.succeeds(_run(migrated, "migrate", "--check"))
    assert schema(migrated) == before


# each with what the drift is reported of
EDITS = (
    ("drop function autosync.excerpt(text) cascade", "autosync.excerpt"),
    ("drop trigger auto_sync_schedules_next_run_at on public.auto_sync_schedules", "next_run_at"),
    (
        "alter table public.auto_sync_schedules disable trigger auto_sync_schedules_next_run_at",
        "next_run_at",
    ),
    ("alter table public.pg_cron_secrets disable row level security", "public.pg_cron_secrets"),
    ("grant select on public.pg_cron_secrets to anon", "public.pg_cron_secrets"),
    ("grant usage on schema autosync to anon", "sql/access/autosync.sql"),
    ("select cron.unschedule('auto-sync-cron-job')", "auto-sync-cron-job"),
    ("select cron.schedule('auto-sync-cron-job', '* * * * *', 'select 1')", "auto-sync-cron-job"),
)


# what only other commands need, or other databases
SELDOM = {
    "alembic", "sqlalchemy", "jinja2", "httpx", "textual", "jwt", "tenacity", "pydantic_settings", "pglast",
    "vl_convert", "markdown_it", "pygments", "xml.etree.ElementTree", "autosync_db.report.as_junit",
    "autosync_db.health.audit",
}  # fmt: skip


def test_with_nothing_to_do_neither_alembic_nor_sqlalchemy_is_loaded(migrated: Cluster) -> None:
    with cases.collected() as case:
        # nobody has set it up, as verify says
        for name, code in {"migrate": 0, "status": 0, "verify": 3}.items():
            with case(name):
                done = command.run_process(name, database=migrated.url(), variables={"PYTHONPROFILEIMPORTTIME": "1"})
                assert done.code == code, done
                lines = done.err.splitlines()
                loaded = {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")}
                assert "psycopg" in loaded
                assert not SELDOM & loaded
                # what goes to a log needs none; the others print a table
                assert ("rich.console" in loaded) == (name != "migrate")


@pytest.mark.long
def test_whatever_is_edited_manually_is_drift(migrated: Cluster) -> None:
    before = schema(migrated)
    with cases.collected() as case:
        for statement, named in EDITS:
            with case(statement):
                with clusters.connect(migrated) as connection:
                    connection.execute(statement)
                drifted = _run(migrated, "migrate", "--check", "--format", "json")
                assert drifted.code == PENDING, drifted
                states = drifted.json()["objects"]
                assert {states[path] for path in states if named in path} & {"edited", "missing"}, states
                command.succeeds(_run(migrated, "migrate"))
                command.succeeds(_run(migrated, "migrate", "--check"))
                assert schema(migrated) == before


def test_sql_needs_no_database_and_calls_none(listener: Listener) -> None:
    unnamed = command.succeeds(command.run("migrate", "--sql"))
    assert "create table" in unnamed.out
    named = command.succeeds(command.run("migrate", "--sql", database=listener.database))
    assert named.out == unnamed.out
    assert not listener.was_called


@pytest.mark.long
def test_the_script_applied_by_psql_makes_the_schema_that_migrate_makes(blank: Cluster, migrated: Cluster) -> None:
    _apply(blank, command.succeeds(command.run("migrate", "--sql")).out)
    assert schema(blank) == schema(migrated)
    # it records what it applied, as migrate does
    command.succeeds(_run(blank, "migrate", "--check"))
    assert "nothing to do" in command.succeeds(_run(blank, "migrate")).err
    # the fixture gives its own job a schedule that does not disturb tests
    jobs = "select jobname, command, active from cron.job"
    with clusters.connect(blank) as scripted, clusters.connect(migrated) as direct:
        assert scripted.execute(jobs).fetchall() == direct.execute(jobs).fetchall() != []


def test_the_script_runs_in_one_transaction(blank: Cluster) -> None:
    before = contents(blank)
    script = command.succeeds(command.run("migrate", "--sql")).out
    done = subprocess.run(
        [str(blank.installation.bin / "psql"), "-X", "-q"],
        env={**os.environ, **blank.environment("postgres")},
        input=script.replace("create table autosync.invocation", "create table nonsense.invocation"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "nonsense" in done.stderr
    assert contents(blank) == before


def test_an_unknown_revision_is_refused(blank: Cluster) -> None:
    before = contents(blank)
    for arguments in (("migrate", "9999"), ("migrate", "9999", "--dry-run"), ("rollback", "nonsense")):
        message = command.refused(_run(blank, *arguments, "-q"), PENDING)
        assert "revision" in message
    assert contents(blank) == before


def test_a_database_of_a_newer_version_is_left_alone(migrated: Cluster) -> None:
    with clusters.connect(migrated) as connection:
        connection.execute("update autosync.alembic_version set version_num = '7000'")
    before = contents(migrated)
    for arguments in (("migrate",), ("migrate", "--check"), ("rollback", "base", "--yes")):
        assert "7000" in command.refused(_run(migrated, *arguments, "-q"), PENDING)
    assert contents(migrated) == before


def test_a_database_of_two_revisions_at_once_says_so_and_how_that_ends(migrated: Cluster) -> None:
    with clusters.connect(migrated) as connection:
        connection.execute("insert into autosync.alembic_version values ('0004')")
    before = contents(migrated)
    for arguments in (("migrate",), ("migrate", "--check"), ("migrate", "--dry-run"), ("rollback", "0004", "--yes")):
        refused = _run(migrated, *arguments, "-q")
        assert f"names 2 revisions at once: 0004, {revisions.head()}" in command.refused(refused, PENDING)
        remedy = refused.hints[0].removeprefix("run: ").partition("; then: ")
        assert remedy[2].startswith("autosync-db migrate"), remedy
    assert contents(migrated) == before
    shown = _run(migrated, "verify", "--only", "head_applied", "--format", "json").json()["checks"][0]
    assert remedy[0] in shown["remedy"], "verify prints the same"
    with clusters.connect(migrated) as connection:
        connection.execute(remedy[0].encode())
    command.succeeds(_run(migrated, "migrate", "--check"))


def test_what_an_event_trigger_of_somebodys_refuses_is_named_with_the_way_past_it(blank: Cluster) -> None:
    trigger = (
        "create function public.no_ddl() returns event_trigger language plpgsql as"
        " $$ begin raise exception 'changes go through review' {using}; end $$;"
        'create event trigger "Review" on {event} execute function public.no_ddl()'
    )
    cases = (
        ("ddl_command_start", "", (("migrate",), ("setup", "--project-url", "https://x.example", "--no-wait"))),
        ("ddl_command_end", "using errcode = 'insufficient_privilege'", (("migrate",),)),
        ("sql_drop", "", (("teardown", "--yes"), ("rollback", "base", "--yes"))),
        ("ddl_command_start", "", (("teardown", "--yes"), ("rollback", "base", "--yes"))),
    )
    for event, using, refusals in cases:
        if "teardown" in refusals[0]:
            command.succeeds(_run(blank, "migrate"))
        with clusters.connect(blank, "supabase_admin") as connection:
            connection.execute(trigger.format(event=event, using=using).encode())
            before = contents(blank)
            for arguments in refusals:
                variables = {"SUPABASE_SERVICE_ROLE_KEY": keys.secret().reveal()}
                done = command.run(*arguments, database=blank.url(), variables=variables)
                message = command.refused(done, PENDING)
                assert 'the event trigger "Review" refused a change of the schema: changes go through' in message
                assert contents(blank) == before, arguments
            remedy = done.hints[0]
            assert remedy.startswith('as supabase_admin run: alter event trigger "Review" disable; run this command')
            assert remedy.endswith('; then: alter event trigger "Review" enable')
            connection.execute(b'alter event trigger "Review" disable')
            command.succeeds(_run(blank, *refusals[-1]) if refusals[-1][0] != "setup" else _run(blank, "migrate"))
            connection.execute(b'drop event trigger "Review"; drop function public.no_ddl()')
            command.succeeds(_run(blank, "teardown", "--yes"))


def test_modes_exclude_each_other(listener: Listener) -> None:
    command.refused(command.run("migrate", "--check", "--sql", database=listener.database), 2)
    assert not listener.was_called


@pytest.mark.long
def test_migrate_to_a_revision_and_back_leaves_the_schema_of_that_revision(blank: Cluster) -> None:
    seen = {}
    for revision in ("0002", "0003", "0004"):
        command.succeeds(_run(blank, "migrate", revision))
        seen[revision] = schema(blank)
    command.succeeds(_run(blank, "migrate"))
    for revision in ("0004", "0003", "0002"):
        command.succeeds(_run(blank, "rollback", revision, "--yes"))
        assert schema(blank) == seen[revision], revision


OURS = """
select c.oid::regclass::text from pg_class as c
where c.relnamespace = to_regnamespace('autosync') and c.relkind in ('r', 'S', 'v')
    or c.oid in (to_regclass('public.pg_cron_secrets'), to_regclass('public.auto_sync_schedules'))
union all
select p.oid::regprocedure::text from pg_proc as p
where p.pronamespace = to_regnamespace('autosync') or p.proname like 'auto\\_sync%'
union all
select t.oid::regtype::text from pg_type as t
where t.typnamespace = to_regnamespace('autosync') and t.typrelid = 0 and t.typelem = 0
union all
select 'job ' || jobname from cron.job
"""


def test_rollback_to_base_leaves_only_the_version_table_behind(migrated: Cluster) -> None:
    command.succeeds(_run(migrated, "rollback", "base"))
    with clusters.connect(migrated) as connection:
        assert connection.execute(OURS).fetchall() == [("autosync.alembic_version",)]
        assert connection.execute("select count(*) from autosync.alembic_version").fetchone() == (0,)


@pytest.mark.long
def test_after_a_rollback_migrate_makes_the_same_again(migrated: Cluster) -> None:
    before = schema(migrated)
    command.succeeds(_run(migrated, "rollback", "base"))
    assert _run(migrated, "migrate", "--check").code == PENDING
    command.succeeds(_run(migrated, "migrate"))
    assert schema(migrated) == before


ROWS = (
    (
        "public.pg_cron_secrets",
        "insert into public.pg_cron_secrets (name, secret) values ('project_url', 'x')",
    ),
    (
        "public.auto_sync_schedules",
        "insert into public.auto_sync_schedules (integration_id, organization_id)"
        " values (gen_random_uuid(), gen_random_uuid())",
    ),
)


def test_rollback_refuses_to_drop_rows_without_yes(migrated: Cluster) -> None:
    for table, statement in ROWS:
        command.succeeds(_run(migrated, "migrate"))
        with clusters.connect(migrated) as connection:
            connection.execute(statement)
            # a tick between the two looks would write
            connection.execute("select cron.alter_job(c.jobid, active := false) from cron.job as c")
        before = contents(migrated)
        result = _run(migrated, "rollback", "base", "-q")
        assert table in command.refused(result, PENDING)
        assert "--yes" in result.hints[0]
        assert contents(migrated) == before
        command.succeeds(_run(migrated, "rollback", "base", "--yes"))
        with clusters.connect(migrated) as connection:
            assert connection.execute("select to_regclass(%s)", [table]).fetchone() == (None,)


def test_a_dry_run_of_a_rollback_says_what_it_would_do_and_does_nothing(migrated: Cluster) -> None:
    with clusters.connect(migrated, "supabase_admin") as connection:
        connection.execute("insert into public.pg_cron_secrets (name, secret) values ('extra', 'x')")
    before = contents(migrated)
    shown = command.succeeds(_run(migrated, "rollback", "base", "--dry-run"))
    assert f"would go {revisions.head()} -> base" in shown.err
    assert "public.pg_cron_secrets" in shown.err
    assert "needs --yes" in shown.err
    found = command.succeeds(_run(migrated, "rollback", "0005", "--dry-run", "--yes", "--format", "json")).json()
    assert (found["after"], found["revisions"]) == ("0005", ["0008", "0007", "0006"])
    assert "autosync.secret_change" in found["emptied"]
    assert "no way to revision" in command.refused(_run(migrated, "rollback", "9999", "--dry-run", "-q"), 5)
    assert contents(migrated) == before
    with clusters.connect(migrated, "supabase_admin") as connection:
        left = connection.execute(
            "select count(*) from pg_locks where locktype = 'advisory' or mode = 'AccessExclusiveLock'"
        ).fetchone()
    assert left == (0,), "it lets everything go"


def test_rollback_may_keep_tables_with_rows_that_it_does_not_drop(migrated: Cluster) -> None:
    with clusters.connect(migrated) as connection:
        connection.execute(
            "insert into public.auto_sync_schedules (integration_id, organization_id)"
            " values (gen_random_uuid(), gen_random_uuid())"
        )
    command.succeeds(_run(migrated, "rollback", "0004"))
    with clusters.connect(migrated) as connection:
        assert connection.execute("select count(*) from public.auto_sync_schedules").fetchone() == (1,)


def test_rollback_does_not_drop_the_history_of_the_secrets_unasked(migrated: Cluster) -> None:
    with clusters.connect(migrated) as connection:
        connection.execute("insert into public.pg_cron_secrets (name, secret) values ('project_url', 'x')")
    assert "autosync.secret_change" in command.refused(_run(migrated, "rollback", "0005", "-q"), 5)
    command.succeeds(_run(migrated, "rollback", "0005", "--yes"))
    with clusters.connect(migrated) as connection:
        assert connection.execute("select secret from public.pg_cron_secrets").fetchone() == ("x",)


@pytest.mark.long
def test_json_says_what_was_done(blank: Cluster) -> None:
    done = command.succeeds(_run(blank, "migrate", "--format", "json")).json()
    assert (done["before"], done["after"]) == (None, revisions.head())
    assert "sql/functions/autosync.dispatch.sql" in done["objects"]
    again = command.succeeds(_run(blank, "migrate", "--format", "json")).json()
    assert (again["before"], again["revisions"], again["objects"]) == (revisions.head(), [], [])
    back = command.succeeds(_run(blank, "rollback", "base", "--format", "json")).json()
    assert (back["before"], back["after"]) == (revisions.head(), None)


def test_a_failure_does_not_show_the_row_that_caused_it(migrated: Cluster) -> None:
    canary = keys.secret()
    with clusters.connect(migrated) as connection:
        connection.execute("alter table public.pg_cron_secrets add constraint short check (length(secret) < 9)")
    result = command.run(
        "setup",
        "--project-url",
        "http://127.0.0.1:9",
        "--no-wait",
        "-vv",
        database=migrated.url(),
        variables={"SUPABASE_SERVICE_ROLE_KEY": canary.reveal()},
    )
    assert result.code != 0
    assert "Traceback" in result.err, "the server's own words are only shown by -vv"
    assert canary.reveal() not in result.out + result.err


def test_the_data_api_reads_the_schema_again(blank: Cluster) -> None:
    with clusters.connect(blank) as listening:
        listening.execute("listen pgrst")
        command.succeeds(command.run("migrate", database=blank.url()))
        heard = [notice.payload for notice in listening.notifies(timeout=10, stop_after=1)]
        assert heard == ["reload schema"]
        # nothing has changed, and nothing is sent
        command.succeeds(command.run("migrate", database=blank.url()))
        assert list(listening.notifies(timeout=0.2)) == []
