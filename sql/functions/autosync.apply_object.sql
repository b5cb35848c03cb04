-- apply_object(path, source_hash, source): run the text of one file of sql/, and record it and how the server shows the result.
-- requires: 0001
-- The one way in which migrate, alembic, printed scripts, exported migrations and repairs apply a file. The caller's
-- transaction makes it atomic.
create or replace function autosync.apply_object(path text, source_hash text, source text)
returns void
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
set check_function_bodies = off
set quote_all_identifiers = off
set standard_conforming_strings = on
as $$
declare
    taken_back text;
begin
    -- `create or replace` keeps the grants that somebody added to a function
    if starts_with(apply_object.path, 'sql/functions/') then
        for taken_back in
            select format('revoke all on function %s from %s', cast(cast(p.oid as regprocedure) as text),
                case when a.grantee = 0 then 'public' else cast(cast(a.grantee as regrole) as text) end)
            from pg_catalog.pg_proc as p
            cross join lateral aclexplode(p.proacl) as a
            where p.pronamespace = to_regnamespace(split_part(split_part(apply_object.path, '/', 3), '.', 1))
                and p.proname = split_part(split_part(apply_object.path, '/', 3), '.', 2)
                and a.grantee <> p.proowner
        loop
            execute taken_back;
        end loop;
    end if;

    execute apply_object.source;

    insert into autosync.object as o (path, source_hash, live_hash)
    select r.path, apply_object.source_hash,
        -- each job is as its row in autosync.job says by now
        case when starts_with(r.path, 'sql/jobs/') then 'current' else r.live_hash end
    from autosync.object_rendering(array[apply_object.path]) as r
    on conflict on constraint object_pkey do update
    set source_hash = excluded.source_hash, live_hash = excluded.live_hash, applied_at = clock_timestamp();
end
$$;

revoke all on function autosync.apply_object(text, text, text) from public;

comment on function autosync.apply_object(text, text, text) is 'apply one file of sql/ and record it';
