-- record_secret_change(): write every change of public.pg_cron_secrets into the history, whoever made it.
-- requires: 0006
create or replace function autosync.record_secret_change()
returns trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    if tg_op = 'TRUNCATE' then
        perform autosync.note_secret_change('table', s.name, s.secret, null) from public.pg_cron_secrets as s;
    elsif tg_op = 'INSERT' then
        perform autosync.note_secret_change('table', new.name, null, new.secret);
    elsif tg_op = 'DELETE' then
        perform autosync.note_secret_change('table', old.name, old.secret, null);
    elsif new.name <> old.name then
        perform autosync.note_secret_change('table', old.name, old.secret, null);
        perform autosync.note_secret_change('table', new.name, null, new.secret);
    elsif new.secret is distinct from old.secret then
        perform autosync.note_secret_change('table', new.name, old.secret, new.secret);
    end if;
    return null;
end
$$;

revoke all on function autosync.record_secret_change() from public;

comment on function autosync.record_secret_change() is 'Trigger: the history of the secrets';
