-- answer_facts(body): what an answer or a report says of the run itself: ok, duration_ms, counts and error, as far as it does.
-- requires: 0005
-- null for what is not a JSON object. A function may say anything, so what is kept is bounded.
create or replace function autosync.answer_facts(body text)
returns jsonb
language plpgsql
immutable
strict
set search_path = pg_catalog, pg_temp
as $$
declare
    said jsonb;
    took numeric;
begin
    if octet_length(body) > 100000 or ltrim(left(body, 100), E' \t\r\n') not like '{%' then
        return null;
    end if;
    -- pg_net stores bodies unchecked, and the parser of JSON does not check the encoding either
    said := cast(convert_from(convert_to(body, 'UTF8'), 'UTF8') as jsonb);
    if jsonb_typeof(said -> 'duration_ms') = 'number' then
        took := round(cast(said ->> 'duration_ms' as numeric));
    end if;
    return jsonb_strip_nulls(jsonb_build_object(
        'ok', case when jsonb_typeof(said -> 'ok') = 'boolean' then said -> 'ok' end,
        'duration_ms', case when took between 0 and 2147483647 then took end,
        'counts', case when jsonb_typeof(said -> 'counts') = 'object' and length(cast(said -> 'counts' as text)) <= 2000
            then said -> 'counts' end,
        'error', case when jsonb_typeof(said -> 'error') = 'string' then left(said ->> 'error', 4000) end
    ));
exception
    -- not JSON, or not what this server can hold as JSON
    when data_exception or program_limit_exceeded or statement_too_complex then
        return null;
end
$$;

revoke all on function autosync.answer_facts(text) from public;

comment on function autosync.answer_facts(text) is 'what a function''s answer says of its run';
