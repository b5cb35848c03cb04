-- cron_field(field, low, high): the numbers that a field of a cron schedule means; null where it is not understood.
-- requires: 0008
-- As pg_cron reads it: lists, ranges and steps, names of months and days, 7 for Sunday.
create or replace function autosync.cron_field(field text, low integer, high integer)
returns integer[]
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = on
as $$
declare
    text_left text := lower(field);
    names constant text[] := case high
        when 12 then array['', 'jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']
        when 7 then array['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat']
        else '{}'
    end;
    part text;
    found_parts text[];
    numbers integer[] := '{}';
    first_number integer;
    last_number integer;
begin
    if text_left ~ '[a-z]' then
        for i in 1..cardinality(names) loop
            if names[i] <> '' then
                text_left := replace(text_left, names[i], cast(i - 1 as text));
            end if;
        end loop;
    end if;
    foreach part in array string_to_array(text_left, ',') loop
        found_parts := regexp_match(part, '^(?:(\*)|(\d{1,2})(?:-(\d{1,2}))?)(?:/(\d{1,2}))?$');
        if found_parts is null or found_parts[4] is not null and found_parts[1] is null and found_parts[3] is null then
            return null;
        end if;
        first_number := coalesce(cast(found_parts[2] as integer), low);
        last_number := coalesce(
            cast(found_parts[3] as integer), case when found_parts[1] is null then first_number else high end);
        if first_number < low or last_number > high or last_number < first_number or found_parts[4] ~ '^0+$' then
            return null;
        end if;
        if first_number = last_number and high <> 7 then
            numbers := numbers || first_number;
            continue;
        end if;
        numbers := numbers || array(
            select case when high = 7 then n.number % 7 else n.number end
            from generate_series(first_number, last_number, coalesce(cast(found_parts[4] as integer), 1)) as n (number)
        );
    end loop;
    return numbers;
end
$$;

revoke all on function autosync.cron_field(text, integer, integer) from public;

comment on function autosync.cron_field(text, integer, integer) is 'the numbers that a field of a cron schedule means';
