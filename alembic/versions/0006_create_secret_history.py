"""Create the history of the secrets, autosync.secret_change, and the rotations under way, autosync.secret_rotation

The history says who changed which secret when, with fingerprints alone; nobody can change what it says. A rotation
keeps the previous value until its successor is proven, so that whoever is killed in between leaves a way back.
autosync.key_rotation is the journal of what a rotation makes at the platform; it holds no secret.

Revision ID: 0006
Revises: 0005
"""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.execute(
        """
        create table autosync.secret_change (
            id bigint generated always as identity primary key,
            changed_at timestamptz not null default clock_timestamp(),
            action text not null
                constraint secret_change_action_check check (action in ('stored', 'replaced', 'put back', 'deleted')),
            name text not null,
            store text not null constraint secret_change_store_check check (store in ('table', 'vault')),
            kind text not null,
            fingerprint_before text,
            fingerprint_after text,
            session_role text not null,
            acting_role text not null,
            application_name text not null,
            client_address inet
        )
        """
    )
    op.execute("create index secret_change_name_id_idx on autosync.secret_change (name, id)")
    op.execute(
        "comment on table autosync.secret_change is "
        "'who changed which secret when; fingerprints only; rows are added by triggers and never changed'"
    )
    op.execute(
        """
        create table autosync.secret_rotation (
            name text primary key,
            token uuid not null,
            kept text not null constraint secret_rotation_kept_check check (kept in ('here', 'vault', 'nowhere')),
            previous text,
            fingerprint_before text,
            fingerprint_after text,
            started_at timestamptz not null default clock_timestamp(),
            started_by text not null default session_user,
            application_name text not null default current_setting('application_name'),
            client_address inet default inet_client_addr(),
            lease_expires_at timestamptz not null,
            constraint secret_rotation_previous_check check ((kept = 'here') = (previous is not null))
        )
        """
    )
    op.execute(
        "comment on table autosync.secret_rotation is "
        "'what was active before, until what replaced it is proven; written by autosync-db rotate and setup'"
    )
    op.execute(
        """
        create table autosync.key_rotation (
            made text primary key,
            subject text not null
                constraint key_rotation_subject_check check (subject in ('service_role_key', 'cron_secret')),
            project_ref text not null,
            token uuid not null,
            old_key_id text,
            old_key_name text,
            old_fingerprint text,
            new_fingerprint text,
            old_is_free boolean,
            started_at timestamptz not null default clock_timestamp(),
            started_by text not null default session_user,
            application_name text not null default current_setting('application_name'),
            client_address inet default inet_client_addr(),
            lease_expires_at timestamptz not null
        )
        """
    )
    op.execute("create unique index key_rotation_alone_idx on autosync.key_rotation ((true))")
    op.execute(
        "comment on table autosync.key_rotation is "
        "'the journal of autosync-db rotate --auto: what is made at the platform, written before it is made'"
    )
    # closed in the same transaction that creates them, whatever the default privileges are
    op.execute("alter table autosync.secret_rotation enable row level security")
    op.execute("alter table autosync.key_rotation enable row level security")
    op.execute(
        "revoke all on table autosync.secret_change, autosync.secret_rotation, autosync.key_rotation from public"
    )


def downgrade() -> None:
    # a rotation under way keeps a value that nothing could put back any more; the new one stays active
    for trigger in (
        "pg_cron_secrets_recorded",
        "pg_cron_secrets_touched",
        "pg_cron_secrets_truncated",
    ):
        op.execute(f"drop trigger if exists {trigger} on public.pg_cron_secrets")
    op.execute("drop table if exists autosync.key_rotation")
    op.execute("drop table if exists autosync.secret_rotation")
    op.execute("drop table if exists autosync.secret_change")
    for function in (
        "autosync.begin_rotation(uuid, interval, jsonb)",
        "autosync.take_over_rotation(uuid, interval)",
        "autosync.extend_rotation(uuid, interval)",
        "autosync.replaced_held_by(uuid)",
        "autosync.finish_rotation(uuid)",
        "autosync.put_back_rotation(uuid)",
        "autosync.copy_secrets(text)",
        "autosync.forget_secrets(text)",
        "autosync.require_as_seen(jsonb)",
        "autosync.put_secret(text, text)",
        "autosync.delete_secret(text)",
        "autosync.record_secret_change()",
        "autosync.touch_secret()",
        "autosync.refuse_history_change()",
        "autosync.note_secret_change(text, text, text, text)",
    ):
        op.execute(f"drop function if exists {function}")
