"""Faults that the catalogue of the field has no letter for, and further ways to the same faults with other repairs."""

import shutil
from pathlib import Path

from autosync_db.health.model import Status
from tests.health.actions import (
    SCHEDULES,
    TRIGGER,
    Action,
    admin,
    command,
    orphan,
    other_job,
    recorded_migration,
    run,
    schedule,
    secrets_again,
    sql,
    steps,
)
from tests.health.faults.mode import AnyMode, Mode, ServerMode
from tests.support import clusters, http_stub, keys
from tests.support.health import LiveProject, Project

_NOTHING = "create function public.nothing() returns trigger language plpgsql as $$ begin return new; end $$"
_READER = (
    "create role reader; grant usage on schema public to reader; grant reader to postgres",
    "grant select on public.pg_cron_secrets to reader",
    "alter function autosync.read_secret(text) owner to reader",
)


def _mode(
    id: str,
    fault: str,
    inject: Action[Project],
    says: str,
    status: Status = Status.CRITICAL,
    also: tuple[str, ...] = (),
    *,
    by: str = "postgres",
    destructive: bool = False,
    reason: str = "",
) -> Mode:
    return Mode(
        f"{id}: {fault}",
        fault,
        id,
        inject,
        status,
        says,
        also,
        reason,
        repairable=True,
        repaired_by=by,
        destructive=destructive,
    )


def _sleeping_queue(project: LiveProject) -> None:
    """Queue a call past http_post(), of which the worker is not notified."""
    # one that has just connected looks into the queue
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
        "insert into autosync.invocation (tick_id, job_id, request_id, timeout_milliseconds, epoch, queued_at)"
        " select t.id, t.job_id, (select max(q.id) from net.http_request_queue as q), 1000, autosync.pg_net_epoch(),"
        " now() - interval '10 minutes' from autosync.tick as t order by t.id desc limit 1"
    )


def _redirected_elsewhere(project: LiveProject) -> None:
    """Let the stub lead to one under another name with 308; the key is one that travels in the header apikey."""
    other = project.hold(http_stub.serve())
    elsewhere = other.url.replace("127.0.0.1", "localhost")
    project.store(service_role_key=keys.secret())
    project.stub.redirects = {"/functions/v1/auto-sync-cron": f"{elsewhere}/elsewhere"}
    project.stub.redirect_status = 308
    project.tick()
    [sent] = other.requests
    assert (sent.method, sent.body != b"", sent.headers["apikey"][:10]) == ("POST", True, "sb_secret_")
    project.stub.redirects = {}


def _declared_without_us(_project: Project) -> None:
    folder = Path("supabase", "schemas")
    folder.mkdir(parents=True)
    (folder / "app.sql").write_text("create table public.orders (id integer);")


