-- set_next_run_at(): refuse a bad schedule in words a form can show, and own next_run_at (docs/explanation/next-run-at.md).
-- requires: 0003
--
-- Security definer, because whoever may write a schedule may not use the schema autosync. It is a trigger function:
-- nobody can call it otherwise. Who wrote a row is not up to API users, and how many an organization has neither: the
-- limit is autosync.setting's 'limits'. The service role and the owner are not bound by it.
create or replace function autosync.set_next_run_at()
returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    moment constant timestamptz := now();
    wanted constant timestamptz := new.next_run_at;
    inserted constant boolean := tg_op = 'INSERT';
    -- the role that the Data API took, which a security definer's current_user hides
    by_api_user constant boolean := case pg_catalog.current_setting('role', true)
        when 'anon' then true when 'authenticated' then true when 'service_role' then false
        else session_user = 'authenticator' end;
    author text;
    most integer;
    window_changed boolean;
    is_kept boolean;
    opening timestamptz;
    wrong_column text;
    wrong_constraint text;
    complaint text;
    advice text;
begin
    if by_api_user then
        -- what auth.uid() reads, once a row instead of a call a row
        author := coalesce(
            nullif(pg_catalog.current_setting('request.jwt.claim.sub', true), ''),
            cast(nullif(pg_catalog.current_setting('request.jwt.claims', true), '') as jsonb) ->> 'sub');
        if author !~* '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$' then
            author := null;
        end if;
        new.updated_by := cast(author as uuid);
        new.created_by := case when inserted then new.updated_by else old.created_by end;
    end if;
    -- a clock that is ahead must not park a schedule; one that is not ahead of the transaction is not ahead
    if new.last_run_at = '-infinity' then
        new.last_run_at := null;
    elsif new.last_run_at > moment and new.last_run_at > clock_timestamp()
        and (inserted or new.last_run_at is distinct from old.last_run_at) then
        new.last_run_at := clock_timestamp();
    end if;

    -- One expression for the row that there is nothing to say of, which is nearly every row. Of a new row's old values
    -- each is null.
    if new.frequency_minutes not between 1 and 44640
        or new.direction not in ('import', 'export', 'bidirectional')
        or new.conflict_resolution not in ('newest_wins', 'local_wins', 'remote_wins', 'manual')
        or new.device_filter not in ('all', 'tagged')
        or new.last_run_status not in ('success', 'partial', 'failed')
        or new.device_tags is distinct from old.device_tags
        or (
            new.time_window_enabled is distinct from coalesce(old.time_window_enabled, false)
            or new.time_window_start is distinct from old.time_window_start
            or new.time_window_end is distinct from old.time_window_end
            or new.timezone <> 'UTC' and new.timezone is distinct from old.timezone
        ) and (
            -- New rows with a window come in bulk, too, and most are in one of these zones, which each server knows: what
            -- another needs below, the name compared with patterns and tried, is twice what the rest costs.
            inserted and new.time_window_start <> new.time_window_end
            and new.time_window_start < time '24:00' and new.time_window_end < time '24:00'
            and new.timezone in (
                'UTC', 'Africa/Cairo', 'Africa/Johannesburg', 'Africa/Lagos', 'Africa/Nairobi', 'America/Anchorage',
                'America/Bogota', 'America/Chicago', 'America/Denver', 'America/Halifax', 'America/Lima',
                'America/Los_Angeles', 'America/Mexico_City', 'America/New_York', 'America/Phoenix', 'America/Sao_Paulo',
                'America/Toronto', 'America/Vancouver', 'Asia/Bangkok', 'Asia/Dubai', 'Asia/Hong_Kong', 'Asia/Jakarta',
                'Asia/Jerusalem', 'Asia/Karachi', 'Asia/Kolkata', 'Asia/Manila', 'Asia/Riyadh', 'Asia/Seoul',
                'Asia/Shanghai', 'Asia/Singapore', 'Asia/Taipei', 'Asia/Tokyo', 'Australia/Melbourne', 'Australia/Sydney',
                'Europe/Amsterdam', 'Europe/Athens', 'Europe/Berlin', 'Europe/Brussels', 'Europe/Dublin',
                'Europe/Helsinki', 'Europe/Istanbul', 'Europe/Lisbon', 'Europe/London', 'Europe/Madrid', 'Europe/Oslo',
                'Europe/Paris', 'Europe/Prague', 'Europe/Rome', 'Europe/Stockholm', 'Europe/Vienna', 'Europe/Warsaw',
                'Europe/Zurich', 'Pacific/Auckland'
            )
        ) is not true
        or new.organization_id is null and (inserted or old.organization_id is not null)
        or by_api_user then
        case
            when new.frequency_minutes not between 1 and 44640 then
                wrong_column := 'frequency_minutes';
                complaint := pg_catalog.format(
                    'frequency_minutes must be between 1 and 44640 (31 days), not %s', new.frequency_minutes);
            when new.direction not in ('import', 'export', 'bidirectional') then
                wrong_column := 'direction';
                complaint := pg_catalog.format(
                    'direction must be import, export or bidirectional, not %L', pg_catalog.left(new.direction, 60));
            when new.conflict_resolution not in ('newest_wins', 'local_wins', 'remote_wins', 'manual') then
                wrong_column := 'conflict_resolution';
                complaint := pg_catalog.format(
                    'conflict_resolution must be newest_wins, local_wins, remote_wins or manual, not %L',
                    pg_catalog.left(new.conflict_resolution, 60));
            when new.device_filter not in ('all', 'tagged') then
                wrong_column := 'device_filter';
                complaint := pg_catalog.format(
                    'device_filter must be all or tagged, not %L', pg_catalog.left(new.device_filter, 60));
            when new.last_run_status not in ('success', 'partial', 'failed') then
                wrong_column := 'last_run_status';
                complaint := pg_catalog.format(
                    'last_run_status must be success, partial or failed, not %L', pg_catalog.left(new.last_run_status, 60));
            else
                null;
        end case;
        wrong_constraint := pg_catalog.format('auto_sync_schedules_%s_check', wrong_column);

        if complaint is null and new.device_tags is not null
            and (inserted or new.device_tags is distinct from old.device_tags) then
            if cardinality(new.device_tags) > 100 then
                complaint := pg_catalog.format(
                    'device_tags must be 100 or fewer, not %s', cardinality(new.device_tags));
            elsif octet_length(array_to_string(new.device_tags, '')) > 10000 then
                complaint := pg_catalog.format(
                    'device_tags must have 10000 bytes or fewer together, not %s',
                    octet_length(array_to_string(new.device_tags, '')));
            end if;
            if complaint is not null then
                wrong_column := 'device_tags';
                wrong_constraint := 'auto_sync_schedules_device_tags_check';
                advice := 'Nothing was saved; name fewer tags, or shorter ones, and save again.';
            end if;
        end if;

        window_changed := inserted
            or new.time_window_enabled is distinct from old.time_window_enabled
            or new.time_window_start is distinct from old.time_window_start
            or new.time_window_end is distinct from old.time_window_end;
        if window_changed
            and (new.time_window_enabled or new.time_window_start is not null or new.time_window_end is not null) then
            -- 24:00 is a time to Postgres and to nobody else
            if new.time_window_start = time '24:00' then
                new.time_window_start := time '00:00';
            end if;
            if new.time_window_end = time '24:00' then
                new.time_window_end := time '00:00';
            end if;
            if complaint is null and (new.time_window_start = new.time_window_end) is not false then
                wrong_constraint := 'valid_time_window';
                if new.time_window_start is null then
                    wrong_column := 'time_window_start';
                    complaint := 'time_window_start is missing: a time window needs time_window_start and time_window_end';
                    advice := 'Give both as times from 00:00 to 23:59, or turn the window off and leave both empty.';
                elsif new.time_window_end is null then
                    wrong_column := 'time_window_end';
                    complaint := 'time_window_end is missing: a time window needs time_window_start and time_window_end';
                    advice := 'Give both as times from 00:00 to 23:59, or turn the window off and leave both empty.';
                else
                    wrong_column := 'time_window_end';
                    complaint := pg_catalog.format(
                        'time_window_end must differ from time_window_start, both are %s', new.time_window_start);
                    advice := 'For the whole day turn the window off; an end before the start crosses midnight.';
                end if;
            end if;
        end if;

        -- a place's zone that a window could be computed in exists; to ask is_time_zone() as well would double what the
        -- trigger costs
        if complaint is null and inserted and new.enabled and new.time_window_enabled and new.last_run_at is null
            -- more exactly spelled than is_time_zone() asks for
            and new.timezone ~ '^(Africa|America|Asia|Atlantic|Europe|Indian|Pacific)/[A-Z][a-z]+(_[A-Z][a-z]{2,})*$' then
            begin
                opening := autosync.window_opening(
                    moment, new.time_window_start, new.time_window_end, new.timezone);
            exception when invalid_parameter_value then
                opening := null;
            end;
        end if;
        if complaint is null and opening is null and (inserted or new.timezone is distinct from old.timezone)
            and new.timezone <> 'UTC' and not autosync.is_time_zone(new.timezone) then
            wrong_column := 'timezone';
            wrong_constraint := 'auto_sync_schedules_timezone_check';
            complaint := pg_catalog.format(
                'timezone must be UTC or an IANA name such as Europe/Paris, not %L', pg_catalog.left(new.timezone, 60));
            advice := 'Abbreviations (EST) and offsets (UTC+2) do not follow daylight saving time and are not accepted.';
        end if;

        -- a condition of its own: one that holds a query is run as a query, for the rows that it does not speak of, too
        if complaint is null and new.organization_id is null and (inserted or old.organization_id is not null) then
            if exists (
                select from autosync.setting as t where t.name = 'isolation' and t.value ->> 'mode' = 'organization'
            ) then
                wrong_column := 'organization_id';
                wrong_constraint := 'auto_sync_schedules_organization_id_check';
                complaint := 'organization_id is missing: each schedule belongs to an organization here';
                advice := 'Nothing was saved; give the organization that the integration belongs to, and save again.';
            end if;
        end if;

        if complaint is null and by_api_user and new.organization_id is not null
            and (inserted or new.organization_id is distinct from old.organization_id) then
            most := (
                select cast(t.value ->> 'schedules_per_organization' as integer)
                from autosync.setting as t
                where t.name = 'limits' and jsonb_typeof(t.value -> 'schedules_per_organization') = 'number'
            );
            -- an upsert of a schedule that is there comes by as an insert, and adds none
            if most is not null and not (inserted and exists (
                select from public.auto_sync_schedules as s where s.integration_id = new.integration_id or s.id = new.id
            )) then
                -- two requests at once must not both take the last place
                perform pg_catalog.pg_advisory_xact_lock(
                    hashtext('autosync.limits'), cast(hashtext(cast(new.organization_id as text)) as integer));
                if (
                    select count(*)
                    from (
                        select from public.auto_sync_schedules as s where s.organization_id = new.organization_id limit most
                    ) as h
                ) >= most then
                    wrong_column := 'organization_id';
                    wrong_constraint := 'schedules_per_organization';
                    complaint := pg_catalog.format('an organization may have %s schedules, and this one has them', most);
                    advice := 'Nothing was saved; delete a schedule that is no longer needed, or ask for a higher limit.';
                end if;
            end if;
        end if;

        if complaint is not null then
            raise exception using
                errcode = 'check_violation', message = complaint,
                hint = coalesce(advice, 'Nothing was saved; correct this value and save again.'),
                schema = tg_table_schema, table = tg_table_name, column = wrong_column, constraint = wrong_constraint;
        end if;
    end if;

    if inserted then
        -- new rows come in bulk, so those that never ran are spared the detour through next_run_at
        is_kept := new.last_run_at is null;
        if not new.enabled then
            new.next_run_at := null;
        elsif new.last_run_at is null and not new.time_window_enabled then
            new.next_run_at := moment;
        elsif new.last_run_at is null then
            new.next_run_at := coalesce(opening, autosync.window_opening(
                moment, new.time_window_start, new.time_window_end, new.timezone));
        else
            new.next_run_at := autosync.next_run_at(
                new.enabled, new.last_run_at, new.frequency_minutes, new.time_window_enabled, new.time_window_start,
                new.time_window_end, new.timezone, moment, new.consecutive_failures);
        end if;
    else
        new.updated_at := moment;
        if new.last_run_at is distinct from old.last_run_at then
            -- a run was recorded, by auto_sync_complete or by a plain update
            if (new.consecutive_failures <> 0 or new.last_run_status = 'failed')
                and new.consecutive_failures is not distinct from old.consecutive_failures then
                new.consecutive_failures :=
                    case when new.last_run_status = 'failed' then old.consecutive_failures + 1 else 0 end;
            end if;
            if num_nonnulls(new.claim_id, new.claimed_at, new.claim_expires_at) > 0
                and new.claim_id is not distinct from old.claim_id then
                new.claim_id := null;
                new.claimed_at := null;
                new.claim_expires_at := null;
            end if;
            if new.claims_since_run <> 0 or new.claim_retry_at is not null then
                new.claims_since_run := 0;
                new.claim_retry_at := null;
            end if;
            if new.enabled and new.consecutive_failures <= 1 and new.last_run_at is not null then
                -- what next_run_at() says of a healthy run, without calling it for each
                new.next_run_at := new.last_run_at + make_interval(mins => new.frequency_minutes);
                if new.time_window_enabled then
                    new.next_run_at := autosync.window_opening(
                        new.next_run_at, new.time_window_start, new.time_window_end, new.timezone);
                end if;
            else
                new.next_run_at := autosync.next_run_at(
                    new.enabled, new.last_run_at, new.frequency_minutes, new.time_window_enabled, new.time_window_start,
                    new.time_window_end, new.timezone, moment, new.consecutive_failures);
            end if;
        elsif new.enabled is distinct from old.enabled
            or new.frequency_minutes is distinct from old.frequency_minutes
            or new.timezone is distinct from old.timezone
            or window_changed
            -- any update corrects a row that came in past the trigger
            or (new.enabled and old.next_run_at is null) then
            new.next_run_at := autosync.next_run_at(
                new.enabled, new.last_run_at, new.frequency_minutes, new.time_window_enabled, new.time_window_start,
                new.time_window_end, new.timezone,
                -- one that is due and never ran stays due; a disabled one has waited for nothing
                case when old.enabled then least(old.next_run_at, moment) else moment end,
                new.consecutive_failures,
                moment + make_interval(mins => new.frequency_minutes));
        else
            -- move_shut_windows() gives another one; nobody else gets it
            is_kept := wanted is not distinct from old.next_run_at;
            new.next_run_at := old.next_run_at;
        end if;
        -- but make_due(), for this schedule alone
        if wanted is distinct from old.next_run_at and not by_api_user
            and pg_catalog.current_setting('autosync.make_due', true) <> ''
            and pg_catalog.current_setting('autosync.make_due', true) = cast(new.id as text) then
            is_kept := false;
            new.next_run_at := wanted;
        end if;
    end if;

    -- due, but outside the window: waits for the next opening
    if new.time_window_enabled and new.next_run_at < moment and is_kept is not true then
        opening := autosync.window_opening(moment, new.time_window_start, new.time_window_end, new.timezone);
        if opening > moment then
            new.next_run_at := opening;
        end if;
    end if;
    return new;
end
$$;

comment on function autosync.set_next_run_at() is
    'Trigger: refuses a bad schedule in words a form can show, and owns next_run_at';

revoke all on function autosync.set_next_run_at() from public;
