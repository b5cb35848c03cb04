"""Create or complete public.auto_sync_schedules, the table of scheduled syncs

A table that was there before us is completed in place: every row and id stays, the missing columns, checks and
indexes are added, and the trigger that recomputed next_run_at on every update goes away together with its
functions. Values that the checks cannot accept, and that the earlier table let in, are brought to the nearest
that behaves alike. What is replaced is remembered, and a downgrade gives the table back instead of dropping it.

While it looks, changes rows and builds what needs no new column, an adopted table can be read and not written; from
the first new column to the commit it can be neither.

Revision ID: 0003
Revises: 0002
"""

from pathlib import Path

from alembic import op

revision = "0003"
down_revision = "0002"

ADOPTION = Path(__file__).parents[1] / "adoption"


def _run(*names: str) -> None:
    for name in names:
        op.execute((ADOPTION / f"{name}.sql").read_text(encoding="utf-8"))


# Foreign keys to the application's tables are the application's: an adopted table keeps those it has.
TABLE = """
create table if not exists public.auto_sync_schedules (
    id uuid primary key default gen_random_uuid(),
    integration_id uuid not null unique,
    organization_id uuid,
    enabled boolean not null default false,
    frequency_minutes integer not null default 15,
    direction text not null default 'bidirectional',
    conflict_resolution text not null default 'newest_wins',
    only_online boolean not null default true,
    time_window_enabled boolean not null default false,
    time_window_start time,
    time_window_end time,
    device_filter text not null default 'all',
    device_tags text[],
    last_run_at timestamptz,
    last_run_status text,
    last_run_summary jsonb,
    next_run_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    created_by uuid,
    updated_by uuid
)
-- room on each page for the next version of its rows: a claim changes no column that is in an index
with (fillfactor = 85)
"""

# indexes that an adopted table lacks go away again
NEW_INDEXES = """
insert into autosync.adopted (revision, step, object, undo)
select '0003', 60, 'index ' || w.name, format('drop index if exists public.%I', w.name)
from (values ('idx_auto_sync_schedules_organization_id'), ('idx_auto_sync_schedules_next_run')) as w (name)
where to_regclass('public.' || w.name) is null
    and exists (select from autosync.adopted as a where a.revision = '0003')
"""
# For auto_sync_claim: due minute by minute, in each of them by time window and by organization, so that whoever holds a
# part of it that is of no use (a window that is shut, an organization that had its turn) is passed in one step. No
# column that a claim writes is in it: a claimed row stays where it is, and is passed over until it has run.
CLAIMABLE = """
create index if not exists auto_sync_schedules_claimable_idx on public.auto_sync_schedules (
    date_bin('1 minute', next_run_at, timestamptz '2000-01-01 00:00+00'),
    (case when time_window_enabled
        then hashtext(timezone || cast(time_window_start as text) || cast(time_window_end as text)) else 0 end),
    (coalesce(uuid_hash_extended(organization_id, 0), 0)),
    next_run_at
) where enabled and claim_retry_at is null
"""
# those that were claimed twice or more and never ran, which are few
RETRIES = """
create index if not exists auto_sync_schedules_retries_idx on public.auto_sync_schedules (
    greatest(next_run_at, claim_retry_at)
) where enabled and claim_retry_at is not null
"""

COMMENTS = {
    "timezone": "IANA zone of the time window, Region/City or UTC",
    "next_run_at": "owned by the trigger auto_sync_schedules_next_run_at; what a writer gives is ignored",
    "claim_id": "set by auto_sync_claim, given back to auto_sync_complete; null while nobody works on it",
    "claimed_at": "when the claim was taken",
    "claim_expires_at": "when the lease ends and anybody may claim the schedule again",
    "claims_since_run": "how often it was claimed since its last run; more than once: nobody reported a result",
    "claim_retry_at": "when it may be claimed again, for a schedule that was claimed twice or more without a result",
    "completed_claim_id": "the claim that its last run was completed with; completing it again changes nothing",
    "consecutive_failures": "failed runs since the last success; the wait for the next run doubles with each",
}

# what the table as it was has no place for
LOST = """
do $lost$
declare
    rows_with_zone bigint;
begin
    if exists (select from autosync.adopted as a where a.revision = '0003') then
        -- a table that had the column, or that is kept, loses none of them
        if exists (
            select from autosync.adopted as a
            where a.revision = '0003' and a.step = 20 and a.object = 'column timezone'
        ) then
            select count(*) into rows_with_zone from public.auto_sync_schedules as s where s.timezone <> 'UTC';
            if rows_with_zone > 0 then
                raise warning 'the time zones of % schedules are lost: the table had no place for them', rows_with_zone;
            end if;
        end if;
        if to_regclass('autosync.setting') is not null then
            delete from autosync.setting as s where s.name in ('isolation', 'user_columns', 'isolation_undecided');
        end if;
    else
        -- without cascade: what somebody made on it is theirs
        drop table if exists public.auto_sync_schedules;
    end if;
end
$lost$
"""


def upgrade() -> None:
    op.execute("select set_config('autosync.adopting', '0003', true)")
    _run("tables", "refusals", "refuse", "remember")
    _run("lock_schedules", "isolation_found", "user_columns", "retired", "adopt_schedules", "fixes")
    op.execute(TABLE)
    op.execute(NEW_INDEXES)
    # before the table is completed, which locks readers out
    op.execute(
        "create index if not exists idx_auto_sync_schedules_organization_id"
        " on public.auto_sync_schedules (organization_id)"
    )
    # for deployed functions, which select by next_run_at
    op.execute(
        "create index if not exists idx_auto_sync_schedules_next_run"
        " on public.auto_sync_schedules (next_run_at) where enabled"
    )
    _run("checks", "complete_schedules")
    op.execute(CLAIMABLE)
    op.execute(RETRIES)
    _run("retire_schedules")
    op.execute("alter table public.auto_sync_schedules enable row level security")
    op.execute("comment on table public.auto_sync_schedules is 'One scheduled sync per integration'")
    for column, comment in COMMENTS.items():
        op.execute(f"comment on column public.auto_sync_schedules.{column} is '{comment}'")


def downgrade() -> None:
    op.execute("drop trigger if exists auto_sync_schedules_next_run_at on public.auto_sync_schedules")
    for function in (
        "public.auto_sync_complete(uuid, text, jsonb, uuid)",
        "public.auto_sync_claim(integer, interval)",
        "autosync.due_schedules(integer)",
        "autosync.make_due(uuid)",
        "autosync.move_shut_windows(integer)",
        "autosync.set_next_run_at()",
        "autosync.move_shut_windows(integer)",
        "autosync.next_run_at(boolean, timestamptz, integer, boolean, time, time, text, "
        "timestamptz, integer, timestamptz)",
        "autosync.window_is_open(timestamptz, time, time, text)",
        "autosync.window_opening(timestamptz, time, time, text)",
        "autosync.first_instant(timestamp, text)",
        "autosync.is_time_zone(text)",
    ):
        op.execute(f"drop function if exists {function}")
    op.execute(LOST)
    op.execute("select set_config('autosync.adopting', '0003', true)")
    _run("undo")
