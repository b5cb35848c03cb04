-- tick_expected(schedule, until): the last moment up to `until` at which pg_cron should start a job of this schedule.
-- requires: 0008
-- Null where the schedule, or the clock that pg_cron reads it on, is not known; nothing is missed then. Looks back 400 days.
create or replace function autosync.tick_expected(schedule text, until timestamptz)
returns timestamptz
language plpgsql
stable
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = on
as $$
declare
    fields text[];
    minutes integer[];
    hours integer[];
    days integer[];
    months integer[];
    weekdays integer[];
    is_last_day boolean;
    is_both boolean;
    zone text;
    wall timestamp;
    day date;
    first_day date;
    hour integer;
    minute integer;
    on_day boolean;
    on_weekday boolean;
begin
    if schedule ~* '^\s*[1-9]\d? seconds?\s*$' then
        return until - make_interval(secs => cast(substring(schedule from '\d+') as integer));
    end if;
    fields := regexp_split_to_array(btrim(case btrim(schedule)
        when '@hourly' then '0 * * * *'
        when '@daily' then '0 0 * * *'
        when '@midnight' then '0 0 * * *'
        when '@weekly' then '0 0 * * 0'
        when '@monthly' then '0 0 1 * *'
        when '@yearly' then '0 0 1 1 *'
        when '@annually' then '0 0 1 1 *'
        else schedule
    end), '\s+');
    begin
        -- before 1.5 pg_cron had no such setting. pg_settings would be slower by half a millisecond
        zone := coalesce(nullif(current_setting('cron.timezone', true), ''), 'UTC');
    exception
        when insufficient_privilege then
            null;
    end;
    if cardinality(fields) < 5 or zone is null and fields[2] <> '*' then
        return null;
    end if;
    is_last_day := fields[3] = '$';
    -- pg_cron: one of the two is enough, unless one of them is open or cron.match_dom_and_dow is on
    is_both := fields[3] like '*%' or fields[5] like '*%' or exists (
        select from pg_catalog.pg_settings as s where s.name = 'cron.match_dom_and_dow' and s.setting = 'on'
    );
    minutes := autosync.cron_field(fields[1], 0, 59);
    hours := autosync.cron_field(fields[2], 0, 23);
    days := case when is_last_day then '{}' else autosync.cron_field(fields[3], 1, 31) end;
    months := autosync.cron_field(fields[4], 1, 12);
    weekdays := autosync.cron_field(fields[5], 0, 7);
    if minutes is null or hours is null or days is null or months is null or weekdays is null then
        return null;
    end if;
    begin
        wall := until at time zone coalesce(zone, 'UTC');
    exception
        when invalid_parameter_value then
            return null;
    end;
    day := cast(wall as date);
    first_day := day - 400;
    while day >= first_day loop
        if not extract(month from day) = any (months) then
            -- to the end of the month before
            day := date_trunc('month', day) - interval '1 day';
            continue;
        end if;
        on_day := extract(day from day) = any (days) or is_last_day and extract(day from day + 1) = 1;
        on_weekday := extract(dow from day) = any (weekdays);
        if is_both and on_day and on_weekday or not is_both and (on_day or on_weekday) then
            hour := case when day = cast(wall as date) then extract(hour from wall) else 24 end;
            if hour = any (hours) then
                select max(m.number) into minute from unnest(minutes) as m (number) where m.number <= extract(minute from wall);
            end if;
            if minute is null then
                select max(h.number) into hour from unnest(hours) as h (number) where h.number < hour;
                select max(m.number) into minute from unnest(minutes) as m (number);
            end if;
            if hour is not null then
                return (day + make_interval(hours => hour, mins => minute)) at time zone coalesce(zone, 'UTC');
            end if;
            minute := null;
        end if;
        day := day - 1;
    end loop;
    return null;
end
$$;

revoke all on function autosync.tick_expected(text, timestamptz) from public;

comment on function autosync.tick_expected(text, timestamptz) is 'when a job of this schedule should have ticked last';
