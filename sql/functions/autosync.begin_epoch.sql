-- begin_epoch(): the epoch of pg_net's tables, after making the token that a crash took away.
-- requires: 0005
-- Called by whoever posts a call, or takes one back, before it does.
-- pg_net lets every role make triggers on its queue, and such a trigger runs with the rights of whoever writes there: the owner of the
-- secrets. So nothing is written where there is one of a role that has not these rights anyway.
create or replace function autosync.begin_epoch()
returns text
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    found_epoch text;
    intruder record;
begin
    -- until the end nobody makes a trigger, or the table again
    lock table net.http_request_queue in row exclusive mode;
    if (select c.relhastriggers from pg_catalog.pg_class as c where c.oid = cast('net.http_request_queue' as regclass)) then
        select t.tgname as name, pg_catalog.pg_get_userbyid(p.proowner) as owner into intruder
        from pg_catalog.pg_trigger as t
        join pg_catalog.pg_proc as p on p.oid = t.tgfoid
        where t.tgrelid = cast('net.http_request_queue' as regclass)
            and not t.tgisinternal
            and t.tgenabled <> 'D'
            and not pg_catalog.pg_has_role(p.proowner, current_user, 'member')
        order by t.tgname
        limit 1;
        if found then
            raise exception 'nothing is posted: the trigger % on net.http_request_queue would run a function of the role % with the rights of %',
                pg_catalog.quote_ident(intruder.name), pg_catalog.quote_ident(intruder.owner), pg_catalog.quote_ident(current_user)
                using errcode = 'object_not_in_prerequisite_state',
                hint = 'see: autosync-db explain no_triggers_on_net_tables';
        end if;
    end if;

    found_epoch := autosync.pg_net_epoch();
    if found_epoch is null then
        insert into autosync.epoch default values on conflict do nothing;
        found_epoch := autosync.pg_net_epoch();
    end if;
    return found_epoch;
end
$$;

revoke all on function autosync.begin_epoch() from public;

comment on function autosync.begin_epoch() is 'the epoch of pg_net''s tables, begun if there is none';
