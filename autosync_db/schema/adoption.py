"""Adoption: tables, trigger and job that were made by hand are completed in place, and can be given back.

The text here is for the revisions, and the facts are of the state that projects in the field have, which does not
change: what a table of that name must have, how it is refused, and how what is replaced is remembered in
autosync.adopted, as the statements that bring it back. All of it is SQL, so that `alembic upgrade head` and a printed
script adopt alike.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

# the order in which a downgrade brings things back
COMMENT, COLUMN, OWN_CONSTRAINT, ROW, CONSTRAINT, INDEX, FUNCTION, TRIGGER, PROTECTION, POLICY, GRANT, JOB = range(
    10, 130, 10
)
API_ROLES = ("anon", "authenticated", "service_role")
JOB_NAME = "auto-sync-cron-job"
# what looks like a secret in the text of a job
KEY = r"eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}|sb_secret_[A-Za-z0-9_-]{8,}|sbp_[0-9a-f]{40}"
# "anon" in base64, by its place
PUBLIC_KEY = "ImFub24i|Jhbm9uI|iYW5vbi"
FUNCTION_NAME = "auto-sync-cron"
TIMESTAMP = "timestamp with time zone"


@dataclass(frozen=True, slots=True)
class Column:
    """A column that a table to adopt must have, or may have if it is like this."""

    name: str
    type: str
    required: bool = True
    filled: bool = True  # may not be null


@dataclass(frozen=True, slots=True)
class Table:
    """What a table must be so that it can be completed in place."""

    name: str
    key: str
    columns: tuple[Column, ...]
    unique: tuple[str, ...] = ()
    # columns of the deployed table that get a comment of ours
    described: tuple[str, ...] = ()
    # whether we write whole rows, so that no other column may need a value
    written_whole: bool = False

    @property
    def new_columns(self) -> tuple[str, ...]:
        """Return the columns that the deployed table lacks."""
        return tuple(column.name for column in self.columns if not column.required)


SECRETS = Table(
    "public.pg_cron_secrets",
    "name",
    (
        Column("name", "text"),
        Column("secret", "text"),
        Column("created_at", TIMESTAMP, required=False, filled=False),
        Column("updated_at", TIMESTAMP, required=False, filled=False),
    ),
    written_whole=True,
)
SCHEDULES = Table(
    "public.auto_sync_schedules",
    "id",
    (
        Column("id", "uuid"),
        Column("integration_id", "uuid"),
        Column("organization_id", "uuid"),
        Column("enabled", "boolean"),
        Column("frequency_minutes", "integer"),
        Column("direction", "text"),
        Column("conflict_resolution", "text"),
        Column("only_online", "boolean"),
        Column("time_window_enabled", "boolean"),
        Column("time_window_start", "time without time zone", filled=False),
        Column("time_window_end", "time without time zone", filled=False),
        Column("device_filter", "text"),
        Column("device_tags", "text[]", filled=False),
        Column("last_run_at", TIMESTAMP, filled=False),
        Column("last_run_status", "text", filled=False),
        Column("last_run_summary", "jsonb", filled=False),
        Column("next_run_at", TIMESTAMP, filled=False),
        Column("created_at", TIMESTAMP),
        Column("updated_at", TIMESTAMP),
        Column("created_by", "uuid", filled=False),
        Column("updated_by", "uuid", filled=False),
        Column("timezone", "text", required=False),
        Column("claim_id", "uuid", required=False, filled=False),
        Column("claimed_at", TIMESTAMP, required=False, filled=False),
        Column("claim_expires_at", TIMESTAMP, required=False, filled=False),
        Column("consecutive_failures", "integer", required=False),
    ),
    unique=("integration_id",),
    described=("next_run_at",),
)

# rows that no constraint of ours accepts and that cannot be mended without a guess
SCHEDULES_VIOLATIONS = """
select 'public.auto_sync_schedules' as object,
    format('%s of %s rows has a value that is not known, e.g. %L in the row %s',
        w.name, count(*), min(w.value), (array_agg(s.id order by s.id))[1]) as detail
from public.auto_sync_schedules as s
cross join lateral (
    values
        ('direction', s.direction, s.direction in ('import', 'export', 'bidirectional')),
        ('conflict_resolution', s.conflict_resolution,
            s.conflict_resolution in ('newest_wins', 'local_wins', 'remote_wins', 'manual')),
        ('device_filter', s.device_filter, s.device_filter in ('all', 'tagged')),
        ('last_run_status', s.last_run_status, s.last_run_status in ('success', 'partial', 'failed'))
) as w (name, value, fits)
where (
        s.direction not in ('import', 'export', 'bidirectional')
        or s.conflict_resolution not in ('newest_wins', 'local_wins', 'remote_wins', 'manual')
        or s.device_filter not in ('all', 'tagged')
        or s.last_run_status not in ('success', 'partial', 'failed')
    )
    and not w.fits
