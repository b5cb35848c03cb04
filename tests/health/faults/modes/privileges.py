"""J: who may see and do too much."""

from autosync_db.health.model import Status
from tests.health.actions import admin, other_job, role, session_named, sql, steps
from tests.health.faults.mode import AnyMode, Mode
from tests.support import keys
from tests.support.health import Project

_WATCH = (
    "create function public.watch() returns trigger language plpgsql set search_path = ''"
    " as $$ begin return null; end $$",
    "create trigger watch after insert on net._http_response for each row execute function public.watch()",
)


MODES: tuple[AnyMode, ...] = (
    Mode(
        "J1",
        "anon may read the secrets",
        "secrets_table_protected",
        sql("grant select on public.pg_cron_secrets to anon"),
        says="anon may select it",
        repairable=True,
    ),
    Mode(
        "J2",
        "anon may call a function that works with the owner's rights",
        "functions_not_exposed",
        sql("grant execute on function public.auto_sync_claim(integer, interval) to anon"),
        says="function public.auto_sync_claim: anon may execute it",
        repairable=True,
    ),
    Mode(
        "J3",
        "a function with its owner's rights lost its search_path",
        "search_path_pinned",
        sql("alter function autosync.dispatch(text, boolean) reset search_path"),
        says="function autosync.dispatch: works with its owner's rights",
        repairable=True,
    ),
    Mode(
        "J4",
        "the text of a job holds a key",
        "no_secret_in_job_command",
        other_job("mailer", f"select 'Bearer {keys.secret().reveal()}'"),
        reason="not_ours",
        says="cron job mailer: the text of job",
        undo=sql("select cron.unschedule('mailer')"),
    ),
    Mode(
        "J5",
        "a login role can read the queued keys",
        "pg_net_not_exposed",
        role("reporting"),
        status=Status.WARNING,
        reason="privilege",
        says="role reporting: may log in and read net.http_request_queue",
        undo=admin("drop role reporting"),
    ),
    Mode(
        "J6",
        "the Data API serves the schema net",
        "pg_net_not_exposed",
        admin("alter role authenticator set pgrst.db_schemas = 'public, net'"),
        says="serves the schema net through the Data API",
        repairable=True,
        repaired_by="supabase_admin",
    ),
    Mode(
        "J8",
        "a trigger on pg_net's tables runs as a superuser",
        "no_triggers_on_net_tables",
        steps(
            admin(*_WATCH),
            session_named("pg_net 0.20.4", user="supabase_admin"),
        ),
        reason="out_of_reach",
        says="as the superuser supabase_admin",
        undo=steps(Project.release, admin("drop trigger watch on net._http_response", "drop function public.watch()")),
        simulated="the worker of the superuser is a session that bears its name",
    ),
    Mode(
        "J9",
        "a view shows the secrets to anon",
        "secrets_table_protected",
        sql(
            "create view public.peek as select secret from public.pg_cron_secrets",
            "grant select on public.peek to anon",
        ),
        says="view public.peek: anon may select it",
        repairable=True,
    ),
    Mode(
        "J10",
        "the job runs as a superuser",
        "job_owner_matches",
        admin("update cron.job set username = 'supabase_admin' where jobname = 'auto-sync-cron-job'"),
        simulated="the role is written into cron.job",
        reason="out_of_reach",
        says="it runs as a superuser",
        undo=admin("update cron.job set username = 'postgres'"),
    ),
)
