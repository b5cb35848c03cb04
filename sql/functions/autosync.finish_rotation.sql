-- finish_rotation(rotation_token): the active values are proven: delete what was there before; return how many names that were.
-- requires: 0006
-- Zero says that somebody else took the rotation over, and then nothing was changed.
create or replace function autosync.finish_rotation(rotation_token uuid)
returns integer
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    item autosync.secret_rotation;
    finished integer := 0;
begin
    for item in
        delete from autosync.secret_rotation as r where r.token = rotation_token returning r.*
    loop
        finished := finished + 1;
        if item.kept = 'vault' then
            execute 'delete from vault.secrets as v where v.name = $1' using item.name || '.previous';
        elsif item.name = 'setting:secrets' then
            perform autosync.forget_secrets(case autosync.secret_store() when 'vault' then 'table' else 'vault' end);
        end if;
    end loop;
    return finished;
end
$$;

revoke all on function autosync.finish_rotation(uuid) from public;

comment on function autosync.finish_rotation(uuid) is 'end a rotation: its new secrets are proven';
