-- is_time_zone(name): whether a name is an IANA time zone that follows a place's clock, spelled as IANA spells it.
-- requires: 0003
create or replace function autosync.is_time_zone(name text)
returns boolean
language plpgsql
stable
parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
    if name = 'UTC' then
        return true;
    end if;
    -- AT TIME ZONE also takes abbreviations (EST never has summer time), POSIX rules (UTC+2 is two hours west) and any
    -- upper and lower case, which other software does not
    if name is null
        or not (
            -- each word of a place begins with a capital and goes on without, but for those that do not
            name ~ '^[A-Z][a-z]+(/[A-Z][a-z]+([_-][A-Z][a-z]+)*){1,2}$'
            and name !~ '/(Act|Bajanorte|Bajasur|Comodrivadavia|Dar_Es_Salaam|Denoronha|Dumontdurville|Easterisland'
                '|Isle_Of_Man|Knox_In|Lhi|Mcmurdo|Nsw|Port-Au-Prince|Port_Of_Spain)$'
            and name !~ '^((Us|Posix|Right)/|Etc/(Gmt|Uct|Utc)$)'
            or name in (
                'Australia/ACT', 'Mexico/BajaNorte', 'Mexico/BajaSur', 'America/Argentina/ComodRivadavia',
                'Africa/Dar_es_Salaam', 'Brazil/DeNoronha', 'Antarctica/DumontDUrville', 'Chile/EasterIsland',
                'Europe/Isle_of_Man', 'America/Knox_IN', 'Australia/LHI', 'Antarctica/McMurdo', 'Australia/NSW',
                'America/Port-au-Prince', 'America/Port_of_Spain', 'Etc/GMT', 'Etc/UCT', 'Etc/UTC'
            )
            or name ~ '^US/[A-Z][a-z]+(-[A-Z][a-z]+)*$'
            or name ~ '^Etc/(GMT0|GMT[+-][0-9]|GMT[+-]1[0-2]|GMT-1[34])$'
            or name in (
                'Cuba', 'Egypt', 'Eire', 'GB', 'GB-Eire', 'GMT', 'Greenwich', 'Hongkong', 'Iceland', 'Iran', 'Israel',
                'Jamaica', 'Japan', 'Kwajalein', 'Libya', 'Navajo', 'NZ', 'NZ-CHAT', 'Poland', 'Portugal', 'PRC',
                'ROC', 'ROK', 'Singapore', 'Turkey', 'UCT', 'Universal', 'W-SU', 'Zulu',
                'CST6CDT', 'EST5EDT', 'MST7MDT', 'PST8PDT'
            )
        ) then
        return false;
    end if;
    begin
        perform pg_catalog.now() at time zone name;
    exception when invalid_parameter_value then
        return false;
    end;
    return true;
end
$$;

comment on function autosync.is_time_zone(text) is
    'Whether a name is an IANA time zone (Region/City or UTC), not an abbreviation or a POSIX rule';

revoke all on function autosync.is_time_zone(text) from public;
