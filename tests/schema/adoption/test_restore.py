"""Restores and copies, made by pg_dump, pg_restore and copying files: a copy says so and calls no foreign function."""

import dataclasses
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

from autosync_db import config
from autosync_db.health import verify
from autosync_db.health.model import CheckResult, Status
from autosync_db.local.cluster import Cluster
from autosync_db.schema import migrate
from tests.support import clusters, command, keys
from tests.support.command import Result

REF = keys.PROJECT_REF
OTHER = REF[::-1]
CHECK = "database_is_the_bound_one"
RARELY = {"AUTOSYNC_JOB__SCHEDULE": "59 23 31 12 *"}
ROWS = "select * from public.auto_sync_schedules order by id"
JOBS = "select jobname, schedule, command, username, active from cron.job"


def setup(cluster: Cluster, ref: str, *arguments: str) -> Result:
    """Set a database up for a project, without a call."""
    return command.run(
        "setup", "--no-wait", "--project-ref", ref, "--service-role-key-file", "-", *arguments,
        database=cluster.url(), variables=RARELY, stdin=keys.legacy(ref=ref).reveal(),
    )  # fmt: skip


def judged(cluster: Cluster, project_url: str | None = None) -> dict[str, CheckResult]:
    """Return the verdicts on the binding and on the key, first in the order of the report."""
    found = config.load(config.Flags(database_url=cluster.url()))
    target = dataclasses.replace(found.target, project_url=project_url)
    with clusters.connect(cluster) as connection:
        report = verify.run(connection, dataclasses.replace(found, target=target))
    return {result.id: result for result in (*report.root_causes, *report.results)}


def tick(cluster: Cluster) -> str:
    """Make a tick as pg_cron does; return what it would write down."""
    with clusters.connect(cluster) as connection:
        try:
            connection.execute("select autosync.dispatch()")
        except psycopg.Error as error:
            return f"failed: {error.diag.message_primary}"
        return "succeeded"


def queued(cluster: Cluster) -> list[Any]:
    with clusters.connect(cluster) as connection:
        return connection.execute("select url from net.http_request_queue order by id").fetchall()


@pytest.fixture(scope="module")
def source(migrated_template: Cluster) -> Iterator[Cluster]:
    """A running project of its own, bound, with schedules."""
    with clusters.cloned(migrated_template) as made:
        command.succeeds(setup(made, REF))
        with clusters.connect(made) as owner:
            owner.execute(
                "insert into public.auto_sync_schedules (integration_id, organization_id, enabled, frequency_minutes)"
                " select gen_random_uuid(), gen_random_uuid(), n < 4, n * 10 from generate_series(1, 5) as n"
            )
            owner.execute(
                "update public.auto_sync_schedules set last_run_at = now() - interval '1 hour',"
                " last_run_status = 'failed' where frequency_minutes > 20"
            )
        yield made


