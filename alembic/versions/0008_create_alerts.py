"""Create what tells people that a job fails: autosync.alert_receiver, autosync.alert_state and autosync.alert

A receiver names the secret that its address is; the address itself is where all secrets are. The state of a job is what
was last seen of it and what was last said; both change in one transaction with the messages that say so, which is why
each state is reported once. autosync.alert has the messages until they are delivered, and for a while after that.

Revision ID: 0008
Revises: 0007
"""

from alembic import op

revision = "0008"
down_revision = "0007"

COMMENTS = {
    "alert_receiver": "who is to be notified; written by autosync-db alerts, the addresses are secrets",
    "alert_state": "what was last seen of each job, and what was last said",
    "alert": "messages and heartbeats, and what became of them",
}
FUNCTIONS = (
    "autosync.raise_alerts()",
    "autosync.test_alert(integer)",
    "autosync.send_alerts(integer)",
    "autosync.note_heartbeats()",
    "autosync.note_job_states()",
    "autosync.settle_alerts()",
    "autosync.alert_body(text, text, text, jsonb)",
    "autosync.job_condition(text)",
    "autosync.failure_facts(text, text, integer, jsonb)",
    "autosync.overdue_schedules(text)",
    "autosync.tick_expected(text, timestamptz)",
    "autosync.cron_field(text, integer, integer)",
)


def upgrade() -> None:
    op.execute(
        """
        create table autosync.alert_receiver (
            id integer generated always as identity primary key,
            kind text not null constraint alert_receiver_kind_check check (kind in ('slack', 'webhook', 'heartbeat')),
            -- no foreign key: it would make a removed job take its receiver along, and leave its secret behind
            job_id integer,
            form text not null constraint alert_receiver_form_check check (form in (
                'slack', 'webhook', 'healthchecks', 'betterstack', 'cronitor', 'sentry', 'get'
            )),
            secret_name text not null,
            -- of a heartbeat: when the newest success that it spoke of ended
            reported_at timestamptz,
            created_at timestamptz not null default clock_timestamp(),
            constraint alert_receiver_secret_name_key unique (secret_name),
            constraint alert_receiver_kind_job_id_key unique nulls not distinct (kind, job_id)
        )
        """
    )
    op.execute(
        """
        create table autosync.alert_state (
            job_id integer primary key,
            state text not null default 'ok' constraint alert_state_state_check check (state in (
                'ok', 'missing_secret', 'runs_failing', 'ticks_missed', 'calls_failing', 'schedules_overdue'
            )),
            cause text not null default '',
            facts jsonb not null default '{}',
            since timestamptz not null default clock_timestamp(),
            seen_at timestamptz not null default clock_timestamp(),
            -- how often it changed since the last message, and what that said
            changes integer not null default 0,
            said_state text not null default 'ok',
            said_cause text not null default '',
            said_at timestamptz
        )
        """
    )
    op.execute(
        """
        create table autosync.alert (
            id bigint generated always as identity primary key,
            receiver_id integer not null,
            job_id integer,
            event text not null constraint alert_event_check
                check (event in ('fault', 'recovered', 'summary', 'heartbeat', 'test')),
            key uuid not null default gen_random_uuid(),
            body jsonb,
            success_at timestamptz,
            created_at timestamptz not null default clock_timestamp(),
            outcome text not null default 'waiting' constraint alert_outcome_check check (outcome in (
                'waiting', 'posted', 'delivered', 'unconfirmed', 'given_up', 'dropped'
            )),
            attempts integer not null default 0,
            next_try_at timestamptz not null default clock_timestamp(),
            -- of all attempts, so that no answer to one of them is taken for another job's
            request_ids bigint[] not null default '{}',
            epoch text,
            posted_at timestamptz,
            settled_at timestamptz,
            status_code integer,
            error_message text
        )
        """
    )
    op.execute("create index alert_open_idx on autosync.alert (id) where outcome in ('waiting', 'posted')")
    op.execute("create index alert_receiver_id_id_idx on autosync.alert (receiver_id, id)")
    for table, comment in COMMENTS.items():
        op.execute(f"comment on table autosync.{table} is '{comment}'")
    # closed in the same transaction that creates them, whatever the default privileges are
    op.execute("revoke all on table autosync.alert_receiver, autosync.alert_state, autosync.alert from public")


def downgrade() -> None:
    # addresses that nothing speaks to any more
    op.execute(
        """
        do $$
        begin
            if to_regprocedure('autosync.delete_secret(text)') is not null
                and to_regclass('autosync.alert_receiver') is not null
            then
                perform autosync.delete_secret(r.secret_name) from autosync.alert_receiver as r;
            end if;
        end
        $$
        """
    )
    for function in FUNCTIONS:
        op.execute(f"drop function if exists {function}")
    for table in ("alert", "alert_state", "alert_receiver"):
        op.execute(f"drop table if exists autosync.{table}")
