-- touch_secret(): let updated_at say when a secret was changed, also when it was changed manually.
-- requires: 0006
-- The checks and setup compare it with the time of the calls.
create or replace function autosync.touch_secret()
returns trigger
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    if new.secret is distinct from old.secret and new.updated_at is not distinct from old.updated_at then
        new.updated_at := clock_timestamp();
    end if;
    return new;
end
$$;

revoke all on function autosync.touch_secret() from public;

comment on function autosync.touch_secret() is 'Trigger: when a secret was last changed';
