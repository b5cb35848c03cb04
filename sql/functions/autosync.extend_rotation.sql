-- extend_rotation(rotation_token, lease): let a rotation's lease end so much from now; return whether it is still one's own.
-- requires: 0006
create or replace function autosync.extend_rotation(rotation_token uuid, lease interval)
returns boolean
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    update autosync.secret_rotation as r
    set lease_expires_at = clock_timestamp() + lease
    where r.token = rotation_token;
    return found;
end
$$;

revoke all on function autosync.extend_rotation(uuid, interval) from public;

comment on function autosync.extend_rotation(uuid, interval) is 'say that a rotation is still being worked on';
