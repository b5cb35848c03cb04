-- checks: the constraints of the schedules' table; shown: how the server shows those that the deployed table has, too.
--
-- A lone bound of a window that is off harms nobody, and earlier tables may hold one.
do $checks$
begin
    perform set_config('autosync.checks', '[
        {
            "name": "auto_sync_schedules_frequency_minutes_check",
            "condition": "frequency_minutes between 1 and 44640",
            "shown": "CHECK (((frequency_minutes >= 1) AND (frequency_minutes <= 44640)))"
        },
        {
            "name": "auto_sync_schedules_direction_check",
            "condition": "direction in (''import'', ''export'', ''bidirectional'')",
            "shown": "CHECK ((direction = ANY (ARRAY[''import''::text, ''export''::text, ''bidirectional''::text])))"
        },
        {
            "name": "auto_sync_schedules_conflict_resolution_check",
            "condition": "conflict_resolution in (''newest_wins'', ''local_wins'', ''remote_wins'', ''manual'')",
            "shown": "CHECK ((conflict_resolution = ANY (ARRAY[''newest_wins''::text, ''local_wins''::text, ''remote_wins''::text, ''manual''::text])))"
        },
        {
            "name": "auto_sync_schedules_device_filter_check",
            "condition": "device_filter in (''all'', ''tagged'')",
            "shown": "CHECK ((device_filter = ANY (ARRAY[''all''::text, ''tagged''::text])))"
        },
        {
            "name": "auto_sync_schedules_last_run_status_check",
            "condition": "last_run_status in (''success'', ''partial'', ''failed'')",
            "shown": "CHECK ((last_run_status = ANY (ARRAY[''success''::text, ''partial''::text, ''failed''::text])))"
        },
        {
            "name": "valid_time_window",
            "condition": "not time_window_enabled or (time_window_start is not null and time_window_end is not null and time_window_start <> time_window_end)"
        },
        {
            "name": "auto_sync_schedules_consecutive_failures_check",
            "condition": "consecutive_failures >= 0"
        },
        {
            "name": "auto_sync_schedules_claim_check",
            "condition": "num_nulls(claim_id, claimed_at, claim_expires_at) in (0, 3)"
        }
    ]', true);
end
$checks$