group by w.name
union all
select 'public.auto_sync_schedules',
    format('timezone of %s rows is no IANA name, e.g. %L in the row %s',
        count(*), min(z.timezone), (array_agg(z.id order by z.id))[1])
from (
    select s.id, to_jsonb(s) ->> 'timezone' as timezone
    from public.auto_sync_schedules as s
    -- the column is ours, and seldom there before us
    where exists (
        select from pg_catalog.pg_attribute as a
        where a.attrelid = to_regclass('public.auto_sync_schedules') and a.attname = 'timezone' and not a.attisdropped
    )
) as z
where not exists (select from pg_catalog.pg_timezone_names as n where n.name = z.timezone)
having count(*) > 0
"""

# functions of ours whose name and arguments somebody else's function has
FUNCTIONS_TAKEN = """
select 'function ' || f.signature as object, 'exists already and is not of this package' as detail
from (values
    ('public.auto_sync_claim(integer, interval)'),
    ('public.auto_sync_complete(uuid, text, jsonb, uuid)')
) as f (signature)
where to_regprocedure(f.signature) is not null
"""

# what lies in our schema before the first revision has run
SCHEMA_TAKEN = """
select 'schema autosync' as object, format('holds %s, which is not of this package', c.relname) as detail
from pg_catalog.pg_class as c
where c.relnamespace = to_regnamespace('autosync') and c.relkind in ('r', 'p', 'v', 'm', 'f')
    and c.relname <> 'alembic_version'
"""

# any job but the one that is taken over, if it makes the same calls; and that one if it is somebody else's
JOBS_TAKEN = f"""
with adopted as (
    select c.jobid, coalesce(substring(c.command from '/functions/v1/([A-Za-z0-9_-]+)'), '{FUNCTION_NAME}') as function
    from cron.job as c
    where c.jobname = '{JOB_NAME}' and c.username = current_user
)
select format('cron job %s', coalesce(c.jobname, '(unnamed)')) as object,
    case when c.jobname = '{JOB_NAME}'
        then format('job %s belongs to the role %s, not to %s', c.jobid, c.username, current_user)
        else format('job %s (%s, role %s) calls the same function: end it with: select cron.unschedule(%s)',
            c.jobid, c.schedule, c.username, c.jobid)
    end as detail
from cron.job as c
where not exists (select from adopted as a where a.jobid = c.jobid)
    and c.database = current_database()
    and (
        c.jobname = '{JOB_NAME}'
        or c.command ~ ('/functions/v1/'
            || coalesce((select a.function from adopted as a), '{FUNCTION_NAME}') || '(?![A-Za-z0-9_-])')
    )
"""  # noqa: S608 - constants

ADOPTED_MODES: tuple[Literal["none", "organization", "custom"], ...] = ("none", "organization", "custom")
# How far the policies of the deployed table let users in, as one of our modes: `organization` when they say just that
# and nothing else, `custom` when they say anything else, `none` when they let nobody in. service_role needs none.
# The search path must be empty, so that names are shown with their schema.
_MEMBERSHIP = (
    r"^\(organization_id IN \( SELECT (\w+)\.organization_id FROM public\.users( \w+)?"
    r" WHERE \(\1\.id = (auth\.uid\(\)|\( SELECT auth\.uid\(\) AS uid\))\)\)\)$"
)
ISOLATION_FOUND = f"""
with policy as (
    select p.cmd, p.permissive,
        p.roles <@ array['public', 'authenticated']::name[] as for_users,
        coalesce(p.qual, 'false') <> 'false' or coalesce(p.with_check, 'false') <> 'false' as lets_in,
        regexp_replace(coalesce(p.qual, p.with_check), '\\s+', ' ', 'g') as reads,
        regexp_replace(coalesce(p.with_check, p.qual), '\\s+', ' ', 'g') as writes
    from pg_catalog.pg_policies as p
    where p.schemaname = 'public' and p.tablename = 'auto_sync_schedules'
        and not p.roles <@ array['service_role']::name[]
)
select case
    when not coalesce(bool_or(p.lets_in), false) then 'none'
    when bool_and(
            p.permissive = 'PERMISSIVE' and p.for_users
            and p.reads ~ '{_MEMBERSHIP}' and p.writes ~ '{_MEMBERSHIP}'
        )
        and bool_or(p.cmd = 'ALL')
        and (
            select bool_and(has_table_privilege(r.oid, to_regclass('public.auto_sync_schedules'), w.privilege))
            from pg_catalog.pg_roles as r
            cross join (values ('select'), ('insert'), ('update'), ('delete')) as w (privilege)
            where r.rolname = 'authenticated'
        )
        and (
            select count(*) = 2
            from pg_catalog.pg_attribute as a
            where a.attrelid = to_regclass('public.users') and a.attname in ('id', 'organization_id')
                and a.atttypid = 'uuid'::regtype
        )
        then 'organization'
    else 'custom'
