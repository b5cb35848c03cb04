"""Create the durable ledger, autosync.tick and autosync.invocation

pg_net forgets: its tables are unlogged, expire after hours, and after a crash its ids start again at 1. These two
tables keep what really happened to every tick and every request. From here on the jobs call dispatch(); the command of
a job that was there before us is remembered, and a downgrade gives it back.

Revision ID: 0005
Revises: 0004
"""

from pathlib import Path

from alembic import op

revision = "0005"
down_revision = "0004"

ADOPTION = Path(__file__).parents[1] / "adoption"


def _run(*names: str) -> None:
    for name in names:
        op.execute((ADOPTION / f"{name}.sql").read_text(encoding="utf-8"))


ADOPTED = """
insert into autosync.adopted (revision, step, object, undo)
select '0005', 120, 'cron job auto-sync-cron-job', j.undo
from jsonb_to_recordset(cast(current_setting('autosync.job_found') as jsonb)) as j (undo text)
"""


def upgrade() -> None:
    _run("job_found")
    op.execute(ADOPTED)
    op.execute(
        """
        create table autosync.tick (
            id bigint generated always as identity primary key,
            job_name text not null,
            ticked_at timestamptz not null default clock_timestamp(),
            backend_pid integer not null default pg_backend_pid(),
            caller text not null,
            due integer not null,
            decision text not null constraint tick_decision_check check (decision in ('posted', 'idle', 'paused')),
            server_epoch timestamptz not null
        )
        """
    )
    op.execute("create index tick_job_name_id_idx on autosync.tick (job_name, id)")
    op.execute(
        """
        create table autosync.invocation (
            id bigint generated always as identity primary key,
            tick_id bigint not null references autosync.tick (id) on delete cascade,
            job_name text not null,
            request_id bigint not null,
            queued_at timestamptz not null default clock_timestamp(),
            timeout_milliseconds integer not null,
            server_epoch timestamptz not null,
            settled_at timestamptz,
            outcome text not null default 'pending'
                constraint invocation_outcome_check
                check (outcome in ('pending', 'ok', 'http_error', 'timed_out', 'network_error', 'lost')),
            status_code integer,
            error_code text,
            error_message text,
            body_excerpt text,
            constraint invocation_settled_check check ((outcome = 'pending') = (settled_at is null))
        )
        """
    )
    op.execute("create index invocation_job_name_id_idx on autosync.invocation (job_name, id)")
    op.execute("create index invocation_tick_id_idx on autosync.invocation (tick_id)")
    op.execute("create index invocation_pending_idx on autosync.invocation (id) where outcome = 'pending'")
    op.execute(
        "comment on table autosync.tick is "
        "'one row per call of autosync.dispatch(); backend_pid joins cron.job_run_details.job_pid'"
    )
    op.execute(
        "comment on table autosync.invocation is "
        "'one row per HTTP request of autosync.dispatch(), with its real outcome'"
    )


def downgrade() -> None:
    # the jobs call dispatch(), which goes away here
    # cron.unschedule raises for a job that is not there, and hides jobs of other roles
    op.execute(
        """
        do $$
        declare
            found_id bigint;
        begin
            for found_id in
                select c.jobid
                from cron.job as c
                join autosync.job as j on j.name = c.jobname
                where c.username = current_user
                    -- the adopted job gets its own command back
                    and not exists (
                        select from autosync.adopted as a
                        where a.revision = '0005' and a.undo like 'select cron.schedule(%'
                            and a.object = 'cron job ' || c.jobname
                    )
            loop
                perform cron.unschedule(found_id);
            end loop;
        end
        $$
        """
    )
    op.execute("drop function if exists autosync.jobs_current()")
    op.execute("drop function if exists autosync.dispatch(text, boolean)")
    op.execute("drop function if exists autosync.call_findings(text, text, text[])")
    op.execute("drop function if exists autosync.classify(text, integer, text, text)")
    op.execute("drop function if exists autosync.answer_meaning(text, integer, text, text)")
    op.execute("drop function if exists autosync.moment(timestamptz)")
    op.execute("drop function if exists autosync.settle()")
    op.execute("drop function if exists autosync.prune(text)")
    op.execute("drop function if exists autosync.recent_outcomes(text, integer)")
    op.execute("drop function if exists autosync.pending_outcomes(integer)")
    op.execute("drop function if exists autosync.excerpt(text)")
    op.execute("drop function if exists autosync.server_epoch()")
    op.execute("drop table autosync.invocation")
    op.execute("drop table autosync.tick")
    op.execute("select set_config('autosync.adopting', '0005', true)")
    _run("undo")
