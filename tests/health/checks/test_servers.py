"""What checks say of a server, its processes and its commands, which no rolled-back transaction can show."""

import re
import time
from functools import partial
from pathlib import Path

import psycopg
import pytest

from autosync_db import config
from autosync_db.connection import holders
from autosync_db.credentials import lease
from autosync_db.health import catalogue, verify
from autosync_db.health.model import Status
from autosync_db.jobs.calls import Cause
from autosync_db.schema import locks, migrate
from tests.health.actions import SCHEDULES, holding, overdue
from tests.health.faults.modes.server import a_run_of_pg_cron
from tests.support import clusters, command, health, keys, server, versions
from tests.support.health import NEVER, LiveProject

stand_in_only = pytest.mark.skipif(clusters.REAL_PG_NET, reason="the server starts the real worker again")
WAITING = "select 1 from pg_locks as l where not l.granted and l.pid = %s"
KEPT = f"""
insert into autosync.setting (name, value) values ('isolation', '{{"mode": "custom"}}'), ('isolation_undecided', 'true')
on conflict (name) do update set value = excluded.value;
create policy "Auditors may look" on {SCHEDULES} for select to authenticated using (true);
"""


class TestRemedy:
    def test_statements_run_as_they_are(self, live: LiveProject) -> None:
        live.admin.execute("alter system set log_statement = 'all'")
        live.admin.execute("select pg_reload_conf()")
        server.wait_for_setting(live, "log_statement", "all")
        assert live.look("server_log_hides_secrets").status is Status.WARNING
        # these are named by what the check found; the others are written for one setting
        live.admin.execute("alter system reset log_statement")
        for id in ("server_writable", "server_log_hides_secrets", "pg_net_settings_valid", "cron_history_recorded"):
            remedy = catalogue.find(id).remedy
            assert remedy is not None
            remedy = remedy.replace("{setting}", "log_statement")
            for statement in remedy.partition(" --")[0].split("; "):
                if "worker_restart" not in statement:
                    live.admin.execute(statement.rstrip(";").encode())
        server.wait_for_setting(live, "log_statement", "none")
        live.must_be_healthy()
        live.admin.execute("alter system reset all")

    def test_setup_and_job_trigger_bring_the_secrets_and_the_calls_back(self, live: LiveProject) -> None:
        live.owner.execute("delete from public.pg_cron_secrets")
        assert live.look("secrets_present").status is Status.CRITICAL
        live.stub.answer(500)
        Path("autosync.toml").write_text(f'[job]\nschedule = "{NEVER}"\ntimeout = "20s"\n')
        live.configuration = config.load(config.Flags(database_url=live.cluster.url()))
        live.stub.answer()
        key = keys.legacy().reveal()
        live.run_command("setup", "--project-url", live.stub.url, "--service-role-key-file", "-", stdin=key)
        live.must_be_healthy()

        live.stub.answer(500)
        assert live.call() is Cause.FUNCTION
        live.stub.answer()
        live.run_remedy("outcomes_recorded")
        live.must_be_healthy()

    def test_rotate_ends_what_was_interrupted(self, live: LiveProject) -> None:
        lapse = "update autosync.secret_rotation set lease_expires_at = clock_timestamp() - interval '1 second'"
        assert lease.begin(live.owner, {"service_role_key": keys.secret()})
        live.owner.execute(lapse)
        live.run_remedy("rotation_finished")
        live.must_be_healthy()
        assert lease.begin(live.owner, {"service_role_key": keys.secret()})
        live.owner.execute(lapse)
        live.run_command("rotate", "--abort")
        assert live.call() is Cause.OK
        live.must_be_healthy()

    @pytest.mark.long
    def test_migrate_brings_an_older_schema_to_the_newest(self, live: LiveProject) -> None:
        migrate.downgrade(live.cluster.url(), "0004", drop_rows=True)
        found = live.must_fail("head_applied", names="is at revision 0004")
        assert found.status is Status.CRITICAL
        live.must_be_blocked("function_succeeds", "head_applied")
        live.run_remedy("head_applied")
        assert live.call() is Cause.OK
        live.must_be_healthy()


