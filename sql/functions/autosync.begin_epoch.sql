-- begin_epoch(): the epoch of pg_net's tables, after making the token that a crash took away. Called before a call is posted.
-- requires: 0005
create or replace function autosync.begin_epoch()
returns text
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    found_epoch text := autosync.pg_net_epoch();
begin
    if found_epoch is null then
        insert into autosync.epoch default values on conflict do nothing;
        found_epoch := autosync.pg_net_epoch();
    end if;
    return found_epoch;
end
$$;

revoke all on function autosync.begin_epoch() from public;

comment on function autosync.begin_epoch() is 'the epoch of pg_net''s tables, begun if there is none';
