"""Create the extensions pg_cron and pg_net, and the registry of replaceable objects

The registry remembers which text of each file under sql/ is in force, and how the server rendered it, so that
only what changed is applied again and an edit by hand is noticed.

No version is named: hosted platforms choose it. pg_cron's control file puts it into pg_catalog; pg_net goes to the
schema `extensions` where the platform has one, because linters warn about extensions in public.

Revision ID: 0001
Revises:
"""

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute("create extension if not exists pg_cron")
    op.execute(
        """
        do $$
        begin
            if to_regnamespace('extensions') is not null then
                create extension if not exists pg_net with schema extensions;
            else
                create extension if not exists pg_net;
            end if;
        end
        $$
        """
    )
    op.execute(
        """
        create table autosync.object (
            path text primary key,
            source_hash text not null,
            live_hash text not null,
            applied_at timestamptz not null default clock_timestamp()
        )
        """
    )
    op.execute(
        "comment on table autosync.object is "
        "'the files of sql/ that are in force; written by autosync-db migrate'"
    )


def downgrade() -> None:
    # the extensions stay: dropping pg_cron would delete every job in the database, not only ours
    op.execute("drop table autosync.object")
