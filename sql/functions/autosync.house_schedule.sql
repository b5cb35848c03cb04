-- house_schedule(): the schedule that housekeeping needs now: as often as the busiest job, at most every minute, at least every five.
-- requires: 0004
-- Every minute where calls are repeated or report later, too: both are noticed by housekeeping.
create or replace function autosync.house_schedule()
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = on
as $$
    select case when s.minutes = 1 then '* * * * *' else pg_catalog.format('*/%s * * * *', s.minutes) end
    from (
        select coalesce(min(case
            when j.retry_attempts > 1 or j.reports_within is not null then 1
            when j.schedule ~* 'second' or j.schedule ~ '^\s*\*(\s|/1\s|$)' then 1
            -- a step that divides the hour; anything else is judged as if it came every minute, or seldom
            when j.schedule ~ '^\s*\*/\d{1,2}\s' then least(5, greatest(1, cast(substring(j.schedule from '/(\d+)') as integer)))
            when j.schedule ~ '^\s*[\d,]+\s' then 5
            else 1
        end), 5) as minutes
        from autosync.job as j
        where j.sql is null and not j.watch and j.enabled
    ) as s
$$;

revoke all on function autosync.house_schedule() from public;

comment on function autosync.house_schedule() is 'the schedule that housekeeping needs now';
