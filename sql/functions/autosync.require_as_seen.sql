-- require_as_seen(seen): raise when a secret that is about to be changed is no longer the one that was looked at.
-- requires: 0006
-- `seen` has fingerprints by name, null for a name that was not there. Called before put_secret() and delete_secret(), in their
-- transaction: whoever looked before a rotation and writes after it would undo it without a word. AS004 names the secret.
-- What is stored already as the row of pg_temp.incoming_secret wants it is no conflict. The lock is the one that
-- begin_rotation() takes; those of the rows hold off whoever writes by SQL.
create or replace function autosync.require_as_seen(seen jsonb)
returns void
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    item record;
    history autosync.secret_change;
begin
    lock table autosync.secret_rotation in share row exclusive mode;
    perform from public.pg_cron_secrets as s where seen ? s.name order by s.name for no key update;
    for item in
        select e.key as secret_name
        from jsonb_each_text(seen) as e
        left join autosync.stored_secrets() as s on s.name = e.key
        left join pg_temp.incoming_secret as i on i.name = e.key
        where (i.name is null or s.secret is distinct from i.secret)
            and case
                when e.value is null or s.secret is null then (e.value is null) <> (s.secret is null)
                -- before revision 0004 a fingerprint has four digits
                else left(autosync.fingerprint(s.secret), length(e.value)) <> e.value
            end
        order by e.key
        limit 1
    loop
        select c.* into history
        from autosync.secret_change as c
        where c.name = item.secret_name
        order by c.id desc
        limit 1;
        raise exception 'the secret "%" was changed while this command was at work%; nothing was changed', item.secret_name,
            case when history.id is null then '' else format(' (%s at %s UTC, by %s, %s)', history.action,
                to_char(history.changed_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS'), history.session_role,
                coalesce(nullif(history.application_name, ''), 'no application name')) end
            using errcode = 'AS004',
            hint = 'see who did it with: autosync-db secrets history; if your value is the one to keep, run this again';
    end loop;
end
$$;

revoke all on function autosync.require_as_seen(jsonb) from public;

comment on function autosync.require_as_seen(jsonb) is 'a secret is still the one that was looked at';