class TestIsolation:
    @pytest.mark.long
    def test_policies_that_were_kept_are_a_warning_until_a_mode_is_chosen(self, live: LiveProject) -> None:
        live.owner.execute(KEPT)
        live.run_command("migrate")
        live.must_fail("isolation_chosen", status=Status.WARNING, names="Auditors may look")
        for fault in (
            f"grant select on {SCHEDULES} to anon",
            f"grant update (next_run_at) on {SCHEDULES} to authenticated",
            f"alter table {SCHEDULES} disable row level security",
        ):
            live.owner.execute(fault.encode())
            assert live.look("schedules_table_protected").status is Status.CRITICAL, fault
            live.run_command("migrate")
            assert live.look("schedules_table_protected").status is Status.OK, fault

        with Path("autosync.toml").open("a") as file:
            file.write('[isolation]\nmode = "custom"\n')
        live.run_remedy("isolation_chosen")
        live.must_be_healthy()
        names = "select policyname from pg_policies where tablename = 'auto_sync_schedules'"
        assert live.owner.execute(names).fetchall() == [("Auditors may look",)]

    @pytest.mark.long
    def test_what_the_chosen_mode_grants_is_no_fault_and_more_is(self, live: LiveProject) -> None:
        live.owner.execute("create table public.device_integrations (id uuid primary key, user_id uuid not null)")
        with Path("autosync.toml").open("a") as file:
            file.write(
                '[isolation]\nmode = "owner"\nintegration_table = "public.device_integrations"\n'
                'integration_id_column = "id"\nowner_column = "user_id"\n'
            )
        live.run_command("migrate")
        assert live.look("schedules_table_protected").status is Status.OK
        for fault in (
            f"grant update on {SCHEDULES} to authenticated",
            f"grant select on {SCHEDULES} to anon",
            f"alter policy auto_sync_schedules_owner on {SCHEDULES} using (true) with check (true)",
        ):
            live.owner.execute(fault.encode())
            assert live.look("schedules_table_protected").status is Status.CRITICAL, fault
            live.run_command("migrate")
            assert live.look("schedules_table_protected").status is Status.OK, fault


class TestReadOnlyDefault:
    @pytest.mark.long
    def test_a_fresh_session_names_the_database_once(self, live: LiveProject) -> None:
        live.admin.execute("alter database postgres set default_transaction_read_only = on")
        with clusters.connection(live.cluster) as fresh:
            report = verify.run(fresh, live.configuration, ["server_writable"])
        evidence = health.result_of(report, "server_writable").verdict.evidence
        assert [item.detail.split(" (")[0] for item in evidence] == ["is on for database postgres"]
        live.admin.execute("set default_transaction_read_only = off")
        live.admin.execute("alter database postgres reset default_transaction_read_only")

    def test_a_careful_session_and_a_careful_role_are_no_fault(self, live: LiveProject) -> None:
        live.create_role("careful", grants="alter role careful set default_transaction_read_only = on")
        careful = "-c default_transaction_read_only=on"
        for role, options in (("careful", ""), ("postgres", careful)):
            with clusters.connection(live.cluster, role, options=options) as session:
                report = verify.run(session, live.configuration, ["server_writable"])
            assert health.result_of(report, "server_writable").status is Status.OK, role


