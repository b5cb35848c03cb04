"""Create or complete public.auto_sync_schedules, the table of scheduled syncs.

A table that was made by hand is completed in place: every row and id stays, the missing columns, checks and
indexes are added, and the trigger that recomputed next_run_at on every update goes away together with its
functions. Values that the checks cannot accept, and that the earlier table let in, are mended to the nearest
that behaves alike.
"""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# Foreign keys to the application's tables are the application's: an adopted table keeps those it has.
TABLE = """
create table if not exists public.auto_sync_schedules (
    id uuid primary key default gen_random_uuid(),
    integration_id uuid not null unique,
    organization_id uuid not null,
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
"""

COLUMNS = """
alter table public.auto_sync_schedules
    add column if not exists timezone text not null default 'UTC',
    add column if not exists claim_id uuid,
    add column if not exists claimed_at timestamptz,
    add column if not exists claim_expires_at timestamptz,
    add column if not exists consecutive_failures integer not null default 0
"""

RETIRED = (
    "drop trigger if exists trigger_update_auto_sync_next_run on public.auto_sync_schedules",
    "drop function if exists public.update_auto_sync_next_run()",
    "drop function if exists public.calculate_next_run(integer, boolean, time, time)",
    # the unique constraint has the same index; an index on a boolean is never selective
    "drop index if exists public.idx_auto_sync_schedules_integration_id",
    "drop index if exists public.idx_auto_sync_schedules_enabled",
)

# A frequency below 1 was due at every tick, as 1 is; start = end was at most that one minute.
MENDED = """
do $$
declare
    mended bigint;
begin
    update public.auto_sync_schedules
    set frequency_minutes = least(greatest(frequency_minutes, 1), 44640)
    where frequency_minutes not between 1 and 44640;
    get diagnostics mended = row_count;
    if mended > 0 then
        raise warning 'auto_sync_schedules: % frequencies were brought to 1 to 44640 minutes', mended;
    end if;

    update public.auto_sync_schedules
    set time_window_end = time_window_start + interval '1 minute'
    where time_window_enabled and time_window_start = time_window_end;
    get diagnostics mended = row_count;
    if mended > 0 then
        raise warning 'auto_sync_schedules: % windows with start = end were made one minute wide', mended;
    end if;

    update public.auto_sync_schedules
    set time_window_enabled = false
    where time_window_enabled and (time_window_start is null or time_window_end is null);
    get diagnostics mended = row_count;
    if mended > 0 then
        raise warning 'auto_sync_schedules: % half windows were turned off', mended;
    end if;
end
$$
"""

CHECKS = {
    "auto_sync_schedules_frequency_minutes_check": "frequency_minutes between 1 and 44640",
    "auto_sync_schedules_direction_check": "direction in ('import', 'export', 'bidirectional')",
    "auto_sync_schedules_conflict_resolution_check": (
        "conflict_resolution in ('newest_wins', 'local_wins', 'remote_wins', 'manual')"
    ),
    "auto_sync_schedules_device_filter_check": "device_filter in ('all', 'tagged')",
    "auto_sync_schedules_last_run_status_check": "last_run_status in ('success', 'partial', 'failed')",
    # A lone bound of a window that is off harms nobody, and earlier tables may hold one.
    "valid_time_window": (
        "not time_window_enabled or (time_window_start is not null and time_window_end is not null "
        "and time_window_start <> time_window_end)"
    ),
    "auto_sync_schedules_consecutive_failures_check": "consecutive_failures >= 0",
    "auto_sync_schedules_claim_check": "num_nulls(claim_id, claimed_at, claim_expires_at) in (0, 3)",
}

INDEXES = (
    """
    create index if not exists idx_auto_sync_schedules_organization_id
    on public.auto_sync_schedules (organization_id)
    """,
    # for the functions in the field, which select by next_run_at
    """
    create index if not exists idx_auto_sync_schedules_next_run
    on public.auto_sync_schedules (next_run_at) where enabled
    """,
    # for auto_sync_claim: a claimed row leaves the due end of this index until its lease ends
    """
    create index if not exists auto_sync_schedules_claimable_idx
    on public.auto_sync_schedules (greatest(next_run_at, claim_expires_at)) where enabled
    """,
)

COMMENTS = {
    "timezone": "IANA zone of the time window, Region/City or UTC",
    "next_run_at": "owned by the trigger auto_sync_schedules_next_run_at; what a writer gives is ignored",
    "claim_id": "set by auto_sync_claim, given back to auto_sync_complete; null while nobody works on it",
    "claimed_at": "when the claim was taken",
    "claim_expires_at": "when the lease ends and anybody may claim the schedule again",
    "consecutive_failures": "failed runs since the last success; the wait for the next run doubles with each",
}


def upgrade() -> None:
    op.execute(TABLE)
    op.execute(COLUMNS)
    for statement in RETIRED:
        op.execute(statement)
    op.execute(MENDED)
    changes = []
    for name, condition in CHECKS.items():
        changes += [f"drop constraint if exists {name}", f"add constraint {name} check ({condition})"]
    op.execute("alter table public.auto_sync_schedules\n    " + ",\n    ".join(changes))
    for statement in INDEXES:
        op.execute(statement)
    op.execute("alter table public.auto_sync_schedules enable row level security")
    op.execute("comment on table public.auto_sync_schedules is 'One scheduled sync per integration'")
    for column, comment in COMMENTS.items():
        op.execute(f"comment on column public.auto_sync_schedules.{column} is '{comment}'")


def downgrade() -> None:
    op.execute("drop table if exists public.auto_sync_schedules cascade")
    for function in (
        "public.auto_sync_complete(uuid, text, jsonb, uuid)",
        "public.auto_sync_claim(integer, interval)",
        "autosync.set_next_run_at()",
        "autosync.next_run_at(boolean, timestamptz, integer, boolean, time, time, text, "
        "timestamptz, integer, timestamptz)",
        "autosync.window_is_open(timestamptz, time, time, text)",
        "autosync.window_opening(timestamptz, time, time, text)",
        "autosync.first_instant(timestamp, text)",
        "autosync.is_time_zone(text)",
    ):
        op.execute(f"drop function if exists {function}")
