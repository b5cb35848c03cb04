-- alert_body(kind, event, job_name, facts): the JSON of a message: Slack's form, or all facts for any other webhook.
-- requires: 0008
-- facts: state, cause, check, root_cause, evidence, fix, since, changes. Every text is masked; Slack's own marks are written as text,
-- so that what a server answered calls nobody.
create or replace function autosync.alert_body(kind text, event text, job_name text, facts jsonb)
returns jsonb
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    project text;
    masked jsonb;
    said text;
begin
    begin
        select substring(lower(btrim(s.secret, E' \t\r\n')) from '^https?://(?:[^/@]*@)?([a-z0-9.:_-]+)') into project
        from autosync.stored_secrets() as s
        where s.name = 'project_url';
    exception
        when others then
            project := null;
    end;
    -- all but the evidence are words of our own, which stay readable also where the secrets cannot be read
    select coalesce(jsonb_object_agg(f.key, case
        when f.key = 'evidence' then to_jsonb(left(autosync.excerpt(f.value #>> '{}'), 300))
        when jsonb_typeof(f.value) = 'string' then to_jsonb(left(autosync.mask_keys(f.value #>> '{}'), 300))
        else f.value
    end), '{}')
    into masked
    from jsonb_each(facts) as f;
    if kind <> 'slack' then
        return jsonb_build_object('schema_version', 1, 'event', event, 'job', job_name, 'project', project,
            'database', current_database(), 'at', clock_timestamp()) || masked;
    end if;
    said := case event
        when 'test' then ':white_check_mark: a test message of autosync-db'
        when 'recovered' then format(':large_green_circle: *%s* works again', job_name)
        when 'summary' then format(':large_orange_circle: *%s* changed %s times since %s and %s now', job_name, masked ->> 'changes',
            masked ->> 'changed_since', case masked ->> 'state' when 'ok' then 'works' else 'fails' end)
        else format(':red_circle: *%s* fails: %s', job_name, masked ->> 'root_cause')
    end || format(' (%s)', coalesce(project, current_database()));
    if masked ->> 'state' <> 'ok' then
        said := said || case event when 'summary' then E'\n' || (masked ->> 'root_cause') else '' end
            || E'\n' || (masked ->> 'evidence') || E'\nfix: `' || (masked ->> 'fix') || '`'
            || format(E'\nsee: `autosync-db explain %s`', masked ->> 'check');
    elsif event = 'recovered' then
        said := said || E'\n' || concat_ws(': ', masked ->> 'was', masked ->> 'evidence');
    end if;
    return jsonb_build_object('text', replace(replace(replace(said, '&', '&amp;'), '<', '&lt;'), '>', '&gt;'));
end
$$;

revoke all on function autosync.alert_body(text, text, text, jsonb) from public;

comment on function autosync.alert_body(text, text, text, jsonb) is 'the JSON of a message';
