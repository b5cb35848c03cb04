-- remember: write down how the table of the revision in autosync.adopting was protected and described, if it is there.
--
-- autosync.adopted holds statements that bring back what was there; undo.sql runs them in the order of their steps:
-- 10 comments, 20 columns, 30 our constraints, 40 rows, 50 constraints, 60 indexes, 70 functions, 80 triggers,
-- 90 row level security, 100 policies, 110 grants, 120 jobs. The row with the table's comment is always written: it says
-- that the table is not ours to drop.
do $remember$
declare
    adopting constant text := current_setting('autosync.adopting');
    wanted record;
    subject regclass;
    bare text;
    described name[];
    everybody boolean;
    grantees name[];
    search_path_before constant text := current_setting('search_path');
begin
    select t.* into wanted
    from jsonb_to_recordset(current_setting('autosync.tables')::jsonb) as t (
        name text, revision text, described jsonb, grantees jsonb, columns jsonb
    )
    where t.revision = adopting;
    subject := to_regclass(wanted.name);
    if subject is null then
        return;
    end if;
    bare := split_part(wanted.name, '.', 2);
    described := array(select jsonb_array_elements_text(wanted.described));
    everybody := wanted.grantees is null;
    grantees := array(select jsonb_array_elements_text(wanted.grantees));
    perform set_config('search_path', '', true);

    insert into autosync.adopted (revision, step, object, undo)
    select adopting, 10, wanted.name,
        format('comment on table %s is %L', wanted.name, obj_description(subject, 'pg_class'))
    union all
    select adopting, 10, 'column ' || a.attname,
        format('comment on column %s.%I is %L', wanted.name, a.attname, col_description(subject, a.attnum))
    from pg_catalog.pg_attribute as a
    where a.attrelid = subject and a.attname = any(described)
    union all
    select adopting, 20, 'column ' || c.name, format('alter table %s drop column if exists %I', wanted.name, c.name)
    from jsonb_to_recordset(wanted.columns) as c (name text, required boolean)
    where not c.required
        and not exists (
            select from pg_catalog.pg_attribute as a
            where a.attrelid = subject and a.attname = c.name and not a.attisdropped
        )
    union all
    select adopting, 90, 'row level security', format('alter table %s %s row level security',
        wanted.name, case when c.relrowsecurity then 'enable' else 'disable' end)
    from pg_catalog.pg_class as c
    where c.oid = subject
    union all
    select adopting, 99, format('policy %s_%s', bare, m.mode),
        format('drop policy if exists %I on %s', format('%s_%s', bare, m.mode), wanted.name)
    from unnest(array['nobody', 'owner', 'organization']) as m (mode)
    union all
    select adopting, 100, 'policy ' || p.policyname, format(
        'drop policy if exists %1$I on %7$s; create policy %1$I on %7$s as %2$s for %3$s to %4$s%5$s%6$s',
        p.policyname, p.permissive, p.cmd,
        (
            select string_agg(case q.role_name when 'public' then 'public' else quote_ident(q.role_name) end, ', ')
            from unnest(p.roles) as q (role_name)
        ),
        ' using (' || p.qual || ')', ' with check (' || p.with_check || ')', wanted.name)
    from pg_catalog.pg_policies as p
    where p.schemaname = 'public' and p.tablename = bare;

    -- whoever has grants by the time of the undo loses them before those that were there come back
    insert into autosync.adopted (revision, step, object, undo)
    select adopting, 109, 'grants', format($undo$
do $revoke$
declare
    grantee text;
begin
    for grantee in
        select distinct case when a.grantee = 0 then 'public' else quote_ident(r.rolname) end
        from pg_catalog.pg_class as c
        cross join lateral (
            select e.grantee from pg_catalog.aclexplode(c.relacl) as e
            union
            select e.grantee
            from pg_catalog.pg_attribute as t
            cross join lateral pg_catalog.aclexplode(t.attacl) as e
            where t.attrelid = c.oid
        ) as a
        left join pg_catalog.pg_roles as r on r.oid = a.grantee
        where a.grantee <> c.relowner and c.oid = to_regclass(%1$L)
            and (%2$L or a.grantee = 0 or r.rolname = any(%3$L::name[]))
    loop
        execute format('revoke all on table %1$s from %%s', grantee);
    end loop;
end
$revoke$
$undo$, wanted.name, everybody, grantees);

    insert into autosync.adopted (revision, step, object, undo)
    select adopting, 110, 'grants to ' || g.grantee, format('grant %s on table %s to %s%s',
        string_agg(g.privilege_type, ', '), wanted.name, g.grantee,
        case when g.is_grantable then ' with grant option' end)
    from (
        select case when a.grantee = 0 then 'public' else quote_ident(r.rolname) end as grantee,
            a.privilege_type, a.is_grantable
        from pg_catalog.pg_class as c
        cross join lateral pg_catalog.aclexplode(c.relacl) as a
        left join pg_catalog.pg_roles as r on r.oid = a.grantee
        where c.oid = subject and a.grantee <> c.relowner
            and (everybody or a.grantee = 0 or r.rolname = any(grantees))
    ) as g
    group by g.grantee, g.is_grantable
    union all
    select adopting, 110, 'grants to ' || g.grantee, format('grant %s (%s) on table %s to %s%s',
        g.privilege_type, string_agg(quote_ident(g.attname), ', '), wanted.name, g.grantee,
        case when g.is_grantable then ' with grant option' end)
    from (
        select case when a.grantee = 0 then 'public' else quote_ident(r.rolname) end as grantee,
            a.privilege_type, a.is_grantable, t.attname
        from pg_catalog.pg_class as c
        join pg_catalog.pg_attribute as t on t.attrelid = c.oid and not t.attisdropped
        cross join lateral pg_catalog.aclexplode(t.attacl) as a
        left join pg_catalog.pg_roles as r on r.oid = a.grantee
        where c.oid = subject and a.grantee <> c.relowner
            and (everybody or a.grantee = 0 or r.rolname = any(grantees))
    ) as g
    group by g.grantee, g.privilege_type, g.is_grantable;
    perform set_config('search_path', search_path_before, true);
end
$remember$
