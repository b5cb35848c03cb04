-- keep_address(): keep the stored address beside the binding once a call to it has succeeded; return 1 when that is another one.
-- requires: 0005
-- So that it can be put back when its secret is lost or spoiled: autosync-db repair.
create or replace function autosync.keep_address()
returns integer
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    kept integer;
begin
    insert into autosync.setting as s (name, value)
    select 'proven_address', to_jsonb(rtrim(btrim(a.secret, E' \t\r\n'), '/'))
    from autosync.stored_secrets() as a
    where a.name = 'project_url'
        and exists (
            select from autosync.job as j
            cross join lateral (
                -- by a range, as recent_outcomes() does: a rare job is not looked for among all others
                select i.outcome, i.queued_at from autosync.invocation as i where i.job_id between j.id and j.id order by i.job_id desc, i.id desc limit 20
            ) as i
            where j.function is not null and i.outcome = 'ok' and i.queued_at > a.updated_at
        )
    on conflict (name) do update set value = excluded.value, updated_at = clock_timestamp() where s.value <> excluded.value;
    get diagnostics kept = row_count;
    return kept;
end
$$;

revoke all on function autosync.keep_address() from public;

comment on function autosync.keep_address() is 'keep the address that a call has proven';