@contextmanager
def restored(source: Cluster, blank: Cluster, folder: Path, *options: str) -> Iterator[Cluster]:
    """Yield a server of its own into which the whole database was restored, as its superuser does."""
    dump = folder / "project.dump"

    def run(cluster: Cluster, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": os.environ["PATH"], **cluster.environment("supabase_admin")}
        return subprocess.run(
            [str(cluster.installation.bin / program), *arguments],
            env=environment, check=False, capture_output=True, text=True,
        )  # fmt: skip

    done = run(source, "pg_dump", "-Fc", "-f", str(dump))
    assert done.returncode == 0, done.stderr
    with clusters.cloned(blank) as target:
        done = run(target, "pg_restore", "-d", "postgres", *options, str(dump))
        # what a new project has already: the schemas auth and extensions, and two functions
        complaints = [line for line in done.stderr.splitlines() if "ERROR" in line]
        assert [line for line in complaints if "already exists" not in line] == []
        yield target


def test_after_a_restore_by_postgres_into_open_defaults_nobody_claims_but_the_function(
    source: Cluster, open_blank: Cluster, tmp_path: Path
) -> None:
    dump = tmp_path / "schemas.dump"
    with clusters.cloned(open_blank) as target:
        for cluster, role, program, arguments in (
            (source, "supabase_admin", "pg_dump", ["-Fc", "-n", "public", "-n", "autosync", "-f", str(dump)]),
            (target, "postgres", "pg_restore", ["-U", "postgres", "--no-owner", "-d", "postgres", str(dump)]),
        ):
            done = subprocess.run(
                [str(cluster.installation.bin / program), *arguments],
                env={"PATH": os.environ["PATH"], **cluster.environment(role)},
                check=False, capture_output=True, text=True,
            )  # fmt: skip
            complaints = [line for line in done.stderr.splitlines() if "ERROR" in line]
            # the schema public is there, and is the platform's
            known = ("already exists", "must be owner of schema public")
            assert [line for line in complaints if not any(words in line for words in known)] == []
        with clusters.connect(target) as owner:
            owner.execute(
                "insert into public.auto_sync_schedules (integration_id, enabled)"
                " select gen_random_uuid(), true from generate_series(1, 3)"
            )
            # the restore brought this back, which alone must open nothing
            owner.execute("grant execute on all functions in schema public to anon, authenticated")
        for role in ("anon", "authenticated"):
            with clusters.connect(target, "authenticator") as user:
                user.execute(f"set role {role}")
                claimed = 0
                with suppress(psycopg.errors.InsufficientPrivilege):
                    [(claimed,)] = user.execute("select count(*) from public.auto_sync_claim(1000)").fetchall()
                assert claimed == 0
                completed = "select public.auto_sync_complete(id, 'success') from public.auto_sync_schedules"
                with suppress(psycopg.errors.InsufficientPrivilege):
                    assert user.execute(completed).fetchall() == []
        with clusters.connect(target) as owner:
            claimed_or_run = "claims_since_run > 0 or last_run_at > now() - interval '50 minutes'"
            touched = f"select count(*) from public.auto_sync_schedules where {claimed_or_run}"
            assert owner.execute(touched.encode()).fetchone() == (0,)


@pytest.fixture(scope="module")
def copy(source: Cluster, open_blank: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A copy of the project on another server, with everything that a dump carries."""
    with restored(source, open_blank, tmp_path_factory.mktemp("dump")) as made:
        yield made


def test_a_dump_carries_rows_jobs_and_revision(source: Cluster, copy: Cluster) -> None:
    with clusters.connect(source) as one, clusters.connect(copy) as other:
        for query in (ROWS, JOBS, "select * from autosync.setting", "select version_num from autosync.alembic_version"):
            assert other.execute(query).fetchall() == one.execute(query).fetchall(), query
        # the job arrives switched on: pg_cron runs it from its next minute on
        assert other.execute("select distinct active from cron.job").fetchall() == [(True,)]


def test_a_restored_database_is_at_head_and_nothing_has_drifted(copy: Cluster) -> None:
    plan = migrate.plan(copy.url())
    assert plan.is_current, plan


def test_verify_names_the_restore_first_and_calls_go_on(copy: Cluster) -> None:
    found = judged(copy)
    assert found[CHECK].status is Status.WARNING
    assert f"is not the one that was bound to {REF} on " in found[CHECK].verdict.summary
    assert found[CHECK].verdict.summary.endswith("this database was restored or copied")
    # an upgrade or a restore by the platform looks the same, so the calls are not stopped
    assert tick(copy) == "succeeded"


def test_who_knows_the_copys_own_project_learns_so(copy: Cluster) -> None:
    found = judged(copy, f"https://{OTHER}.supabase.co")
    assert next(iter(found)) == CHECK
    assert f"is inherited from {REF}, and calls it from here" in found[CHECK].verdict.summary
    assert found["service_key_matches_project"].blocked_by == (CHECK,)
    assert f"but this database is that of {OTHER}" in found["service_key_matches_project"].verdict.summary
    refused = setup(copy, OTHER)
    assert f"this database is bound to the project {REF}, not to {OTHER}" in command.refused(refused, 2)


def test_a_source_has_nothing_to_complain_of(source: Cluster) -> None:
    assert judged(source)[CHECK].status is Status.OK
    assert setup(source, REF).code == 0


@pytest.fixture(scope="module")
def staging(source: Cluster, open_blank: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A copy that was given a project of its own."""
    with restored(source, open_blank, tmp_path_factory.mktemp("dump")) as made:
        command.succeeds(setup(made, OTHER, "--rebind"))
        yield made


class TestBoundAnew:
    """What is bound to a project of its own calls that one and no other."""

    def test_it_is_whole(self, staging: Cluster) -> None:
        found = judged(staging)
        assert (found[CHECK].status, found["service_key_matches_project"].status) == (Status.OK, Status.OK)
        with clusters.connect(staging) as owner:
            # the job came with the source's port
            assert owner.execute(
                "select jobname, nodeport, active from cron.job where jobname = 'auto-sync-cron-job'"
            ).fetchall() == [("auto-sync-cron-job", staging.port, True)]
        assert tick(staging) == "succeeded"
        assert [url.split("/")[2] for (url,) in queued(staging)] == [f"{OTHER}.supabase.co"]

    def test_rows_of_the_source_that_are_restored_into_it_call_nobody(self, staging: Cluster, source: Cluster) -> None:
        before = queued(staging)
        with clusters.connect(source) as one, clusters.connect(staging) as other:
            secrets = one.execute("select name, secret from public.pg_cron_secrets").fetchall()
            own = other.execute("select name, secret from public.pg_cron_secrets").fetchall()
            for name, secret in secrets:
                other.execute("update public.pg_cron_secrets set secret = %s where name = %s", [secret, name])
            try:
                said = f"secret project_url names the project {REF}, but this database is bound to {OTHER}"
                assert tick(staging) == f"failed: no call is made: {said}"
                assert queued(staging) == before
                trigger = command.run("jobs", "trigger", "-q", database=staging.url())
                assert said in command.refused(trigger, 3)
                found = judged(staging)
                assert found[CHECK].status is Status.CRITICAL
                assert next(iter(found)) == CHECK, "it is said first"
            finally:
                for name, secret in own:
                    other.execute("update public.pg_cron_secrets set secret = %s where name = %s", [secret, name])

    def test_a_second_setup_finds_nothing_to_bind(self, staging: Cluster) -> None:
        with clusters.connect(staging) as owner:
            query = "select value, updated_at from autosync.setting where name = 'binding'"
            before = owner.execute(query).fetchall()
            done = command.run("setup", "--no-wait", database=staging.url(), variables=RARELY)
            assert "binding" not in done.err
            assert owner.execute(query).fetchall() == before


@pytest.mark.long
def test_a_dump_in_another_project_is_silent_from_the_first_command_that_knows_it(
    source: Cluster, open_blank: Cluster, tmp_path: Path
) -> None:
    Path("autosync.toml").write_text(f'[targets.staging]\nproject_ref = "{OTHER}"\n')
    with restored(source, open_blank, tmp_path) as made:
        # refused, and silenced all the same
        refused = command.run("setup", "--target", "staging", database=made.url(), variables=RARELY)
        assert f"this database is bound to the project {REF}, not to {OTHER}" in command.refused(refused, 2)
        assert f"inherited from {REF}, off on purpose" in tick(made)
        assert queued(made) == []
        found = judged(made, f"https://{OTHER}.supabase.co")
        assert found[CHECK].status is Status.WARNING
        command.succeeds(setup(made, OTHER, "--rebind", "--target", "staging"))
        assert tick(made) == "succeeded"
        assert [url.split("/")[2] for (url,) in queued(made)] == [f"{OTHER}.supabase.co"]


@pytest.mark.long
def test_a_copy_of_the_files_is_only_known_by_its_address(migrated_template: Cluster) -> None:
    """It has the same system identifier: what tells it apart is outside of it."""
    with clusters.cloned(migrated_template) as one:
        command.succeeds(setup(one, REF))
        one.stop()
        with clusters.cloned(one) as two, clusters.pg_net_worker(two):
            assert judged(two)[CHECK].status is Status.OK
            found = judged(two, f"https://{OTHER}.supabase.co")
            # its run may have been under way when the server was stopped
            found.pop("housekeeping_runs", None)
            assert next(iter(found)) == CHECK
            assert found[CHECK].status is Status.CRITICAL
            assert found["service_key_matches_project"].blocked_by == (CHECK,)


def test_a_major_upgrade_is_distinguished_from_a_copy(transaction: psycopg.Connection[Any]) -> None:
    transaction.execute(
        "insert into autosync.setting (name, value) values ('binding', autosync.server_identity()"
        " || jsonb_build_object('project_ref', %s::text, 'system_identifier', '1', 'server_major', 13))",
        [REF],
    )
    [(status, _, detail)] = transaction.execute("select * from autosync.binding_findings()").fetchall()
    assert status == "warning"
    assert "which was PostgreSQL 13; this one is 1" in detail


def test_a_server_that_hides_its_identity_is_not_suspected(transaction: psycopg.Connection[Any]) -> None:
    transaction.execute(
        "insert into autosync.setting (name, value) values ('binding', autosync.server_identity()"
        " || jsonb_build_object('project_ref', %s::text, 'system_identifier', null))",
        [REF],
    )
    assert transaction.execute("select * from autosync.binding_findings()").fetchall() == []


@pytest.mark.parametrize(
    "url", ["https://api.example.com", "http://127.0.0.1:1", f"https://{REF}.supabase.co.evil.example"]
)
def test_an_address_that_names_no_project_is_not_compared(url: str, transaction: psycopg.Connection[Any]) -> None:
    transaction.execute(
        "insert into autosync.setting (name, value) values"
        " ('binding', autosync.server_identity() || jsonb_build_object('project_ref', %s::text))",
        [OTHER],
    )
    transaction.execute("insert into public.pg_cron_secrets (name, secret) values ('project_url', %s)", [url])
    assert transaction.execute("select * from autosync.binding_findings()").fetchall() == []
