-- job_found: the guide's job, with the statement that brings it back, as [{"jobid", "schedule", ..., "is_served", "undo"}].
--
-- pg_cron may not be installed yet, and then there is no such table. is_served: its call is the one that dispatch() makes,
-- with the secrets that are in public.pg_cron_secrets. Any other stays as it is until `autosync-db jobs adopt` has taken
-- its secrets along and a call has proved them; `autosync-db migrate` and `setup` do that themselves.
-- "anon" in base64, by its place, marks a public key.
do $look$
declare
    key constant text := 'eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}|sb_secret_[A-Za-z0-9_-]{8,}|sbp_[0-9a-f]{40}';
    public_key constant text := 'ImFub24i|Jhbm9uI|iYW5vbi';
    stored integer := 0;
    found jsonb := '[]';
begin
    if to_regclass('cron.job') is not null then
        if to_regclass('public.pg_cron_secrets') is not null then
            execute
                $query$
                select count(distinct s.name)
                from public.pg_cron_secrets as s
                where s.name in ('project_url', 'service_role_key') and btrim(s.secret) <> ''
                $query$
            into stored;
        end if;
        select coalesce(jsonb_agg(jsonb_build_object(
            'jobid', c.jobid, 'schedule', c.schedule, 'active', c.active, 'holds_key', k.holds_key,
            'is_served', stored = 2 and not k.holds_key
                and c.command ~ 'net\.http_post\s*\('
                and c.command ~ '/functions/v1/[A-Za-z0-9][A-Za-z0-9_-]*''' and c.command !~ '[?]|params'
                and c.command ~ '''project_url''' and c.command ~ '''service_role_key''' and c.command ~ 'pg_cron_secrets'
                and c.command !~* 'vault|current_setting|''x-|\mdo\M|http_get',
            'undo', format('select cron.schedule(%L, %L, %L)', c.jobname, c.schedule, c.command)
        )), '[]')
        into found
        from cron.job as c
        cross join lateral (
            select exists (
                select from regexp_matches(c.command, key, 'g') as m where m[1] !~ public_key
            ) as holds_key
        ) as k
        where c.jobname = 'auto-sync-cron-job' and c.username = current_user
            and c.command <> 'select autosync.dispatch()';
    end if;
    perform set_config('autosync.job_found', found::text, true);
end
$look$
