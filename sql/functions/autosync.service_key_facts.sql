-- service_key_facts(): what kind of key is stored, for whom and until when; never the key.
-- requires: 0004
-- kind: legacy (a JWT), secret (sb_secret_), publishable, unknown; no row when none is stored. What is no whole key in form is
-- unknown, by the rules of autosync_db/supabase/key.py.
create or replace function autosync.service_key_facts()
returns table (kind text, role text, project_ref text, expires_at timestamptz, changed_at timestamptz)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = on
as $$
declare
    stored text;
    part text;
    decoded jsonb[] := '{}';
begin
    select btrim(s.secret, E' \t\r\n'), s.updated_at into stored, changed_at
    from autosync.stored_secrets() as s
    where s.name = 'service_role_key';
    if stored is null or stored = '' then
        return;
    end if;
    kind := case
        when stored ~ '^sb_secret_[A-Za-z0-9_-]{16,}$'
            and stored !~* 'your[-_]|x{6}|xxxx[-_]xxxx|change[-_]?me|placeholder|redacted|example'
        then 'secret'
        when stored like 'sb\_publishable\_%' then 'publishable'
        else 'unknown'
    end;
    if kind = 'unknown' and stored ~ '^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+){2}$' then
        begin
            for place in 1 .. 2 loop
                part := translate(split_part(stored, '.', place), '-_', '+/');
                part := rpad(part, ((length(part) + 3) / 4) * 4, '=');
                decoded := decoded || convert_from(decode(part, 'base64'), 'UTF8')::jsonb;
            end loop;
            -- as long as the hash or the curve makes it; shorter than that of HS256 is none (RFC 7518, 3.2 and 3.4)
            if jsonb_typeof(decoded[1]) = 'object'
                and (case decoded[1] ->> 'alg'
                    when 'HS256' then length(split_part(stored, '.', 3)) = 43
                    when 'HS384' then length(split_part(stored, '.', 3)) = 64
                    when 'HS512' then length(split_part(stored, '.', 3)) = 86
                    when 'ES256' then length(split_part(stored, '.', 3)) = 86
                    when 'EdDSA' then length(split_part(stored, '.', 3)) = 86
                    else length(split_part(stored, '.', 3)) >= 43
                end)
            then
                kind := 'legacy';
                role := decoded[2] ->> 'role';
                project_ref := case when jsonb_typeof(decoded[2] -> 'ref') = 'string' then decoded[2] ->> 'ref' end;
                expires_at := to_timestamp((decoded[2] ->> 'exp')::double precision);
            end if;
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
