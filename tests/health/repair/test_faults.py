"""Every fault that can be mended: named, planned without a change, mended, and not found again."""

import subprocess
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from autosync_db.health import catalogue
from autosync_db.health import repair as runner
from autosync_db.health.model import Status
from tests.health.repair.conftest import Shop
from tests.support import clusters, keys
from tests.support.health import NEVER, Project, described, result_of

Break = Callable[[Project], object]
SCHEDULES = "public.auto_sync_schedules"
TRIGGER = "auto_sync_schedules_next_run_at"
TWIN = "select cron.schedule('0 0 1 1 *', 'select autosync.dispatch();')"

# what these mend takes more than a statement and is proven in tests/health/checks/test_<id>.py, but for the worker
# of pg_net: nothing starts that of the stand-in anew
ELSEWHERE = {"no_stuck_runs", "pg_cron_not_blocked", "pg_net_version_matches_library", "pg_net_worker_running"}


@dataclass(frozen=True)
class Fault:
    """A fault: the check that names it, how it is made, who mends it, and what the repair must say of itself."""

    id: str
    make: Break
    destructive: bool = False
    role: str = "postgres"
    also: tuple[str, ...] = ()  # checks that must be mended with it
    after: Break = lambda _: None  # what the test made, and no repair takes away

    def __str__(self) -> str:
        return f"{self.id}-{self.role}"


def owner(*statements: str) -> Break:
    """Return a break by statements of the owner."""
    return lambda project: [project.owner.execute(statement.encode()) for statement in statements]


def admin(*statements: str) -> Break:
    """Return a break by statements of the superuser."""
    return lambda project: [project.admin.execute(statement.encode()) for statement in statements]


def old_runs(project: Project) -> None:
    """Record runs that pruning passed over, one of them without times."""
    project.admin.execute(
        "insert into cron.job_run_details (jobid, runid, database, username, command, status, start_time, end_time)"
        " select c.jobid, n - 100, c.database, c.username, c.command, 'succeeded', t.at, t.at"
        " from cron.job as c, generate_series(1, 40) as n,"
        " lateral (select case when n <> 7 then now() - interval '30 days' end as at) as t where c.jobname = %s",
        [project.job_name],
    )


def old_ticks(project: Project) -> None:
    """Leave ticks that were not pruned, and as many new ones as give pruning time."""
    for first, age, ticks in ((-100, "33 days", 40), (100000, "0", 12)):
        project.owner.execute(
            "insert into autosync.tick (id, job_name, ticked_at, caller, due, decision, server_epoch)"
            " overriding system value select %s + n, %s, now() - %s::interval, 'pg_cron', 0, 'idle', now()"
            " from generate_series(1, %s) as n",
            [first, project.job_name, age, ticks],
        )


def sleeping_queue(project: Project) -> None:
    """Queue a call past http_post(), which the worker is not told of."""
    # one that lost its tables in an earlier test connects again, and one that has just connected looks into the queue
    project.stop_worker()
    project.start_worker()
    clusters.wait_for(
        lambda: project.value(
            "select count(*) from pg_stat_activity where application_name like 'pg\\_net %'"
            " and backend_start < clock_timestamp() - interval '1 second'"
        ),
        "a worker that sleeps",
    )
    project.owner.execute(
        "insert into net.http_request_queue (method, url, timeout_milliseconds) values ('POST', %s, 1000)",
        [project.stub.url],
    )
    project.owner.execute(
        "insert into autosync.invocation (tick_id, job_name, request_id, timeout_milliseconds, server_epoch, queued_at)"
        " select t.id, t.job_name, (select max(q.id) from net.http_request_queue as q), 1000, autosync.server_epoch(),"
        " now() - interval '10 minutes' from autosync.tick as t order by t.id desc limit 1"
    )


def left_behind(project: Project) -> None:
    """Schedule a job as a role and drop the role."""
    project.admin.execute("create role leaver; grant usage on schema cron to leaver; set role leaver")
    project.admin.execute("select cron.schedule('left behind', '0 0 1 1 *', 'select 1')")
    project.admin.execute("reset role; drop owned by leaver; drop role leaver")


def sequence_behind(project: Project) -> None:
    """Leave pg_cron's sequence behind its history, as a restore does."""
    project.record_run("succeeded", "1 row")
    project.admin.execute("select setval('cron.runid_seq', 1, false)")


def sequence_behind_that_may_be_used(project: Project) -> None:
    """The same, where the owner may draw numbers."""
    sequence_behind(project)
    project.admin.execute("grant usage on sequence cron.runid_seq to postgres")


def untriggered_schedule(project: Project) -> None:
    """Switch the trigger off, and insert a schedule past it."""
    project.owner.execute(f"alter table {SCHEDULES} disable trigger {TRIGGER}".encode())
    project.add_schedule(next_run_at=None)


