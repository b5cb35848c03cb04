-- answer_facts(body): what an answer or a report says of the run itself; null where that says nothing that can be read.
-- requires: 0005
-- Keys, each where the body has it: json (true: all of it was read), is (good or failed, where it states that), error, duration_ms,
-- counts; text (true) of a text that is nothing but an error: its name before a colon, a trace, the usual words for a status, a fault
-- in XML. A function may say anything, so what is kept is bounded.
-- JSON that jsonb does not hold is read without that: the character 0, halves of pairs of surrogates, NaN, numbers without end, control
-- characters in texts, bytes that are no UTF-8. Of what cannot be read to its end, the texts and numbers before the first list or
-- object may state a failure, never a success.
create or replace function autosync.answer_facts(body text)
returns jsonb
language plpgsql
immutable
strict
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = on
as $$
declare
    error_text constant text := '^(((uncaught|unhandled) )?(php )?([a-z_.]*(error|exception)|(fatal|parse) error|fatal|panic): +(?!(0|none|null|no|false|ok|n/a|no errors?)[ \t]*($|[,;.|\r\n]))[^ \t\r\n]|(internal server error|bad gateway|service unavailable|gateway time-?out|unauthori[sz]ed|forbidden|error|failed|failure|timeout)[.!]?[ \t\r\n]*$|traceback \(most recent call last\)|(<\?xml[^>]*>[ \t\r\n]*)?<([a-z0-9_-]+:)?(fault|error|errors)[ />]|(<\?xml[^>]*>[ \t\r\n]*)?<([a-z0-9_-]+:)?envelope[ />].*<([a-z0-9_-]+:)?fault[ />])';
    is_whole constant boolean := octet_length(body) <= 100000;
    said jsonb;
    stated jsonb;
    took numeric;
    content text;
    event text;
begin
    -- a byte order mark is no part of what is said
    content := ltrim(case when is_whole then body else left(body, 4000) end, E' \t\r\n\ufeff');
    if content !~ '^([{[]|"[ \t\r\n]*[{[]|(event|data|id|retry)?:)' and left(content, 4000) !~* error_text then
        return null;
    end if;
    begin
        -- pg_net stores bodies unchecked, and the parser of JSON does not check the encoding either
        content := convert_from(convert_to(content, 'UTF8'), 'UTF8');
    exception
        when character_not_in_repertoire or untranslatable_character then
            -- as Latin-1 any bytes are a text, and what JSON is made of is the same
            content := convert_from(cast(replace(content, E'\\', E'\\\\') as bytea), 'LATIN1');
    end;
    if content !~ '^([{["]|(event|data|id|retry)?:)' then
        content := rtrim(left(content, 4000), E' \t\r\n');
        return jsonb_build_object('is', 'failed', 'text', true, 'error', btrim(case when content ~* '^traceback'
            then regexp_replace(content, '^.*\n', '') else split_part(content, E'\n', 1) end, E' \t\r'));
    elsif content ~ '^[^{["]' then
        -- of events the last counts that is JSON or names itself an error
        select e.block
        into event
        from regexp_split_to_table(content, '\r?\n\r?\n') with ordinality as e (block, place)
        where e.block ~ '(?n)^data: *(\{|\[[^D\n])' or e.block ~* '(?n)^event: *(error|exception|failed|failure)[ \r]*$'
        order by e.place desc
        limit 1;
        if event is null or not is_whole then
            return null;
        end if;
        content := (select string_agg(l.line[1], ' ') from regexp_matches(event, '(?n)^data: *(.*)$', 'g') as l (line));
        event := substring(event from '(?in)^event: *(error|exception|failed|failure)[ \r]*$');
    elsif left(content, 1) = '"' then
        -- JSON that was made a text of JSON
        content := ltrim(cast(content as jsonb) #>> '{}', E' \t\r\n\ufeff');
    -- of objects on lines of their own the last says how it ended
    elsif content ~ '^\{.*\n[ \t\r]*\{' and content !~ '\n[ \t\r]*[^{ \t\r\n]' then
        content := regexp_replace(rtrim(content, E' \t\r\n'), '^.*\n', '');
    end if;
    begin
        said := case when is_whole and content ~ '^[{[]' then cast(content as jsonb) end;
    exception
        when data_exception or program_limit_exceeded or statement_too_complex then
            said := null;
    end;
    if said is null and content ~ '^[{[]' then
        -- each \u begins an escape when no backslash stands for itself
        content := regexp_replace(replace(content, E'\\\\', E'\\u005c'), '\\u(0000|d[89a-f][0-9a-f]{2})', '?', 'gi');
        content := regexp_replace(content, '[\x01-\x1f]', ' ', 'g');
        content := regexp_replace(content, '([:,[] *)(NaN|-?Infinity|-?[0-9][0-9.]*[eE][+-]?[0-9]{5,})', '\1null', 'g');
        begin
            said := case when is_whole then cast(content as jsonb) end;
        exception
            when data_exception or program_limit_exceeded or statement_too_complex then
                said := null;
        end;
        if said is null then
            content := substring(left(content, 4000) from
                '^\{(?: *"(?:[^"\\]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*" *: *(?:"(?:[^"\\]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*"|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|true|false|null) *,)+');
            -- what it counts further on is not known
            stated := autosync.stated_outcome('{"succeeded": 1}' || cast(rtrim(content, ',') || '}' as jsonb));
            stated := case when stated ->> 'is' = 'failed' then stated end;
        end if;
    end if;
    if said is not null then
        stated := autosync.stated_outcome(said);
    end if;
    if event is not null then
        stated := jsonb_build_object('is', 'failed', 'words', coalesce(stated ->> 'words', left(content, 4000), event));
    end if;
    if stated is null and said is null then
        return null;
    end if;
    if jsonb_typeof(said -> 'duration_ms') = 'number' then
        took := round(cast(said ->> 'duration_ms' as numeric));
    end if;
    return jsonb_strip_nulls(jsonb_build_object(
        'json', case when said is not null then true end,
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