MODES: tuple[AnyMode, ...] = (
    _mode(
        "api_roles_cannot_reach_private_schema",
        "anon may use the private schema",
        sql("grant usage on schema autosync to anon"),
        "schema autosync: anon may use it",
    ),
    _mode(
        "api_roles_cannot_reach_private_schema",
        "the Data API serves the private schema",
        admin("alter role authenticator set pgrst.db_schemas = 'public, autosync'"),
        "setting pgrst.db_schemas of authenticator: serves the schema autosync",
        by="supabase_admin",
        destructive=True,
    ),
    _mode(
        "cron_job_roles_exist",
        "the role of a job was dropped, and a superuser repairs it",
        orphan,
        "belongs to the role leaver",
        by="supabase_admin",
        destructive=True,
    ),
    _mode(
        "functions_not_exposed",
        "anon may call a function of the project that makes the call",
        sql(
            "create function public.run_sync() returns bigint language sql security definer"
            " set search_path = pg_catalog, pg_temp as 'select autosync.dispatch()'"
        ),
        "function public.run_sync: ",
        destructive=True,
    ),
    _mode(
        "no_secret_in_job_command",
        "the text of the job holds a key, and so does its history",
        steps(command(f"select '{keys.legacy().reveal()}'"), run("succeeded", "1 row")),
        "auto-sync-cron-job",
        also=("job_command_matches",),
        destructive=True,
    ),
    _mode(
        "no_secret_in_migration_history",
        "a recorded migration holds a key",
        recorded_migration("20260101000000", "select 1", f"select '{keys.secret().reveal()}'"),
        "keeps the text of 1 migrations that hold a key: 20260101000000",
        Status.WARNING,
        destructive=True,
    ),
    _mode(
        "no_triggers_on_cron_tables",
        "a trigger of the project runs inside the launcher",
        admin(
            _NOTHING,
            "create trigger watch before insert on cron.job_run_details for each row execute function public.nothing()",
        ),
        "has the trigger watch",
        Status.WARNING,
        reason="out_of_reach",
        by="supabase_admin",
        destructive=True,
    ),
    _mode(
        "no_triggers_on_net_tables",
        "a trigger whose name needs quotes runs inside the worker",
        admin(
            _NOTHING,
            'create trigger "watch it" after insert on net._http_response for each row'
            " execute function public.nothing()",
        ),
        "trigger watch it on net._http_response: runs public.nothing",
        reason="out_of_reach",
        by="supabase_admin",
        destructive=True,
    ),
    Mode(
        "P11",
        "a trigger runs a function of the owner with the owner's rights",
        "no_triggers_on_net_tables",
        steps(
            sql(_NOTHING.replace("plpgsql", "plpgsql security definer set search_path = ''")),
            admin(
                "create trigger note after insert on net._http_response for each row execute function public.nothing()"
            ),
        ),
        says="runs public.nothing inside the worker, as postgres, whose rights it has",
        repairable=True,
        destructive=True,
    ),
    _mode(
        "objects_current",
        "a function of the package was edited",
        admin("alter function autosync.settle() set work_mem = '64MB'"),
        "function autosync.settle: was changed in the database",
        Status.WARNING,
        destructive=True,
    ),
    _mode(
        "schedule_trigger_enabled",
        "a trigger of an earlier set-up computes the next run, too",
        sql(
            "create function public.update_auto_sync_next_run() returns trigger language plpgsql"
            " as $$ begin new.next_run_at := now(); return new; end $$",
            f"create trigger earlier before insert or update on {SCHEDULES}"
            " for each row execute function public.update_auto_sync_next_run()",
        ),
        "trigger earlier: computes next_run_at",
        destructive=True,
    ),
    _mode(
        "schedule_trigger_enabled",
        "the trigger was dropped",
        sql(f"drop trigger {TRIGGER} on {SCHEDULES}"),
        f"does not exist on {SCHEDULES}",
    ),
    _mode(
        "schedules_table_protected",
        "anon may read the schedules",
        sql(f"grant select on {SCHEDULES} to anon"),
        "anon may select it",
    ),
    _mode(
        "schedules_table_protected",
        "a policy shows the schedules to whoever logged in",
        sql(f"create policy readable on {SCHEDULES} for select to authenticated using (true)"),
        "policy readable: lets {authenticated} pass: true",
        destructive=True,
    ),
    _mode(
        "search_path_pinned",
        "functions of the project read the secrets without a search_path that protects them",
        sql(
            "create function public.peek() returns text language sql security definer"
            " as 'select secret from public.pg_cron_secrets limit 1'",
            "create function public.poke() returns text language sql security definer set search_path = ''"
            " as 'select secret from public.pg_cron_secrets limit 1'",
            "revoke all on function public.peek(), public.poke() from public, anon, authenticated",
        ),
        "function public.peek: works with its owner's rights",
        destructive=True,
    ),
    _mode(
        "secrets_clean",
        "there are blanks around the secrets",
        sql("update public.pg_cron_secrets set secret = ' ' || secret || E'\\n'"),
        "secret service_role_key: has ",
        Status.WARNING,
    ),
    ServerMode(
        "O7",
        "a redirect takes the key to another host",
        "project_url_reachable",
        _redirected_elsewhere,
        says="(another host, and the key went there with the call)",
        reason="redirected_with_key",
        undo=secrets_again,
    ),
    Mode(
        "P3",
        "another's job makes the same call through a function",
        "job_unique",
        steps(
            sql(
                "create function public.h(n text) returns bigint language sql as $$ select net.http_post("
                "url := (select s.secret from public.pg_cron_secrets as s where s.name = 'project_url')"
                " || '/functions/v1/' || n, timeout_milliseconds := 9000) $$"
            ),
            other_job("theirs", "select public.h('auto-sync-cron')"),
        ),
        says="makes the same calls through the function public.h",
        repairable=True,
        destructive=True,
    ),
    Mode(
        "P3b",
        "two of theirs do the same",
        "other_jobs_unique",
        steps(other_job("first", "delete from t"), other_job("second", "delete from t;")),
        Status.WARNING,
        says="runs the same text at the same times (0 0 1 1 *) as first",
        undo=sql("select cron.unschedule('second')"),
    ),
    Mode(
        "P4c",
        "an opaque value under the name of a header",
        "no_secret_in_job_command",
        other_job(
            "theirs",
            "select net.http_post('https://a.example.com', headers := '{\"x-cron-secret\": \"8f3kd92jf02kd8s7\"}',"
            " timeout_milliseconds := 9000)",
        ),
        Status.WARNING,
        says="holds a credential: a value is written out under a name",
        reason="not_ours",
        undo=sql("select cron.unschedule('theirs')"),
    ),
    Mode(
        "P12",
        "declarative schemas do not have us",
        "schemas_keep_the_jobs",
        _declared_without_us,
        Status.WARNING,
        says="do not have the schema autosync: the next migration",
        undo=lambda _: shutil.rmtree("supabase"),
    ),
    Mode(
        "O1",
        "a job that is not in cron.job is run",
        "launcher_matches_table",
        steps(
            sql(
                "insert into autosync.setting (name, value)"
                " values ('gone_jobs', jsonb_build_object('990001', now() - interval '10 minutes'))"
            ),
            admin(
                "insert into cron.job_run_details (jobid, runid, status, start_time, end_time)"
                " values (990001, nextval('cron.runid_seq'), 'succeeded', now() - interval '1 minute', now())"
            ),
        ),
        says="cron job number 990001: ran at ",
        repairable=True,
        destructive=False,
        simulated="the run is written into pg_cron's history",
    ),
    _mode(
        "secrets_table_protected",
        "a policy shows the secrets to whoever logged in",
        sql("create policy readable on public.pg_cron_secrets for select to authenticated using (true)"),
        "policy readable: lets {authenticated} pass: true",
        destructive=True,
    ),
    _mode(
        "secrets_table_protected",
        "a publication sends the secrets",
        sql("create publication everything for table public.pg_cron_secrets"),
        "publication everything: sends public.pg_cron_secrets",
        destructive=True,
    ),
    _mode(
        "service_role_can_use_schedules",
        "the function's role may not claim schedules",
        sql("revoke execute on function public.auto_sync_claim(integer, interval) from service_role"),
        "function public.auto_sync_claim: service_role may not execute it",
    ),
    _mode(
        "service_role_can_use_schedules",
        "row level security hides the schedules from the function's role",
        admin("alter role service_role nobypassrls"),
        "row level security hides its rows from service_role",
        by="supabase_admin",
    ),
    Mode(
        "secrets_readable_by_job: its function belongs to a role as which the owner may act",
        "its function belongs to a role as which the owner may act",
        "secrets_readable_by_job",
        admin(*_READER),
        says="row level security hides its rows from the role reader",
        also=("objects_current", "secrets_table_protected"),
        role="supabase_admin",
        repairable=True,
        destructive=False,
    ),
    Mode(
        "schedules_have_next_run: the trigger was disabled when a schedule came",
        "the trigger was disabled when a schedule came",
        "schedule_trigger_enabled",
        steps(sql(f"alter table {SCHEDULES} disable trigger {TRIGGER}"), schedule(next_run_at=None)),
        says="is disabled",
        repairable=True,
        destructive=False,
    ),
    ServerMode(
        "pg_net_queue_drains: a call that the worker was not notified of",
        "a call that the worker was not notified of",
        "pg_net_queue_drains",
        _sleeping_queue,
        says="still wait there",
        repairable=True,
        destructive=False,
    ),
)