end
from policy as p
"""  # noqa: S608 - constants

# what the trigger and the function alone write
OWN_COLUMNS = (
    "last_run_at",
    "last_run_status",
    "last_run_summary",
    "next_run_at",
    "claim_id",
    "claimed_at",
    "claim_expires_at",
    "consecutive_failures",
)


# The values that the checks cannot accept, brought to the nearest that behaves alike, and next_run_at where the
# deployed trigger left it wrong.
#   A frequency below 1 was due at every tick, as 1 is. start = end was at most that one minute.
#   A disabled schedule has no next run; an enabled one without was never run, and is due like one that never ran.
@dataclass(frozen=True, slots=True)
class Mend:
    """Rows that are changed by an adoption: which, what becomes of one of their columns, and the words for it."""

    which: str
    column: str
    becomes: str
    told: str
    # whether a downgrade puts the value back
    remembered: bool = True


MENDS = (
    Mend(
        "not frequency_minutes between 1 and 44640",
        "frequency_minutes",
        "least(greatest(frequency_minutes, 1), 44640)",
        "frequencies are brought to 1 to 44640 minutes",
    ),
    Mend(
        "time_window_enabled and time_window_start = time_window_end",
        "time_window_end",
        "time_window_start + interval '1 minute'",
        "windows with start = end become one minute wide",
    ),
    Mend(
        "time_window_enabled and (time_window_start is null or time_window_end is null)",
        "time_window_enabled",
        "false",
        "half windows are turned off",
    ),
    Mend(
        "not enabled and next_run_at is not null",
        "next_run_at",
        "null",
        "next runs of disabled schedules are cleared",
        remembered=False,
    ),
    Mend(
        "enabled and next_run_at is null",
        "next_run_at",
        "greatest(last_run_at + make_interval(mins => least(greatest(frequency_minutes, 1), 44640)), now())",
        "enabled schedules that had no next run get one",
        remembered=False,
    ),
)

_HINT = "see all of it with: autosync-db migrate --dry-run; then change what the message names, or rename the table"


def differences(table: Table) -> str:
    """Return the query of what keeps a relation of this name from being adopted: object and detail, by the catalog."""
    expected = ",\n".join(
        f"            ({n}, '{c.name}', '{c.type}', {str(c.required).lower()}, {str(c.filled).lower()})"
        for n, c in enumerate(table.columns)
    )
    keys = [("primary key", "i.indisprimary", table.key)]
    keys += [("unique index", "i.indisunique and i.indpred is null", name) for name in table.unique]
    indexes = "".join(
        f"""
    union all
    select 4, 'has no {kind} on {name} alone'
    where c.relkind = 'r' and not exists (
        select from pg_catalog.pg_index as i
        join pg_catalog.pg_attribute as a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
        where i.indrelid = c.oid and {condition} and i.indisvalid and i.indimmediate
            and i.indnkeyatts = 1 and a.attname = '{name}'
    )"""  # noqa: S608 - constants
        for kind, condition, name in keys
    )
    unknown = f"""
    union all
    select 5, format('column %I needs a value that nobody knows', a.attname)
    from pg_catalog.pg_attribute as a
    where c.relkind = 'r' and a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        and a.attnotnull and not a.atthasdef and a.attidentity = ''
        and a.attname <> all(array[{_listed(column.name for column in table.columns)}])"""  # noqa: S608 - constants
    return f"""
