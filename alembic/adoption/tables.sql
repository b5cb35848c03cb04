-- tables: what the tables that a project may have had before us must be like, so that they can be completed in place.
--
-- Each file of this folder is one statement. It reads and leaves settings of the transaction: this one autosync.tables.
-- A revision says for which revisions it asks in autosync.adopting; refusals, isolation_found, user_columns, retired,
-- fixes and job_found leave what they find in the setting of their name, for the revision and for `migrate --dry-run`.
--
-- required: whether the table must have the column; filled: whether that may not be null. described: columns of the
-- table that get a comment of ours. grantees: whose grants we change besides those of PUBLIC, null for everybody's.
-- written_whole: we write whole rows, so that no further column may need a value.
do $tables$
begin
    perform set_config('autosync.tables', '[
        {
            "name": "public.pg_cron_secrets",
            "revision": "0002",
            "key": "name",
            "unique_columns": [],
            "described": [],
            "grantees": null,
            "written_whole": true,
            "columns": [
                {"name": "name", "type": "text", "required": true, "filled": true},
                {"name": "secret", "type": "text", "required": true, "filled": true},
                {"name": "created_at", "type": "timestamp with time zone", "required": false, "filled": false},
                {"name": "updated_at", "type": "timestamp with time zone", "required": false, "filled": false}
            ]
        },
        {
            "name": "public.auto_sync_schedules",
            "revision": "0003",
            "key": "id",
            "unique_columns": ["integration_id"],
            "described": ["next_run_at"],
            "grantees": ["anon", "authenticated", "service_role"],
            "written_whole": false,
            "columns": [
                {"name": "id", "type": "uuid", "required": true, "filled": true},
                {"name": "integration_id", "type": "uuid", "required": true, "filled": true, "settable": true},
                {"name": "organization_id", "type": "uuid", "required": true, "filled": false, "settable": true},
                {"name": "enabled", "type": "boolean", "required": true, "filled": true, "settable": true},
                {"name": "frequency_minutes", "type": "integer", "required": true, "filled": true, "settable": true},
                {"name": "direction", "type": "text", "required": true, "filled": true, "settable": true},
                {"name": "conflict_resolution", "type": "text", "required": true, "filled": true, "settable": true},
                {"name": "only_online", "type": "boolean", "required": true, "filled": true, "settable": true},
                {"name": "time_window_enabled", "type": "boolean", "required": true, "filled": true, "settable": true},
                {"name": "time_window_start", "type": "time without time zone", "required": true, "filled": false,
                    "settable": true},
                {"name": "time_window_end", "type": "time without time zone", "required": true, "filled": false,
                    "settable": true},
                {"name": "device_filter", "type": "text", "required": true, "filled": true, "settable": true},
                {"name": "device_tags", "type": "text[]", "required": true, "filled": false, "settable": true},
                {"name": "last_run_at", "type": "timestamp with time zone", "required": true, "filled": false,
                    "reserved": true},
                {"name": "last_run_status", "type": "text", "required": true, "filled": false, "reserved": true},
                {"name": "last_run_summary", "type": "jsonb", "required": true, "filled": false, "reserved": true},
                {"name": "next_run_at", "type": "timestamp with time zone", "required": true, "filled": false,
                    "reserved": true},
                {"name": "created_at", "type": "timestamp with time zone", "required": true, "filled": true},
                {"name": "updated_at", "type": "timestamp with time zone", "required": true, "filled": true},
                {"name": "created_by", "type": "uuid", "required": true, "filled": false, "settable": true},
                {"name": "updated_by", "type": "uuid", "required": true, "filled": false, "settable": true},
                {"name": "timezone", "type": "text", "required": false, "filled": true, "settable": true},
                {"name": "claim_id", "type": "uuid", "required": false, "filled": false, "reserved": true},
                {"name": "claimed_at", "type": "timestamp with time zone", "required": false, "filled": false,
                    "reserved": true},
                {"name": "claim_expires_at", "type": "timestamp with time zone", "required": false, "filled": false,
                    "reserved": true},
                {"name": "claims_since_run", "type": "integer", "required": false, "filled": true, "reserved": true},
                {"name": "claim_retry_at", "type": "timestamp with time zone", "required": false, "filled": false,
                    "reserved": true},
                {"name": "completed_claim_id", "type": "uuid", "required": false, "filled": false, "reserved": true},
                {"name": "consecutive_failures", "type": "integer", "required": false, "filled": true,
                    "reserved": true}
            ]
        }
    ]', true);
end
$tables$
