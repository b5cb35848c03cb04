"""Create the table public.pg_cron_secrets

It holds the two values that every tick needs, project_url and service_role_key. A table that was made by the
guide's migrations is completed in place; who may read it is decided in sql/access/.

Revision ID: 0002
Revises: 0001
"""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute(
        """
        create table if not exists public.pg_cron_secrets (
            name text primary key,
            secret text not null,
            created_at timestamptz not null default now(),
            updated_at timestamptz not null default now()
        )
        """
    )
    # closed in the same transaction that creates it, whatever the default privileges are
    op.execute("alter table public.pg_cron_secrets enable row level security")
    op.execute("revoke all on table public.pg_cron_secrets from public")
    op.execute(
        "comment on table public.pg_cron_secrets is "
        "'project_url and service_role_key of the scheduled calls; change them with autosync-db setup'"
    )


def downgrade() -> None:
    op.execute("drop function if exists autosync.service_key_facts()")
    op.execute("drop table public.pg_cron_secrets")
