"""Create the registry of scheduled functions, autosync.job

One row per scheduled function says what its cron job must look like and how the call is made; dispatch() reads it
and verify compares cron.job with it. A job that is there already is taken over with its schedule, its function, the
timeout that its command names, and its pause.

Revision ID: 0004
Revises: 0003
"""

from pathlib import Path

from alembic import op

revision = "0004"
down_revision = "0003"

ADOPTION = Path(__file__).parents[1] / "adoption"


def _run(*names: str) -> None:
    for name in names:
        op.execute((ADOPTION / f"{name}.sql").read_text(encoding="utf-8"))


# pg_cron may not be installed yet, and then there is no such table
ADOPTED = r"""
do $adopt$
begin
    if to_regclass('cron.job') is null then
        return;
    end if;
    update autosync.job as j
    set schedule = c.schedule,
        function = coalesce(
            substring(c.command from '/functions/v1/([A-Za-z0-9][A-Za-z0-9_-]{0,62})(?![A-Za-z0-9_-])'), j.function),
        timeout_milliseconds = least(greatest(coalesce(
            cast(substring(c.command from 'timeout_milliseconds\s*[=:]+>?\s*(\d{1,7})') as integer),
            j.timeout_milliseconds), 1000), 600000),
        paused_at = case when not c.active then clock_timestamp() end,
        paused_by = case when not c.active then 'somebody before autosync-db' end
    from cron.job as c
    where j.name = 'auto-sync-cron-job' and c.jobname = j.name and c.username = current_user
        and c.command <> 'select autosync.dispatch()';
end
$adopt$
"""


def upgrade() -> None:
    op.execute("select set_config('autosync.adopting', '0004', true)")
    _run("tables", "refusals", "refuse")
    op.execute(
        r"""
        create table autosync.job (
            name text primary key
                constraint job_name_check check (name ~ '^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$'),
            function text not null
                constraint job_function_check check (function ~ '^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$'),
            schedule text not null,
            timeout_milliseconds integer not null default 30000
                constraint job_timeout_milliseconds_check check (timeout_milliseconds between 1000 and 600000),
            invoke text not null default 'always'
                constraint job_invoke_check check (invoke in ('always', 'when_due')),
            batch_size integer not null default 50
                constraint job_batch_size_check check (batch_size between 1 and 1000),
            max_requests integer not null default 4
                constraint job_max_requests_check check (max_requests between 1 and 100),
            keep_invocations interval not null default '30 days',
            keep_run_details interval not null default '7 days',
            pruned_runid bigint not null default 0,
            paused_at timestamptz,
            paused_by text,
            created_at timestamptz not null default clock_timestamp(),
            updated_at timestamptz not null default clock_timestamp()
        )
        """
    )
    op.execute(
        """
        insert into autosync.job (name, function, schedule)
        values ('auto-sync-cron-job', 'auto-sync-cron', '*/5 * * * *')
        """
    )
    op.execute(
        "comment on table autosync.job is "
        "'what each scheduled job must look like; changed by autosync-db setup and autosync-db job'"
    )
    op.execute(ADOPTED)


def downgrade() -> None:
    op.execute("drop function if exists autosync.check_binding()")
    op.execute("drop function if exists autosync.binding_findings()")
    op.execute("drop function if exists autosync.server_identity()")
    op.execute("drop function if exists autosync.sync_job(text)")
    op.execute("drop function if exists autosync.job_command(text)")
    for function in (
        "autosync.call_headers(text)",
        "autosync.vault_error()",
        "autosync.needed_secrets(text)",
        "autosync.function_auth(text)",
        "autosync.read_secret(text)",
        "autosync.service_key_facts()",
        "autosync.secret_facts()",
        "autosync.secrets_hidden()",
        "autosync.stored_secrets()",
        "autosync.secret_store()",
        "autosync.secret_kind(text)",
        "autosync.holds_key(text)",
        "autosync.mask_keys(text)",
        "autosync.fingerprint(text)",
    ):
        op.execute(f"drop function if exists {function}")
    op.execute("drop table autosync.job")