select '{table.name}' as object, d.detail
from pg_catalog.pg_class as c
cross join lateral (
    select 1 as position, 'is ' || case c.relkind
            when 'v' then 'a view' when 'm' then 'a materialized view' when 'f' then 'a foreign table'
            when 'p' then 'a partitioned table' else 'no table'
        end as detail
    where c.relkind <> 'r'
    union all
    select 2, format('belongs to the role %s, as which %s may not act', c.relowner::regrole, current_user)
    where not pg_has_role(c.relowner, 'usage')
    union all
    select 3, string_agg(
        case
            when a.attname is null then format('column %I is missing (%s)', e.name, e.type)
            when format_type(a.atttypid, a.atttypmod) <> e.type
                then format('column %I is %s, not %s', e.name, format_type(a.atttypid, a.atttypmod), e.type)
            when a.attgenerated <> '' or a.attidentity <> '' then format('column %I is generated', e.name)
            else format('column %I may be null', e.name)
        end, '; ' order by e.position)
    from (values
{expected}
    ) as e (position, name, type, required, filled)
    left join pg_catalog.pg_attribute as a
        on a.attrelid = c.oid and a.attname = e.name and a.attnum > 0 and not a.attisdropped
    where c.relkind = 'r'
        and (
            a.attname is null and e.required
            or format_type(a.atttypid, a.atttypmod) <> e.type
            or a.attgenerated <> ''
            or a.attidentity <> ''
            or e.filled and not a.attnotnull
        )
    having count(*) > 0{indexes}{unknown if table.written_whole else ""}
) as d
where c.oid = to_regclass('{table.name}')
"""  # noqa: S608 - constants


def refuse(*subjects: Table, schema: bool = False, jobs: bool = False) -> str:
    """Return the statement that raises, with every difference, when one of the subjects cannot be adopted."""
    queries = [differences(table) for table in subjects]
    queries += [FUNCTIONS_TAKEN] if SCHEDULES in subjects else []
    queries += [SCHEMA_TAKEN] if schema else []
    values = (
        f"""
    -- only a table that is right can be asked for its values
    if found is null and to_regclass('{SCHEDULES.name}') is not null then
        select string_agg(d.object || ': ' || d.detail, '; ') into found from ({SCHEDULES_VIOLATIONS}) as d;
        complaints := complaints || found;
    end if;"""  # noqa: S608 - constants
        if SCHEDULES in subjects
        else ""
    )
    scheduled = (
        f"""
    if to_regclass('cron.job') is not null then
        select string_agg(d.object || ': ' || d.detail, '; ') into found from ({JOBS_TAKEN}) as d;
        complaints := complaints || found;
    end if;"""  # noqa: S608 - constants
        if jobs
        else ""
    )
    union = "union all".join(queries) or "select null::text as object, null::text as detail where false"
    return f"""
do $refuse$
declare
    found text;
    complaints text[] := array[]::text[];
begin
    select string_agg(d.object || ': ' || d.detail, '; ') into found from ({union}) as d;
    complaints := complaints || found;{values}{scheduled}
    if array_to_string(complaints, '') <> '' then
        raise exception 'what is there cannot be adopted: %', array_to_string(complaints, '; ')
            using errcode = 'invalid_table_definition', hint = '{_HINT}';
    end if;
end
$refuse$
"""  # noqa: S608 - constants


def remember(table: Table, revision: str, grantees: tuple[str, ...] | None = None) -> str:
    """Return the statement that writes down how the table was protected and described, if there is one to adopt.

    The row with its comment is always written: it says that the table is not ours to drop. `grantees` are those whose
    grants we change (besides PUBLIC), None for everybody but the owner.
    """
    chosen = "true" if grantees is None else f"(a.grantee = 0 or r.rolname in ({_listed(grantees)}))"
    name, bare = table.name, table.name.partition(".")[2]
    named = "case when a.grantee = 0 then 'public' else quote_ident(r.rolname) end"
    of_grantees = f"left join pg_catalog.pg_roles as r on r.oid = a.grantee where a.grantee <> c.relowner and {chosen}"
    return f"""
do $remember$
declare
    subject constant regclass := to_regclass('{name}');
    search_path_before constant text := current_setting('search_path');
