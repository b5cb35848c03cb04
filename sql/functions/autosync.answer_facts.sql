-- answer_facts(body): what an answer or a report says of the run itself: is, error, duration_ms and counts, as far as it does.
-- requires: 0005
-- `is` is good or failed where it states that; json is true.
-- null for what is no JSON, or too much of it. A function may say anything, so what is kept is bounded.
create or replace function autosync.answer_facts(body text)
returns jsonb
language plpgsql
immutable
strict
set search_path = pg_catalog, pg_temp
as $$
declare
    said jsonb;
    stated jsonb;
    took numeric;
    content text;
begin
    if octet_length(body) > 100000 then
        return null;
    end if;
    -- a byte order mark is no part of what is said
    content := ltrim(body, E' \t\r\n\ufeff');
    if left(content, 1) <> all (array['{', '[']) then
        return null;
    end if;
    -- of objects on lines of their own the last says how it ended
    if content ~ '^\{.*\n[ \t\r]*\{' and content !~ '\n[ \t\r]*[^{ \t\r\n]' then
        content := regexp_replace(rtrim(content, E' \t\r\n'), '^.*\n', '');
    end if;
    -- pg_net stores bodies unchecked, and the parser of JSON does not check the encoding either
    said := cast(convert_from(convert_to(content, 'UTF8'), 'UTF8') as jsonb);
    if jsonb_typeof(said -> 'duration_ms') = 'number' then
        took := round(cast(said ->> 'duration_ms' as numeric));
    end if;
    stated := autosync.stated_outcome(said);
    return jsonb_strip_nulls(jsonb_build_object(
        'json', true,
        'is', stated ->> 'is',
        'duration_ms', case when took between 0 and 2147483647 then took end,
        'counts', case when jsonb_typeof(said -> 'counts') = 'object' and length(cast(said -> 'counts' as text)) <= 2000
            then said -> 'counts' end,
        'error', coalesce(
            case when jsonb_typeof(said -> 'error') = 'string' then left(said ->> 'error', 4000) end, stated ->> 'words'
        )
    ));
exception
    -- not JSON, or not what this server can hold as JSON
    when data_exception or program_limit_exceeded or statement_too_complex then
        return null;
end
$$;

revoke all on function autosync.answer_facts(text) from public;

comment on function autosync.answer_facts(text) is 'what a function''s answer says of its run';
