-- replaced_held_by(rotation_token): who else holds a secret that this rotation replaces, by place; with a reason, what was not seen.
-- requires: 0006
-- Called before finish_rotation() deletes what was kept, so that the value never leaves the database. Nothing of it is returned.
-- Every place is looked at by itself: one that cannot be read is said, and the others are looked at all the same.
create or replace function autosync.replaced_held_by(rotation_token uuid)
returns table (place text, name text, reason text)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    replaced text[];
    trusted oid[];
    item record;
begin
    -- who may act as this role, and the owner of what it calls; a view of anybody else would run theirs as this role
    trusted := array(
        select r.oid
        from pg_roles as r
        where pg_has_role(r.oid, current_user, 'member')
            or r.oid = (select n.nspowner from pg_namespace as n where n.nspname = 'autosync')
    );
    replaced := array(
        select r.previous
        from autosync.secret_rotation as r
        where r.token = rotation_token and r.kept = 'here' and r.name <> 'project_url' and r.name not like 'setting:%'
    );
    if exists (select from autosync.secret_rotation as r where r.token = rotation_token and r.kept = 'vault') then
        execute
            $query$
            select $1 || array_agg(v.decrypted_secret)
            from autosync.secret_rotation as r
            join vault.decrypted_secrets as v on v.name = r.name || '.previous'
            where r.token = $2 and r.kept = 'vault' and r.name <> 'project_url'
            $query$
        into replaced
        using replaced, rotation_token;
    end if;
    -- a short one would be found in any text
    if exists (select from unnest(replaced) as o (secret) where length(btrim(o.secret, E' \t\r\n')) < 12) then
        return query select 'database'::text, null::text, 'the old value is too short to be looked for'::text;
    end if;
    replaced := array(
        select btrim(o.secret, E' \t\r\n') from unnest(replaced) as o (secret) where length(btrim(o.secret, E' \t\r\n')) >= 12
    );
    if cardinality(replaced) = 0 then
        return;
    end if;
    for item in
        select l.place, l.query, c.oid as relation,
            c.relowner <> all (trusted) or c.relkind not in ('r', 'p') and l.relation <> 'vault.decrypted_secrets'
                -- the schema public is its database's
                or n.nspowner <> all (trusted) and n.nspname <> 'public' as is_foreign,
            not has_schema_privilege(c.relnamespace, 'usage') or not has_table_privilege(c.oid, 'select') as is_closed
        from (
            values
            (1, 'cron job', 'cron.job', 'command',
                $look$select format('%s (job %s)', coalesce(c.jobname, 'unnamed'), c.jobid), c.command from cron.job as c$look$),
            (2, 'function', null, null,
                $look$
                select p.oid::regprocedure::text,
                    concat_ws(' ', p.prosrc, case when p.prosqlbody is not null then pg_get_function_sqlbody(p.oid) end,
                        case when p.pronargdefaults > 0 then pg_get_function_arguments(p.oid) end,
                        array_to_string(p.proconfig, ' '))
                from pg_proc as p
                where p.pronamespace not in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
                $look$),
            (3, 'trigger', null, null,
                $look$
                select format('%s on %s', t.tgname, t.tgrelid::regclass), encode(t.tgargs, 'escape')
                from pg_trigger as t
                where not t.tgisinternal and octet_length(t.tgargs) > 0
                $look$),
            (4, 'setting', null, null,
                $look$
                select concat_ws(' ', split_part(c.setting, '=', 1), 'of role ' || nullif(s.setrole, 0)::regrole,
                    'of database ' || (select d.datname from pg_database as d where d.oid = s.setdatabase)), c.setting
                from pg_db_role_setting as s
                cross join unnest(s.setconfig) as c (setting)
                $look$),
            (5, 'foreign server', null, null,
                $look$select s.srvname::text, array_to_string(s.srvoptions, ' ') from pg_foreign_server as s$look$),
            (6, 'secret', 'public.pg_cron_secrets', 'secret',
                $look$select s.name, s.secret from public.pg_cron_secrets as s$look$),
            (7, 'vault secret', 'vault.decrypted_secrets', 'decrypted_secret',
                $look$
                select coalesce(v.name, v.id::text), v.decrypted_secret
                from vault.decrypted_secrets as v
                where not (coalesce(v.name, '') like '%.previous' and coalesce(v.description, '') like 'autosync-db%')
                $look$),
            (8, 'migration', 'supabase_migrations.schema_migrations', 'statements',
                $look$
                select m.version::text, array_to_string(m.statements, ' ') from supabase_migrations.schema_migrations as m
                $look$)
        ) as l (number, place, relation, field, query)
        left join pg_namespace as n on n.nspname = split_part(l.relation, '.', 1)
        left join pg_class as c on c.relnamespace = n.oid and c.relname = split_part(l.relation, '.', 2)
        where l.relation is null
            or exists (select from pg_attribute as a where a.attrelid = c.oid and a.attname = l.field)
        order by l.number
    loop
        if item.is_foreign then
            return query select item.place, null::text, format('%s is not read: others could have made it a view', item.relation::regclass);
            continue;
        end if;
        if item.is_closed then
            return query select item.place, null::text, format('the role %s may not read %s', current_user, item.relation::regclass);
            continue;
        end if;
        if row_security_active(item.relation) then
            return query select item.place, null::text, format('some are hidden from the role %s', current_user);
        end if;
        begin
            return query execute format(
                'select %L::text, autosync.mask_keys(f.name), null::text from (%s) as f (name, content)'
                ' where exists (select from unnest($1) as o (secret) where strpos(f.content, o.secret) > 0) order by 2',
                item.place, item.query
            )
            using replaced;
        exception
            when others then
                return query select item.place, null::text, autosync.mask_keys(sqlerrm);
        end;
    end loop;
end
$$;

revoke all on function autosync.replaced_held_by(uuid) from public;

comment on function autosync.replaced_held_by(uuid) is 'who else holds a secret that a rotation replaces';
