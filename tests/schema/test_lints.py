"""The toolkit's own objects draw none of the findings that Supabase's advisors report."""

from typing import Any, Literal

import psycopg
import pytest

from autosync_db.config import IsolationSettings
from autosync_db.schema import objects, revisions
from autosync_db.schema.isolation import choose

# lint: the query that lists offenders, and an offence that it must see
LINTS: dict[str, tuple[str, str]] = {
    "function_search_path_mutable": (
        """
        select p.oid::regprocedure::text from pg_proc as p
        where p.pronamespace in ('public'::regnamespace, 'autosync'::regnamespace)
            and not exists (select from unnest(p.proconfig) as setting where setting like 'search_path=%')
        """,
        "create function public.f() returns integer language sql as 'select 1'",
    ),
    "rls_disabled_in_public": (
        """
        select c.oid::regclass::text from pg_class as c
        where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relrowsecurity
        """,
        "create table public.t (id integer)",
    ),
    "rls_enabled_no_policy": (
        """
        select c.oid::regclass::text from pg_class as c
        where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and c.relrowsecurity
            and not exists (select from pg_policy as p where p.polrelid = c.oid)
        """,
        "create table public.t (id integer); alter table public.t enable row level security",
    ),
    "policy_exists_rls_disabled": (
        """
        select p.polname from pg_policy as p
        join pg_class as c on c.oid = p.polrelid
        where not c.relrowsecurity
        """,
        "create table public.t (id integer); create policy p on public.t using (false)",
    ),
    "rls_policy_always_true": (
        """
        select p.policyname from pg_policies as p
        where p.permissive = 'PERMISSIVE' and p.cmd <> 'SELECT' and 'true' in (p.qual, p.with_check)
        """,
        "create policy p on public.pg_cron_secrets for update using (true)",
    ),
    "multiple_permissive_policies": (
        """
        select format('%s %s %s', p.tablename, p.role, p.command)
        from (
            select q.schemaname, q.tablename, q.policyname, r.role, c.command
            from pg_policies as q
            cross join lateral unnest(q.roles) as r (role)
            cross join lateral unnest(
                case q.cmd when 'ALL' then array['SELECT', 'INSERT', 'UPDATE', 'DELETE'] else array[q.cmd] end
            ) as c (command)
            where q.permissive = 'PERMISSIVE' and q.schemaname in ('public', 'autosync')
        ) as p
        group by p.schemaname, p.tablename, p.role, p.command
        having count(*) > 1
        """,
        "create policy p on public.pg_cron_secrets for select to public using (false)",
    ),
    "auth_rls_initplan": (
        """
        select p.policyname from pg_policies as p
        where regexp_replace(concat_ws(' ', p.qual, p.with_check),
            '\\( SELECT auth\\.(uid|role|jwt)\\(\\)[^)]*\\)', '', 'gi') ~* 'auth\\.(uid|role|jwt)\\(\\)'
        """,
        "create policy p on public.auto_sync_schedules for select using (created_by = auth.uid())",
    ),
    "security_definer_executable_by_api_roles": (
        """
        select p.oid::regprocedure::text from pg_proc as p
        cross join (values ('anon'), ('authenticated')) as r (role)
        where p.pronamespace in ('public'::regnamespace, 'autosync'::regnamespace)
            and p.prosecdef and has_function_privilege(r.role, p.oid, 'execute')
        """,
        "create function public.f() returns integer language sql security definer as 'select 1'",
    ),
    "security_definer_view": (
        """
        select c.oid::regclass::text from pg_class as c
        where c.relnamespace in ('public'::regnamespace, 'autosync'::regnamespace) and c.relkind = 'v'
            and not coalesce(c.reloptions @> array['security_invoker=true'], false)
        """,
        "create view public.v as select 1",
    ),
    "extension_in_public": (
        "select e.extname from pg_extension as e where e.extnamespace = 'public'::regnamespace",
        "drop extension pg_net; create extension pg_net schema public",
    ),
    "unindexed_foreign_keys": (
        """
        select k.conname from pg_constraint as k
        where k.contype = 'f' and k.connamespace in ('public'::regnamespace, 'autosync'::regnamespace)
            and not exists (
                select from pg_index as i
                where i.indrelid = k.conrelid
                    and (i.indkey::smallint[])[0:cardinality(k.conkey) - 1] @> k.conkey
            )
        """,
        "create table autosync.t (tick_id bigint references autosync.tick (id))",
    ),
    "no_primary_key": (
        """
        select c.oid::regclass::text from pg_class as c
        where c.relnamespace in ('public'::regnamespace, 'autosync'::regnamespace) and c.relkind = 'r'
            and not exists (select from pg_index as i where i.indrelid = c.oid and i.indisprimary)
        """,
        "create table autosync.t (id bigint)",
    ),
    "duplicate_index": (
        """
        select a.indexrelid::regclass::text from pg_index as a
        join pg_index as b on b.indrelid = a.indrelid and b.indexrelid < a.indexrelid
            and b.indkey = a.indkey and b.indclass = a.indclass
            and pg_get_expr(b.indexprs, b.indrelid) is not distinct from pg_get_expr(a.indexprs, a.indrelid)
            and pg_get_expr(b.indpred, b.indrelid) is not distinct from pg_get_expr(a.indpred, a.indrelid)
        join pg_class as c on c.oid = a.indrelid
        where c.relnamespace in ('public'::regnamespace, 'autosync'::regnamespace)
        """,
        "create index twin on autosync.tick (job_id, id)",
    ),
    "sensitive_table_open_to_api_roles": (
        """
        select c.oid::regclass::text from pg_class as c
        cross join (values ('anon'), ('authenticated')) as r (role)
        where c.relnamespace in ('public'::regnamespace, 'autosync'::regnamespace) and c.relkind in ('r', 'v')
            -- a mode of isolation opens the schedules to their owners
            and c.oid <> 'public.auto_sync_schedules'::regclass
            and has_any_column_privilege(r.role, c.oid, 'select, insert, update, references')
        """,
        "grant select (secret) on public.pg_cron_secrets to anon",
    ),
}


# the application's tables that the modes of isolation read
APPLICATION = """
create schema app;
create table app.integrations (id uuid primary key, user_id uuid);
create table app.members (id uuid, organization_id uuid)
"""


@pytest.mark.parametrize("mode", ["none", "owner", "organization"])
def test_our_objects_draw_no_finding(
    mode: Literal["none", "owner", "organization"], transaction: psycopg.Connection[Any]
) -> None:
    transaction.execute(APPLICATION)
    isolation = IsolationSettings(mode=mode, integration_table="app.integrations", membership_table="app.members")
    choose(transaction, isolation)
    objects.apply(transaction, revisions.head())
    found = {lint: transaction.execute(query.encode()).fetchall() for lint, (query, _) in LINTS.items()}
    assert {lint: offenders for lint, offenders in found.items() if offenders} == {}


@pytest.mark.parametrize("lint", LINTS)
def test_the_lint_sees_an_offence(lint: str, transaction: psycopg.Connection[Any]) -> None:
    query, offence = LINTS[lint]
    transaction.execute(offence.encode())
    assert transaction.execute(query.encode()).fetchall() != []
