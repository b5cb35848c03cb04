-- autosync.key_rotation: the journal of rotate --auto holds no secret, and is the owner's alone to read and write.
-- requires: 0006
alter table autosync.key_rotation enable row level security;

do $$
declare
    stale name;
begin
    for stale in select p.policyname from pg_catalog.pg_policies as p
        where p.schemaname = 'autosync' and p.tablename = 'key_rotation'
    loop
        execute pg_catalog.format('drop policy %I on autosync.key_rotation', stale);
    end loop;
end
$$;

create policy key_rotation_nobody on autosync.key_rotation
    as permissive
    for all
    to public
    using (false)
    with check (false);

do $$
declare
    grantee text;
begin
    for grantee in
        select case when a.grantee = 0 then 'public' else cast(cast(a.grantee as regrole) as text) end
        from pg_catalog.pg_class as c
        cross join lateral (
            select e.grantee from pg_catalog.aclexplode(c.relacl) as e
            union
            select e.grantee
            from pg_catalog.pg_attribute as t
            cross join lateral pg_catalog.aclexplode(t.attacl) as e
            where t.attrelid = c.oid
        ) as a
        where c.oid = cast('autosync.key_rotation' as regclass) and a.grantee <> c.relowner
    loop
        -- the server itself quoted the name
        execute pg_catalog.format('revoke all on table autosync.key_rotation from %s', grantee);
    end loop;
end
$$;