begin
    if subject is null then
        return;
    end if;
    perform set_config('search_path', '', true);
    insert into autosync.adopted (revision, step, object, undo)
    select '{revision}', {COMMENT}, '{name}',
        format('comment on table {name} is %L', obj_description(subject, 'pg_class'))
    union all
    select '{revision}', {COMMENT}, 'column ' || a.attname,
        format('comment on column {name}.%I is %L', a.attname, col_description(subject, a.attnum))
    from pg_catalog.pg_attribute as a
    where a.attrelid = subject and a.attname = any(array[{_listed(table.described)}]::text[])
    union all
    select '{revision}', {COLUMN}, 'column ' || w.name, format('alter table {name} drop column if exists %I', w.name)
    from unnest(array[{_listed(table.new_columns)}]) as w (name)
    where not exists (
        select from pg_catalog.pg_attribute as a
        where a.attrelid = subject and a.attname = w.name and not a.attisdropped
    )
    union all
    select '{revision}', {PROTECTION}, 'row level security',
        format('alter table {name} %s row level security', case when c.relrowsecurity then 'enable' else 'disable' end)
    from pg_catalog.pg_class as c
    where c.oid = subject
    union all
    select '{revision}', {POLICY} - 1, 'policy {bare}_' || m.mode,
        format('drop policy if exists %I on {name}', '{bare}_' || m.mode)
    from unnest(array['nobody', 'owner', 'organization']) as m (mode)
    union all
    select '{revision}', {POLICY}, 'policy ' || p.policyname, format(
        'drop policy if exists %1$I on {name}; create policy %1$I on {name} as %2$s for %3$s to %4$s%5$s%6$s',
        p.policyname, p.permissive, p.cmd,
        (
            select string_agg(case q.role_name when 'public' then 'public' else quote_ident(q.role_name) end, ', ')
            from unnest(p.roles) as q (role_name)
        ),
        ' using (' || p.qual || ')', ' with check (' || p.with_check || ')')
    from pg_catalog.pg_policies as p
    where p.schemaname = 'public' and p.tablename = '{bare}'
    union all
    select '{revision}', {GRANT} - 1, 'grants', $undo$
do $revoke$
declare
    stranger text;
begin
    for stranger in
        select distinct {named}
        from pg_catalog.pg_class as c
        cross join lateral (
            select e.grantee from pg_catalog.aclexplode(c.relacl) as e
            union
            select e.grantee
            from pg_catalog.pg_attribute as t
            cross join lateral pg_catalog.aclexplode(t.attacl) as e
            where t.attrelid = c.oid
        ) as a
        {of_grantees} and c.oid = to_regclass('{name}')
    loop
        execute format('revoke all on table {name} from %s', stranger);
    end loop;
end
$revoke$
$undo$
    union all
    select '{revision}', {GRANT}, 'grants to ' || g.grantee, format('grant %s on table {name} to %s%s',
        string_agg(g.privilege_type, ', '), g.grantee, case when g.is_grantable then ' with grant option' end)
    from (
        select {named} as grantee, a.privilege_type, a.is_grantable
        from pg_catalog.pg_class as c
        cross join lateral pg_catalog.aclexplode(c.relacl) as a
        {of_grantees} and c.oid = subject
    ) as g
    group by g.grantee, g.is_grantable
    union all
    select '{revision}', {GRANT}, 'grants to ' || g.grantee, format('grant %s (%s) on table {name} to %s%s',
        g.privilege_type, string_agg(quote_ident(g.attname), ', '), g.grantee,
        case when g.is_grantable then ' with grant option' end)
    from (
        select {named} as grantee, a.privilege_type, a.is_grantable, t.attname
        from pg_catalog.pg_class as c
        join pg_catalog.pg_attribute as t on t.attrelid = c.oid and not t.attisdropped
        cross join lateral pg_catalog.aclexplode(t.attacl) as a
        {of_grantees} and c.oid = subject
    ) as g
    group by g.grantee, g.privilege_type, g.is_grantable;
    perform set_config('search_path', search_path_before, true);
end
$remember$
"""  # noqa: S608 - constants


def user_columns(settable: Iterable[str]) -> str:
    """Return the query of the columns, besides those that are `settable` anyway, that signed-in users may write today.

    They are the project's own, and those of ours that are harmless; as JSON, by privilege.
    """
    return f"""
select jsonb_object_agg(f.privilege, f.columns)
from (
    select w.privilege, jsonb_agg(a.attname order by a.attnum) as columns
    from pg_catalog.pg_attribute as a
    cross join (values ('insert'), ('update')) as w (privilege)
    join pg_catalog.pg_roles as r on r.rolname = 'authenticated'
    where a.attrelid = to_regclass('public.auto_sync_schedules') and a.attnum > 0 and not a.attisdropped
        and has_column_privilege(r.oid, a.attrelid, a.attnum, w.privilege)
        and a.attname <> all(array[{_listed((*settable, *OWN_COLUMNS))}])
    group by w.privilege
) as f
"""  # noqa: S608 - constants


def undo(revision: str) -> str:
    """Return the statement that brings back what was remembered for `revision`, and forgets it."""
    return f"""
do $undo$
declare
    statement text;
begin
    for statement in select a.undo from autosync.adopted as a where a.revision = '{revision}' order by a.step, a.id loop
        execute statement;
    end loop;
    delete from autosync.adopted as a where a.revision = '{revision}';
end
$undo$
"""  # noqa: S608 - constants


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
