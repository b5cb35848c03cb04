"""Create the registry of scheduled functions, autosync.job

One row per job says what its cron job must look like and what it calls: a function, another address, a statement, or
nothing where a job is only watched. dispatch() reads it and verify compares cron.job with it; what happens at a tick is
written elsewhere, so that no tick waits for a change of settings. Housekeeping is a job, too. A job that is there
already is taken over with its schedule, its function, the timeout that its command names, and its pause.

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
            -- what the ledger refers to: a renamed job keeps its history
            id integer generated always as identity primary key,
            name text not null unique
                constraint job_name_check check (name ~ '^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$'),
            function text constraint job_function_check
                check (function ~ '^[A-Za-z0-9][A-Za-z0-9_-]{0,62}(/[A-Za-z0-9._~%-]+)*/?([?][^\s#]*)?$'),
            url text constraint job_url_check check (url ~ '^https?://\S+$'),
            sql text,
            watch boolean not null default false,
            schedule text,
            method text not null default 'POST' constraint job_method_check check (method in ('POST', 'GET')),
            headers jsonb not null default '{}'
                constraint job_headers_check check (jsonb_typeof(headers) = 'object'),
            body jsonb,
            auth text not null default 'service_key'
                constraint job_auth_check check (auth in ('service_key', 'cron_secret', 'none', 'secret')),
            secret_name text,
            secret_header text,
            secret_prefix text not null default '',
            timeout_milliseconds integer not null default 30000
                constraint job_timeout_milliseconds_check check (timeout_milliseconds between 1000 and 600000),
            drains text constraint job_drains_check check (drains = 'auto_sync_schedules'),
            invoke text not null default 'always'
                constraint job_invoke_check check (invoke in ('always', 'when_due')),
            batch_size integer not null default 50
                constraint job_batch_size_check check (batch_size between 1 and 200),
            max_requests integer not null default 4
                constraint job_max_requests_check check (max_requests between 1 and 100),
            overlap text not null default 'allow'
                constraint job_overlap_check check (overlap in ('allow', 'skip')),
            retry_attempts integer not null default 1
                constraint job_retry_attempts_check check (retry_attempts between 1 and 10),
            retry_wait interval not null default '30 seconds',
            expect jsonb,
            reports_within interval,
            enabled boolean not null default true,
            keep_invocations interval not null default '30 days',
            keep_run_details interval not null default '7 days',
            paused_at timestamptz,
            paused_by text,
            -- what cron.job was last given: a job of that name with another command is somebody else's
            scheduled_command text,
            created_at timestamptz not null default clock_timestamp(),
            updated_at timestamptz not null default clock_timestamp(),
            constraint job_kind_check check (num_nonnulls(function, url, sql) + cast(watch as integer) = 1),
            constraint job_schedule_check check (watch or schedule is not null),
            constraint job_secret_check
                check (num_nonnulls(secret_name, secret_header) = case when auth = 'secret' then 2 else 0 end),
            -- the keys of the project are for the project's own functions
            constraint job_key_stays_home_check check (url is null or auth in ('none', 'secret'))
        )
        """
    )
    op.execute(
        """
        insert into autosync.job (name, function, drains, schedule)
        values ('auto-sync-cron-job', 'auto-sync-cron', 'auto_sync_schedules', '*/5 * * * *')
        """
    )
    op.execute(
        """
        insert into autosync.job (name, sql, schedule)
        values ('autosync-keep-house', 'select autosync.keep_house()', '*/5 * * * *')
        """
    )
    op.execute(
        "comment on table autosync.job is "
        "'what each scheduled job must look like; changed by autosync-db setup and autosync-db jobs'"
    )
    op.execute(ADOPTED)


def downgrade() -> None:
    op.execute("drop function if exists autosync.check_binding()")
    op.execute("drop function if exists autosync.binding_findings()")
    op.execute("drop function if exists autosync.server_identity()")
    op.execute("drop function if exists autosync.sync_job(text)")
    op.execute("drop function if exists autosync.job_command(text)")
    op.execute("drop function if exists autosync.house_schedule()")
    for function in (
        "autosync.call_headers(text)",
        "autosync.project_address(text)",
        "autosync.vault_error()",
        "autosync.needed_secrets(text)",
        "autosync.function_auth(text)",
        "autosync.read_secret(text)",
        "autosync.service_key_facts()",
        "autosync.secret_facts()",
        "autosync.secrets_hidden()",
        "autosync.stored_secrets()",
        "autosync.vault_secrets()",
        "autosync.secret_reference(text)",
        "autosync.secret_store()",
        "autosync.secret_kind(text)",
        "autosync.holds_key(text)",
        "autosync.holds_credential(text)",
        "autosync.holding_secrets(text[])",
        "autosync.mask_keys(text)",
        "autosync.fingerprint(text)",
    ):
        op.execute(f"drop function if exists {function}")
    op.execute("drop table if exists autosync.job")
