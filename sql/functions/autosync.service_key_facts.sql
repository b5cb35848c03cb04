-- service_key_facts(): what kind of key is stored, for whom and until when; never the key.
-- requires: 0004
-- kind: legacy (a JWT), secret (sb_secret_), publishable, unknown; no row when none is stored.
create or replace function autosync.service_key_facts()
returns table (kind text, role text, project_ref text, expires_at timestamptz, changed_at timestamptz)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    stored text;
    payload text;
    claims jsonb;
begin
    select btrim(s.secret, E' \t\r\n'), s.updated_at into stored, changed_at
    from autosync.stored_secrets() as s
    where s.name = 'service_role_key';
    if stored is null or stored = '' then
        return;
    end if;
    kind := case
        when stored like 'sb\_secret\_%' then 'secret'
        when stored like 'sb\_publishable\_%' then 'publishable'
        else 'unknown'
    end;
    if kind = 'unknown' and array_length(string_to_array(stored, '.'), 1) = 3 then
        begin
            payload := translate(split_part(stored, '.', 2), '-_', '+/');
            claims := convert_from(decode(rpad(payload, ((length(payload) + 3) / 4) * 4, '='), 'base64'), 'UTF8')::jsonb;
            kind := 'legacy';
            role := claims ->> 'role';
            project_ref := case when jsonb_typeof(claims -> 'ref') = 'string' then claims ->> 'ref' end;
            expires_at := to_timestamp((claims ->> 'exp')::double precision);
        exception
            when data_exception or character_not_in_repertoire or program_limit_exceeded or statement_too_complex then
                kind := 'unknown';
        end;
    end if;
    return next;
end
$$;

revoke all on function autosync.service_key_facts() from public;

comment on function autosync.service_key_facts() is 'kind, role, project and expiry of the stored service key';
