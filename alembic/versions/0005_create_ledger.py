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
from jsonb_to_recordset(cast(current_setting('autosync.job_found') as jsonb)) as j (undo text, is_served boolean)
where j.is_served
"""
# a job whose calls dispatch() would not make goes on as it is: without its row here nothing touches it
LEFT = """
do $left$
begin
    delete from autosync.job as j
    where j.name = 'auto-sync-cron-job'
        and cast(current_setting('autosync.job_found') as jsonb) @> '[{"is_served": false}]';
    if found then
        raise warning 'the cron job auto-sync-cron-job is left as it is'
            using hint = 'take it over with: autosync-db jobs adopt auto-sync-cron-job';
    end if;
end
$left$
"""


COMMENTS = {
    "tick": "one row per call of autosync.dispatch(); backend_pid joins cron.job_run_details.job_pid",
    "invocation": "one row per HTTP request, with its real outcome",
    "epoch": "a token that goes when a crash empties the tables of pg_net",
    "run_mark": "which run of pg_cron was the newest when: tells the age of runs without times",
    "housekeeping": "how far autosync.keep_house() has come",
}

# what the functions of this revision depend on goes before it
FUNCTIONS = (
    "autosync.jobs_current()",
    "public.auto_sync_report(uuid, text, jsonb)",
    "autosync.keep_house()",
    "autosync.note_gone_jobs()",
    "autosync.keep_address()",
    "autosync.proven_address()",
    "autosync.prune()",
    "autosync.prune_runs()",
    "autosync.retry_calls(integer)",
    "autosync.end_unreported(integer)",
    "autosync.dispatch()",
    "autosync.dispatch(text)",
    "autosync.dispatch(text, boolean)",
    "autosync.post_calls(text, bigint, integer, bigint)",
    "autosync.calls_under_way(integer)",
    "autosync.calls_queued(integer, integer)",
    "autosync.call_findings(text)",
    "autosync.classify(text, integer, text, text, text)",
    "autosync.answer_meaning(text, integer, text, text, text)",
    "autosync.moment(timestamptz)",
    "autosync.settle()",
    "autosync.recent_outcomes(text, integer)",
    "autosync.pending_outcomes(bigint[])",
    "autosync.read_outcomes(bigint[])",
    "autosync.redirect_code(text, text)",
    "autosync.answerer_kind(text)",
    "autosync.answered_by(integer, jsonb, text)",
    "autosync.holds_json(text, jsonb)",
    "autosync.answer_facts(text)",
    "autosync.stated_outcome(jsonb, boolean)",
    "autosync.excerpt(text)",
    "autosync.mask_secrets(text)",
    "autosync.begin_epoch()",
    "autosync.pg_net_epoch()",
    "autosync.server_epoch()",
)


def upgrade() -> None:
    _run("job_found")
    op.execute(ADOPTED)
    op.execute(LEFT)
    op.execute(
        """
        create table autosync.tick (
            id bigint generated always as identity primary key,
            -- no foreign key: it would make a tick wait for whoever changes a setting
            job_id integer not null,
            ticked_at timestamptz not null default clock_timestamp(),
            backend_pid integer not null default pg_backend_pid(),
            caller text not null,
            due integer not null,
            decision text not null constraint tick_decision_check
                check (decision in ('posted', 'idle', 'paused', 'overlapping', 'backlogged')),
            epoch text
        )
        """
    )
    op.execute("create index tick_job_id_id_idx on autosync.tick (job_id, id)")
    op.execute(
        """
        create table autosync.invocation (
            id bigint generated always as identity primary key,
            tick_id bigint references autosync.tick (id) on delete cascade,
            job_id integer not null,
            attempt integer not null default 1,
            retries bigint,
            idempotency_key uuid not null default gen_random_uuid(),
            request_id bigint not null,
            queued_at timestamptz not null default clock_timestamp(),
            timeout_milliseconds integer not null,
            epoch text,
            answered_at timestamptz,
            settled_at timestamptz,
            outcome text not null default 'pending' constraint invocation_outcome_check check (outcome in (
                'pending', 'accepted', 'ok', 'failed', 'http_error', 'timed_out', 'network_error', 'unreadable', 'lost'
            )),
            status_code integer,
            error_code text,
            error_message text,
            body_excerpt text,
            function_milliseconds integer,
            counts jsonb,
            answered_by text,
            proof text,
            sb_request_id text,
            execution_id text,
            report_due_at timestamptz,
            reported_at timestamptz,
            retry_at timestamptz,
            constraint invocation_settled_check
                check ((outcome in ('pending', 'accepted')) = (settled_at is null))
        )
        """
    )
    op.execute("create index invocation_job_id_id_idx on autosync.invocation (job_id, id)")
    op.execute("create index invocation_tick_id_idx on autosync.invocation (tick_id)")
    op.execute("create index invocation_idempotency_key_idx on autosync.invocation (idempotency_key)")
    op.execute("create index invocation_pending_idx on autosync.invocation (id) where outcome = 'pending'")
    op.execute("create index invocation_accepted_idx on autosync.invocation (id) where outcome = 'accepted'")
    op.execute("create index invocation_retry_at_idx on autosync.invocation (retry_at) where retry_at is not null")
    # unlogged as pg_net's tables are: a clean restart keeps all of them, a crash empties all of them
    op.execute(
        """
        create unlogged table autosync.epoch (
            only_row boolean primary key default true constraint epoch_only_row_check check (only_row),
            token uuid not null default gen_random_uuid()
        )
        """
    )
    op.execute(
        """
        create table autosync.run_mark (
            runid bigint primary key,
            marked_at timestamptz not null default clock_timestamp()
        )
        """
    )
    op.execute(
        """
        create table autosync.housekeeping (
            only_row boolean primary key default true constraint housekeeping_only_row_check check (only_row),
            pruned_runid bigint not null default 0
        )
        """
    )
    op.execute("insert into autosync.housekeeping default values")
    for table, comment in COMMENTS.items():
        op.execute(f"comment on table autosync.{table} is '{comment}'")


def downgrade() -> None:
    # the jobs call dispatch(), which goes away here
    # cron.unschedule raises for a job that is not there, and hides jobs of other roles
    op.execute(
        """
        do $$
        declare
            found_id bigint;
        begin
            -- somebody may have dropped either
            if to_regclass('cron.job') is null or to_regclass('autosync.job') is null then
                return;
            end if;
            for found_id in
                select c.jobid
                from cron.job as c
                join autosync.job as j on j.name = c.jobname
                where c.username = current_user and not j.watch
                    -- a job of that name that nobody here made is somebody else's
                    and (j.scheduled_command is not null or c.command like 'select autosync.%')
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
    for function in FUNCTIONS:
        op.execute(f"drop function if exists {function}")
    for table in ("housekeeping", "run_mark", "epoch"):
        op.execute(f"drop table if exists autosync.{table}")
    op.execute("drop table if exists autosync.invocation")
    op.execute("drop table if exists autosync.tick")
    op.execute("select set_config('autosync.adopting', '0005', true)")
    _run("undo")
