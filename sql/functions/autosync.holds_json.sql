-- holds_json(body, expected): whether a body is JSON that holds all of `expected`, as @> says; null where it is no JSON.
-- requires: 0005
create or replace function autosync.holds_json(body text, expected jsonb)
returns boolean
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
as $$
begin
    if octet_length(body) > 1000000 then
        return null;
    end if;
    return cast(convert_from(convert_to(ltrim(body, E'\ufeff'), 'UTF8'), 'UTF8') as jsonb) @> expected;
exception
    when data_exception or program_limit_exceeded or statement_too_complex then
        return null;
end
$$;

revoke all on function autosync.holds_json(text, jsonb) from public;

comment on function autosync.holds_json(text, jsonb) is 'whether a body is JSON that holds all of what is expected';