def without_next_run(project: Project) -> None:
    """Insert a schedule past the trigger."""
    project.add_schedule(next_run_at=None)


def foreign_job(project: Project) -> None:
    """Give the job to another role, which the owner may act as."""
    project.owner.execute("select cron.unschedule('auto-sync-cron-job')")
    project.admin.execute("create role other; grant usage on schema cron to other; grant other to postgres")
    project.admin.execute("set role other")
    project.admin.execute("select cron.schedule('auto-sync-cron-job', %s, 'select autosync.dispatch()')", [NEVER])
    project.admin.execute("reset role")


def command_with_key(project: Project) -> None:
    """Put a key into the job's command, and into its history."""
    project.admin.execute("update cron.job set command = %s", [f"select '{keys.legacy().reveal()}'"])
    project.record_run("succeeded", "1 row")


def migration_with_key(project: Project) -> None:
    """Record a migration that holds a key, as the Supabase CLI does."""
    project.owner.execute("create schema if not exists supabase_migrations")
    project.owner.execute(
        "create table supabase_migrations.schema_migrations (version text primary key, statements text[], name text)"
    )
    project.owner.execute(
        "insert into supabase_migrations.schema_migrations (version, statements) values ('20260101000000', %s)",
        [["select 1", f"select '{keys.secret().reveal()}'"]],
    )


def expired_answers(project: Project) -> None:
    """Leave answers that pg_net did not remove."""
    project.stop_worker()
    project.owner.execute(
        "insert into net._http_response (id, status_code, created)"
        " select -n, 200, case n when 0 then now() else now() - interval '3 days' end"
        " from generate_series(0, 500) as n"
    )


def failed_connection(project: Project) -> None:
    """Send pg_cron to another port, and record that it did not connect."""
    project.admin.execute("update cron.job set nodeport = 1")
    project.record_run("failed", "connection failed")


def stuck_claim(project: Project) -> None:
    """Claim a schedule for ever."""
    project.add_schedule(next_run_at="now() - interval '2 hours'")
    project.admin.execute(
        "update public.auto_sync_schedules set claim_id = gen_random_uuid(),"
        " claimed_at = now() - interval '2 hours', claim_expires_at = 'infinity'"
    )


