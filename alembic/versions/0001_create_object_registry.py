"""Create the registry of replaceable objects, autosync.object, and the memory of adoption and settings

The registry remembers which text of each file under sql/ was applied, and how the server showed the result, so that
only what changed is applied again and an edit in the database is noticed. The extensions are such files: dropped ones
are created again.

autosync.adopted remembers what was there before us, as the statements that bring it back: the revisions that complete
a table that was there write it, and their downgrades run it. What cannot be adopted is refused here, before any change.

Revision ID: 0001
Revises:
"""

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None

ADOPTION = Path(__file__).parents[1] / "adoption"


def _run(*names: str) -> None:
    for name in names:
        op.execute((ADOPTION / f"{name}.sql").read_text(encoding="utf-8"))


def upgrade() -> None:
    # all of them, so that one message says everything
    op.execute("select set_config('autosync.adopting', '0001,0002,0003,0004', true)")
    _run("tables", "refusals", "refuse")
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
        "comment on table autosync.object is 'the files of sql/ that are applied; written by autosync-db migrate'"
    )
    op.execute(
        """
        create table autosync.adopted (
            id bigint generated always as identity primary key,
            revision text not null,
            step integer not null,
            object text not null,
            undo text not null,
            adopted_at timestamptz not null default clock_timestamp()
        )
        """
    )
    op.execute(
        "comment on table autosync.adopted is "
        "'what was there before autosync-db, as the statements that bring it back; run by autosync-db rollback'"
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
    # pg_cron and pg_net stay: dropping pg_cron would delete every job in the database, not only ours
    op.execute("drop function if exists autosync.apply_object(text, text, text)")
    op.execute("drop function if exists autosync.object_rendering(text[])")
    op.execute("drop table if exists autosync.setting")
    op.execute("drop table if exists autosync.adopted")
    op.execute("drop table if exists autosync.object")
