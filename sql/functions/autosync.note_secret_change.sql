-- note_secret_change(store, secret_name, before, after): add a row to the history of the secrets; null stands for no value.
-- requires: 0006
-- Called by the trigger on public.pg_cron_secrets, and by put_secret() and delete_secret() for the vault, which has no
-- trigger of ours. It runs as its owner, because whoever may write a secret need not be able to write the history.
create or replace function autosync.note_secret_change(store text, secret_name text, before text, after text)
returns void
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
    insert into autosync.secret_change (
        action, name, store, kind, fingerprint_before, fingerprint_after, session_role, acting_role, application_name,
        client_address
    )
    select
        case
            when n.after is null then 'deleted'
            when exists (
                select from autosync.secret_rotation as r
                where r.name = n.secret_name and r.fingerprint_before = autosync.fingerprint(n.after)
            ) then 'put back'
            when n.before is null then 'stored'
            else 'replaced'
        end,
        n.secret_name,
        n.store,
        coalesce(autosync.secret_kind(coalesce(n.after, n.before)), 'other'),
        autosync.fingerprint(n.before),
        autosync.fingerprint(n.after),
        session_user,
        -- this function's own role is its owner; `role` is what the session chose by set role
        coalesce(nullif(current_setting('role'), 'none'), session_user),
        current_setting('application_name'),
        inet_client_addr()
    from (
        select note_secret_change.store, note_secret_change.secret_name, note_secret_change.before,
            note_secret_change.after
    ) as n
$$;

revoke all on function autosync.note_secret_change(text, text, text, text) from public;

comment on function autosync.note_secret_change(text, text, text, text) is 'add a row to the history of the secrets';