no_schedules = owner(f"delete from {SCHEDULES}")
FAULTS = [
    Fault("api_roles_cannot_reach_private_schema", owner("grant usage on schema autosync to anon")),
    Fault(
        "api_roles_cannot_reach_private_schema",
        admin("alter role authenticator set pgrst.db_schemas = 'public, autosync'"),
        destructive=True,
        role="supabase_admin",
    ),
    Fault("claims_not_stuck", stuck_claim, after=no_schedules),
    Fault("cron_job_roles_exist", left_behind, destructive=True),
    Fault("cron_job_roles_exist", left_behind, destructive=True, role="supabase_admin"),
    Fault("cron_run_sequence_ahead", sequence_behind, destructive=True),
    Fault("cron_run_sequence_ahead", sequence_behind, role="supabase_admin"),
    Fault(
        "cron_run_sequence_ahead",
        sequence_behind_that_may_be_used,
        after=admin("revoke usage on sequence cron.runid_seq from postgres"),
    ),
    Fault(
        "functions_not_exposed", owner("grant execute on function public.auto_sync_claim(integer, interval) to anon")
    ),
    Fault(
        "functions_not_exposed",
        owner(
            "create function public.run_sync() returns bigint language sql security definer"
            " set search_path = pg_catalog, pg_temp as 'select autosync.dispatch()'"
        ),
        destructive=True,
        after=owner("drop function public.run_sync()"),
    ),
    Fault("invocations_bounded", old_ticks, destructive=True),
    Fault("job_active", owner("select cron.alter_job(jobid, active := false) from cron.job")),
    Fault("job_can_connect", admin("update cron.job set database = 'gone'")),
    Fault("job_can_connect", failed_connection),
    Fault("job_command_matches", admin("update cron.job set command = 'select 1'"), destructive=True),
    Fault("job_owner_matches", foreign_job, destructive=True, after=admin("drop owned by other; drop role other")),
    Fault("job_run_details_bounded", old_runs, destructive=True),
    Fault("job_schedule_matches", owner("select cron.alter_job(jobid, schedule := '1 0 1 1 *') from cron.job")),
    Fault("job_scheduled", owner("select cron.unschedule('auto-sync-cron-job')")),
    Fault("job_scheduled", owner("select cron.unschedule('auto-sync-cron-job')", "delete from autosync.job")),
    Fault("job_unique", owner(TWIN), destructive=True),
    Fault(
        "job_unique",
        admin("select cron.schedule('auto-sync-cron-job', '0 0 1 1 *', 'select 1')"),
        destructive=True,
        role="supabase_admin",
    ),
    Fault(
        "job_unique",
        owner(
            "insert into autosync.job (name, function, schedule, timeout_milliseconds, invoke, batch_size,"
            " max_requests, keep_invocations, keep_run_details) select 'second', function, schedule,"
            " timeout_milliseconds, invoke, batch_size, max_requests, keep_invocations, keep_run_details"
            " from autosync.job",
            "select autosync.sync_job('second')",
        ),
        destructive=True,
        after=owner("select cron.unschedule('second')", "delete from autosync.job where name = 'second'"),
    ),
    Fault("no_secret_in_job_command", command_with_key, destructive=True),
    Fault(
        "no_secret_in_migration_history",
        migration_with_key,
        destructive=True,
        after=owner("drop schema supabase_migrations cascade"),
    ),
    Fault(
        "no_triggers_on_cron_tables",
        admin(
            "create function public.nothing() returns trigger language plpgsql as $$ begin return new; end $$",
            "create trigger watch before insert on cron.job_run_details for each row execute function public.nothing()",
        ),
        destructive=True,
        role="supabase_admin",
        after=admin("drop function public.nothing()"),
    ),
    Fault(
        "no_triggers_on_net_tables",
        admin(
            "create function public.nothing() returns trigger language plpgsql as $$ begin return new; end $$",
            'create trigger "watch it" after insert on net._http_response for each row'
            " execute function public.nothing()",
        ),
        destructive=True,
        role="supabase_admin",
        after=admin("drop function public.nothing()"),
    ),
    Fault(
        "nothing_blocks_upgrades",
        owner('create view public."all runs" as select * from cron.job_run_details'),
        destructive=True,
    ),
    Fault("objects_current", admin("drop function autosync.call_findings(text, text, text[])")),
    Fault("objects_current", admin("alter function autosync.settle() set work_mem = '64MB'"), destructive=True),
    Fault("objects_current", admin("drop function autosync.settle()"), role="supabase_admin"),
    Fault("pg_cron_installed", admin("drop extension pg_cron")),
    Fault(
        "pg_cron_installed",
        admin("update pg_extension set extowner = 'postgres'::regrole where extname = 'pg_cron'"),
        role="supabase_admin",
        after=admin(
            "update pg_extension set extowner = 'supabase_admin'::regrole where extname = 'pg_cron'",
            "revoke insert, update, delete on table cron.job from postgres",
        ),
    ),
    Fault("pg_net_installed", admin("drop extension pg_net")),
    Fault(
        "pg_net_not_exposed",
        admin("alter role authenticator set pgrst.db_schemas = 'public, net, cron'"),
        destructive=True,
        role="supabase_admin",
    ),
    Fault("pg_net_queue_drains", sleeping_queue),
    Fault("pg_net_tables_bounded", expired_answers, destructive=True, after=lambda p: p.start_worker()),
    Fault(
        "pg_net_usable_by_job",
        admin("revoke insert on net.http_request_queue from public, postgres"),
        destructive=True,
    ),
    Fault(
        "pg_net_usable_by_job",
        admin("revoke insert on net.http_request_queue from public, postgres"),
        role="supabase_admin",
    ),
    Fault("schedule_trigger_enabled", owner(f"alter table {SCHEDULES} disable trigger {TRIGGER}")),
    Fault("schedule_trigger_enabled", owner(f"drop trigger {TRIGGER} on {SCHEDULES}")),
    Fault(
        "schedule_trigger_enabled",
        owner(
            "create function public.update_auto_sync_next_run() returns trigger language plpgsql"
            " as $$ begin new.next_run_at := now(); return new; end $$",
            f"create trigger earlier before insert or update on {SCHEDULES}"
            " for each row execute function public.update_auto_sync_next_run()",
        ),
        destructive=True,
        after=owner("drop function public.update_auto_sync_next_run()"),
    ),
    Fault("schedules_have_next_run", without_next_run, after=no_schedules),
    Fault("schedules_have_next_run", untriggered_schedule, also=("schedule_trigger_enabled",), after=no_schedules),
    Fault("schedules_table_protected", owner(f"grant select on {SCHEDULES} to anon")),
    Fault(
        "schedules_table_protected",
        owner(f"create policy readable on {SCHEDULES} for select to authenticated using (true)"),
        destructive=True,
    ),
    Fault(
        "search_path_pinned",
        owner("alter function autosync.dispatch(text, boolean) reset search_path"),
    ),
    Fault(
        "search_path_pinned",
        owner(
            "create function public.peek() returns text language sql security definer"
            " as 'select secret from public.pg_cron_secrets limit 1'",
            "create function public.poke() returns text language sql security definer set search_path = ''"
            " as 'select secret from public.pg_cron_secrets limit 1'",
            "revoke all on function public.peek(), public.poke() from public, anon, authenticated",
        ),
        destructive=True,
        after=owner("drop function public.peek()", "drop function public.poke()"),
    ),
    Fault("secrets_clean", owner("update public.pg_cron_secrets set secret = ' ' || secret || E'\\n'")),
    Fault(
        "secrets_readable_by_job",
        admin(
            "revoke select on public.pg_cron_secrets from postgres, service_role",
            "revoke pg_read_all_data from postgres",
        ),
        after=admin("grant pg_read_all_data to postgres", "grant select on public.pg_cron_secrets to service_role"),
    ),
    Fault(
        "secrets_readable_by_job",
        admin(
            "create role reader; grant usage on schema public to reader; grant reader to postgres",
            "grant select on public.pg_cron_secrets to reader",
            "alter function autosync.read_secret(text) owner to reader",
        ),
        also=("secrets_table_protected",),
        after=admin("drop owned by reader; drop role reader"),
    ),
    Fault("secrets_table_protected", owner("grant select on public.pg_cron_secrets to anon")),
    Fault(
        "secrets_table_protected",
        owner("create policy readable on public.pg_cron_secrets for select to authenticated using (true)"),
        destructive=True,
    ),
    Fault(
        "secrets_table_protected",
        owner(
            'create view public."a peek" as select secret from public.pg_cron_secrets',
            'grant select on public."a peek" to anon',
        ),
        destructive=True,
        after=owner('drop view public."a peek"'),
    ),
    Fault(
        "secrets_table_protected",
        owner("create publication everything for table public.pg_cron_secrets"),
        destructive=True,
        after=owner("drop publication everything"),
    ),
    Fault("service_role_can_use_schedules", owner(f"revoke update on {SCHEDULES} from service_role")),
    Fault(
        "service_role_can_use_schedules",
        owner("revoke execute on function public.auto_sync_claim(integer, interval) from service_role"),
    ),
    Fault("service_role_can_use_schedules", admin("alter role service_role nobypassrls"), role="supabase_admin"),
]