class TestLauncher:
    @pytest.mark.young_launcher
    def test_that_was_terminated_and_comes_back_is_no_fault(self, live: LiveProject) -> None:
        versions.needs_pg_cron(live.cluster, versions.RETURNS, "a launcher that comes back")
        before = server.launcher(live)
        live.admin.execute("select pg_terminate_backend(%s)", [before])
        clusters.wait_for(lambda: server.launcher(live) not in (None, before), "another launcher")
        live.must_be_healthy()

    @pytest.mark.long
    @pytest.mark.young_launcher
    def test_that_found_no_place_to_start_in_explains_overdue_schedules(self, live: LiveProject) -> None:
        if not live.cluster.stand_in:
            pytest.skip("pg_net's own process finds no place then either")
        server.configure(live, "max_worker_processes = 0")
        server.restart(live)
        overdue(live)
        live.must_fail("pg_cron_scheduler_running", names="no such process is connected")
        live.must_be_blocked("schedules_not_overdue", "pg_cron_scheduler_running")
        # a client of that name starts no job
        live.hold(clusters.connection(live.cluster, application_name="pg_cron scheduler"))
        live.must_fail("pg_cron_scheduler_running", names="no such process is connected")

    @pytest.mark.long
    @pytest.mark.young_launcher
    def test_that_dies_again_and_again_is_never_taken_for_a_running_one(self, live: LiveProject) -> None:
        server.orphan_job(live)
        clusters.wait_for(lambda: server.launcher(live) is None, "the launcher's end")
        # a look lasts longer than a life of the launcher, so each begins elsewhere in the loop
        for _ in range(4):
            assert live.look("pg_cron_scheduler_running").status is Status.CRITICAL

    @pytest.mark.long
    @pytest.mark.young_launcher
    def test_that_just_started_is_fine_and_an_older_one_costs_no_second_look(
        self, live: LiveProject, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        live.restart_server()
        assert live.look("pg_cron_scheduler_running").status is Status.OK
        clusters.wait_for(
            lambda: live.value(
                "select max(backend_start) < clock_timestamp() - interval '5 seconds' from pg_stat_activity"
                " where application_name = 'pg_cron scheduler'"
            ),
            "a launcher of some age",
        )
        with monkeypatch.context() as patch:
            patch.setattr(time, "sleep", lambda _seconds: pytest.fail("it looked again"))
            live.must_be_healthy()

    @pytest.mark.long
    @pytest.mark.young_launcher
    def test_that_dies_of_a_missing_database_is_explained(self, live: LiveProject) -> None:
        live.admin.execute("alter system set cron.database_name = 'nope'")
        server.restart(live)
        live.must_fail("cron_database_matches", names="names the database nope, which does not exist")
        live.must_be_blocked("pg_cron_scheduler_running", "cron_database_matches")

    @pytest.mark.long
    def test_that_waits_for_a_lock_is_a_warning_and_then_critical(self, live: LiveProject) -> None:
        id = "pg_cron_not_blocked"
        server.orphan_job(live)
        clusters.wait_for(lambda: server.launcher(live) is None, "the launcher's end")
        # a run that the launcher will mark as failed when it starts
        live.record_run("running", "")
        holder = live.hold(clusters.connection(live.cluster, "supabase_admin"))
        holder.execute("begin; lock table cron.job_run_details in share mode")
        live.admin.execute("create role leaver")
        clusters.wait_for(
            lambda: live.admin.execute(WAITING, [server.launcher(live)]).fetchone(), "a launcher that waits"
        )
        assert live.look(id).status is Status.OK
        clusters.wait_for(lambda: live.look(id).status is Status.WARNING, "a wait of some seconds")
        clusters.wait_for(lambda: live.look(id).status is Status.CRITICAL, "a wait that nobody would call short")
        overdue(live)
        live.must_fail(id, names=f"that is held by process {holder.info.backend_pid} (role")
        live.must_be_blocked("schedules_not_overdue", id)
        live.create_role("plain")
        assert live.look(id, role="plain").status is Status.CRITICAL
        live.repair(id, role="supabase_admin")

    @pytest.mark.long
    def test_whose_library_was_not_loaded_explains_it_to_those_who_may_see_that(self, live: LiveProject) -> None:
        server.configure(live, f"shared_preload_libraries = '{'pg_net' if clusters.REAL_PG_NET else ''}'")
        server.restart(live)
        # the lines about it in the file are still shown
        assert live.value("select current_setting('cron.database_name')") == "postgres"
        live.must_be_blocked("pg_cron_scheduler_running", "pg_cron_preloaded")
        live.create_role("plain")
        found = live.look("pg_cron_preloaded", role="plain")
        assert (found.status, "grant pg_monitor to plain" in found.summary) == (Status.UNKNOWN, True)

    @pytest.mark.long
    def test_that_is_gone_explains_missed_ticks(self, live: LiveProject) -> None:
        server.lose_launcher(live)
        report = live.report()
        assert health.roots(report) == {"pg_cron_scheduler_running": Status.CRITICAL}, health.described(report)

    def test_whose_zone_was_changed_reads_it_after_a_restart(self, live: LiveProject) -> None:
        versions.needs_pg_cron(live.cluster, versions.SECONDS, "cron.timezone")
        server.configure(live, "cron.timezone = 'America/New_York'")
        clusters.wait_for(
            lambda: live.value("select pending_restart from pg_settings where name = 'cron.timezone'"), "the setting"
        )
        assert "takes effect when PostgreSQL restarts" in live.look("cron_timezone_utc").summary


class TestWorker:
    @stand_in_only
    def test_that_was_stopped_explains_what_waits_for_it(self, live: LiveProject) -> None:
        live.stop_worker()
        live.owner.execute("select autosync.dispatch()")
        live.owner.execute(
            "update autosync.invocation set queued_at = now() - interval '10 minutes' where outcome = 'pending'"
        )
        live.must_fail("pg_net_worker_running", names="requests are queued and never sent")
        report = live.report()
        for id in ("pg_net_queue_drains", "pg_net_version_matches_library"):
            assert health.result_of(report, id).blocked_by == ("pg_net_worker_running",), id

        live.owner.execute("delete from autosync.tick")
        report = live.report()
        assert health.roots(report) == {"pg_net_worker_running": Status.CRITICAL}, health.described(report)
        for id in ("project_url_reachable", "function_answers_in_time", "function_deployed", "function_succeeds"):
            assert health.result_of(report, id).blocked_by == ("pg_net_worker_running",), id

    @stand_in_only
    def test_of_an_old_version_is_hidden_from_a_plain_role(self, live: LiveProject) -> None:
        live.stop_worker()
        live.create_role("plain")
        id = "pg_net_worker_running"
        assert live.look(id, role="plain").status is Status.CRITICAL
        live.admin.execute("update pg_catalog.pg_extension set extversion = '0.7.1' where extname = 'pg_net'")
        assert live.look(id, role="plain").status is Status.UNKNOWN
        assert live.look(id).status is Status.CRITICAL

    @stand_in_only
    def test_without_its_library_is_explained_by_that(self, live: LiveProject) -> None:
        # without its comment the stand-in is an extension without a library
        live.admin.execute("comment on extension pg_net is null")
        live.stop_worker()
        live.record_run("failed", "ERROR:  pg_net is not in shared_preload_libraries")
        live.must_fail("pg_net_preloaded", names="is not in shared_preload_libraries")
        live.must_be_blocked("pg_net_worker_running", "pg_net_preloaded")
        live.must_be_blocked("job_runs_succeed", "pg_net_preloaded")
        live.create_role("plain")
        found = live.look("pg_net_preloaded", role="plain")
        assert (found.status, "grant pg_monitor to plain" in found.summary) == (Status.UNKNOWN, True)

    @pytest.mark.long
    @stand_in_only
    def test_of_another_library_is_older_than_the_extension(self, live: LiveProject) -> None:
        live.stop_worker()
        with clusters.connection(live.cluster, application_name="pg_net 0.14.0"):
            found = live.look("pg_net_version_matches_library")
        assert found.status is Status.CRITICAL
        assert "but its library only at 0.14.0" in found.summary

    @pytest.mark.long
    def test_that_was_restarted_with_a_call_under_way_loses_nothing(self, live: LiveProject) -> None:
        tick_id = int(live.value("select autosync.dispatch(%s)", [live.job_name]))
        live.restart_server()
        assert live.answered(tick_id) is Cause.OK
        live.must_be_healthy()


@pytest.mark.long
def test_crash_is_a_warning_and_a_restart_is_none(live: LiveProject) -> None:
    started = live.value("select pg_postmaster_start_time()")
    server.crash(live)
    assert live.value("select pg_postmaster_start_time()") == started
    live.must_fail("no_recent_crash", status=Status.WARNING, names="server: crashed and recovered at")
    live.restart_server()
    live.must_be_healthy()


def _is_critical(live: LiveProject, id: str) -> bool:
    return live.look(id).status is Status.CRITICAL


def test_a_prepared_transaction_is_named_with_what_ends_it(live: LiveProject) -> None:
    server.configure(live, "max_prepared_transactions = 2")
    server.restart(live)
    named = "prepared transaction 'it''s left'"
    for table, id in (("cron.job_run_details", "pg_cron_not_blocked"), ("autosync.tick", "tables_not_locked")):
        with clusters.connect(live.cluster, "supabase_admin") as session:
            session.execute(f"begin; lock table {table} in access exclusive mode".encode())
            session.execute("prepare transaction 'it''s left'")
        clusters.wait_for(partial(_is_critical, live, id), "a lock of some seconds")
        report = live.report()
        assert health.roots(report) == {id: Status.CRITICAL}, health.described(report)
        found = health.result_of(report, id)
        assert found.verdict.summary.startswith(f"table {table}: is locked against everybody by the {named} (role supa")
        held = holders.of_a_table(live.owner)
        assert held is not None
        assert f"{table} is locked by the {named} (user supabase_admin, for " in held.sentence
        for way in (found.remedy, held.hint):
            assert way is not None
            assert "commit prepared 'it''s left'" in way
        ended = re.search(r"rollback prepared '[^;]*'(?=;)", found.remedy or "")
        assert ended is not None
        if found.check.repairable:
            done = command.run("repair", id, "--yes", database=live.cluster.url())
            assert f"run: {ended[0]}; or: commit prepared" in done.out + done.err
        live.admin.execute(ended[0].encode())
    live.must_be_healthy()
    # a migration waits for another lock
    with clusters.connect(live.cluster) as session:
        session.execute(f"begin; select pg_advisory_xact_lock({locks.ADVISORY_LOCK}); prepare transaction 'm'".encode())
    held = holders.of_the_advisory_lock(live.owner, locks.ADVISORY_LOCK)
    assert held is not None
    assert "held by the prepared transaction 'm' (user postgres, for " in held.sentence
    assert "rollback prepared 'm'" in held.hint
    live.owner.execute("rollback prepared 'm'")
    server.configure(live)
    server.restart(live)


@pytest.mark.long
def test_a_lasting_lock_on_what_ticks_write_explains_their_failure(live: LiveProject) -> None:
    id = "tables_not_locked"
    holding("lock table autosync.invocation in share mode", application="a report")(live)
    # as of a vacuum: nobody who writes waits for it
    holding("lock table autosync.tick in share update exclusive mode")(live)
    assert live.look(id).status is Status.OK
    assert live.run_by_cron() == "failed"
    clusters.wait_for(lambda: live.look(id).status is Status.CRITICAL, "a lock of some seconds")
    report = live.report()
    assert health.roots(report) == {id: Status.CRITICAL}, health.described(report)
    assert [item.object for item in health.result_of(report, id).verdict.evidence] == ["table autosync.invocation"]
    assert "is locked against all who write by process" in health.result_of(report, id).verdict.summary
    assert health.result_of(report, "job_runs_succeed").blocked_by == (id,)


def test_remedy_of_a_stuck_run_ends_it(live: LiveProject) -> None:
    with a_run_of_pg_cron(live, 6):
        live.must_fail("no_stuck_runs", names="waiting for Timeout PgSleep")
        live.run_remedy("no_stuck_runs")


@stand_in_only  # the real one's setting is not a session's
def test_transaction_that_looks_is_whole_after_a_bad_interval(live: LiveProject) -> None:
    with clusters.connection(live.cluster, options="-c pg_net.ttl=6hourz") as session:
        report = verify.run(session, live.configuration, ["pg_net_settings_valid", "job_scheduled"])
        assert health.result_of(report, "job_scheduled").status is Status.OK
        assert session.info.transaction_status is psycopg.pq.TransactionStatus.IDLE
