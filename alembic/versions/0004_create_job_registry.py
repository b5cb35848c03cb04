"""Create the registry of scheduled functions, autosync.job, and the project's settings

One row per scheduled function says what its cron job must look like and how the call is made; dispatch() reads it
and verify compares cron.job with it.

Revision ID: 0004
Revises: 0003
"""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
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

    # choices of the project that rendered objects depend on; a migration without the settings file keeps them
    op.execute(
        """
        create table autosync.setting (
            name text primary key,
            value jsonb not null,
            updated_at timestamptz not null default clock_timestamp()
        )
        """
    )


def downgrade() -> None:
    op.execute("drop table autosync.setting")
    op.execute("drop function if exists autosync.sync_job(text)")
    op.execute("drop function if exists autosync.job_command(text)")
    op.execute("drop function if exists autosync.read_secret(text)")
    op.execute("drop table autosync.job")