def test_what_can_be_mended_is_what_the_checks_say_and_all_of_it_is_tried() -> None:
    repairable = {name for name, check in catalogue.all_checks().items() if check.repairable}
    assert {fault.id for fault in FAULTS} | ELSEWHERE == repairable


@pytest.mark.parametrize("name", sorted(catalogue.all_checks()))
def test_remedy_is_the_repair_where_there_is_one_and_can_be_run_as_it_is(name: str) -> None:
    check = catalogue.find(name)
    assert check.remedy
    assert not check.remedy.startswith("autosync-db repair") or check.repairable
    assert not check.repairable or check.remedy == f"autosync-db repair {name}"
    assert "<" not in check.remedy


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_fault_is_mended(project: Project, fault: Fault) -> None:
    fault.make(project)
    with clusters.connect(project.cluster, fault.role) as connection:
        report = project.report(role=fault.role)
        assert result_of(report, fault.id).verdict.status in {Status.WARNING, Status.CRITICAL}, described(report)

        plan = runner.plan(connection, project.configuration, report, [fault.id, *fault.also])
        proposals = [proposal for proposal in plan.proposals if proposal.id == fault.id]
        assert proposals, f"{plan.refusals}\n{described(report)}"
        assert {proposal.destructive for proposal in proposals} == {fault.destructive}
        assert result_of(project.report(), fault.id).verdict.status is result_of(report, fault.id).verdict.status
        for proposal in plan.proposals:
            if fault.id != "secrets_readable_by_job":  # its statements are another role's once the first is done
                _psql_runs(project, fault.role, runner.script(project.configuration, proposal))

        outcomes = runner.apply(connection, project.configuration, plan.proposals)
        assert not [outcome for outcome in outcomes if outcome.error], outcomes
        after = runner.recheck(connection, project.configuration, outcomes)
        assert result_of(after, fault.id).verdict.status is Status.OK, described(after)
        again = runner.plan(connection, project.configuration, after, [fault.id])
        assert [(refused.id, refused.kind) for refused in again.refusals] == [(fault.id, "healthy")]
        assert not again.proposals
    fault.after(project)
    project.must_be_healthy()


def _psql_runs(project: Project, role: str, script: str) -> None:
    """Fail unless psql runs the script as it is, to its end; the end takes everything back."""
    assert script.endswith("\ncommit;\n")
    done = subprocess.run(
        [str(project.cluster.installation.bin / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", "-"],
        input=script.removesuffix("commit;\n") + "rollback;\n",
        env=project.cluster.environment(role),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stderr}\n{script}"


def test_objects_that_a_superuser_makes_anew_belong_to_the_owner(shop: Shop) -> None:
    project = shop.project()
    project.admin.execute("drop function autosync.settle()")
    project.repair("objects_current", role="supabase_admin")
    assert project.value("select proowner::regrole::text from pg_proc where proname = 'settle'") == "postgres"
