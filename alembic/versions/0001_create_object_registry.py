"""Create the registry of replaceable objects, autosync.object

It remembers which text of each file under sql/ is in force, and how the server rendered it, so that only what changed
is applied again and an edit by hand is noticed. The extensions are such files: dropped ones are made anew.

Revision ID: 0001
Revises:
"""

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
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
        "comment on table autosync.object is 'the files of sql/ that are in force; written by autosync-db migrate'"
    )


def downgrade() -> None:
    # pg_cron and pg_net stay: dropping pg_cron would delete every job in the database, not only ours
    op.execute("drop table autosync.object")
