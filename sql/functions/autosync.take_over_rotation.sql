-- take_over_rotation(rotation_token, lease): make a rotation whose lease has lapsed one's own; return how many names it has.
-- requires: 0006
-- Raises AS001, which names who and since when, while somebody else's lease lasts.
create or replace function autosync.take_over_rotation(rotation_token uuid, lease interval)
returns integer
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    holder autosync.secret_rotation;
    taken integer;
begin
    -- held to the end of the transaction: of several that begin at once one goes first and the others see its rows
    lock table autosync.secret_rotation in share row exclusive mode;
    select r.* into holder
    from autosync.secret_rotation as r
    where r.token <> rotation_token and r.lease_expires_at > clock_timestamp()
    order by r.started_at
    limit 1;
    if found then
        raise exception 'a rotation of "%" is under way since % UTC, by % (%, %)', holder.name,
            to_char(holder.started_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS'), holder.started_by,
            coalesce(nullif(holder.application_name, ''), 'no application name'),
            coalesce(host(holder.client_address), 'local socket')
            using errcode = 'AS001', hint = format(
                'wait for it; if it died, its lease ends in %s s, at %s UTC',
                greatest(ceil(extract(epoch from holder.lease_expires_at - clock_timestamp())), 0)::integer,
                to_char(holder.lease_expires_at at time zone 'UTC', 'HH24:MI:SS'));
    end if;
    update autosync.secret_rotation as r
    set token = rotation_token, lease_expires_at = clock_timestamp() + lease
    where true;
    get diagnostics taken = row_count;
    return taken;
end
$$;

revoke all on function autosync.take_over_rotation(uuid, interval) from public;

comment on function autosync.take_over_rotation(uuid, interval) is 'continue a rotation that somebody left unfinished';
