create table autosync.adopted (
    id bigint generated always as identity not null,
    revision text not null,
    step integer not null,
    object text not null,
    undo text not null,
    adopted_at timestamp with time zone not null default clock_timestamp(),
    constraint adopted_pkey primary key (id)
);

comment on table autosync.adopted is 'what was there before autosync-db, as the statements that bring it back; run by autosync-db rollback';

create table autosync.alembic_version (
    version_num character varying(32) not null,
    constraint alembic_version_pkc primary key (version_num)
);

create table autosync.alert (
    id bigint generated always as identity not null,
    receiver_id integer not null,
    job_id integer,
    event text not null,
    key uuid not null default gen_random_uuid(),
    body jsonb,
    success_at timestamp with time zone,
    created_at timestamp with time zone not null default clock_timestamp(),
    outcome text not null default 'waiting'::text,
    attempts integer not null default 0,
    next_try_at timestamp with time zone not null default clock_timestamp(),
    request_ids bigint[] not null default '{}'::bigint[],
    epoch text,
    posted_at timestamp with time zone,
    settled_at timestamp with time zone,
    status_code integer,
    error_message text,
    constraint alert_event_check
        check
        ((event = ANY (ARRAY['fault'::text, 'recovered'::text, 'summary'::text, 'heartbeat'::text, 'test'::text]))),
    constraint alert_outcome_check
        check
        ((outcome = ANY (ARRAY['waiting'::text, 'posted'::text, 'delivered'::text, 'unconfirmed'::text,
        'given_up'::text, 'dropped'::text]))),
    constraint alert_pkey primary key (id)
);

create index alert_open_idx on autosync.alert using btree (id)
    where (outcome = ANY (ARRAY['waiting'::text, 'posted'::text]));

create index alert_receiver_id_id_idx on autosync.alert using btree (receiver_id, id);

comment on table autosync.alert is 'messages and heartbeats, and what became of them';

create table autosync.alert_receiver (
    id integer generated always as identity not null,
    kind text not null,
    job_id integer,
    form text not null,
    secret_name text not null,
    reported_at timestamp with time zone,
    created_at timestamp with time zone not null default clock_timestamp(),
    constraint alert_receiver_form_check
        check
        ((form = ANY (ARRAY['slack'::text, 'webhook'::text, 'healthchecks'::text, 'betterstack'::text, 'cronitor'::text,
        'sentry'::text, 'get'::text]))),
    constraint alert_receiver_kind_check
        check ((kind = ANY (ARRAY['slack'::text, 'webhook'::text, 'heartbeat'::text]))),
    constraint alert_receiver_kind_job_id_key unique nulls not DISTINCT (kind, job_id),
    constraint alert_receiver_pkey primary key (id),
    constraint alert_receiver_secret_name_key unique (secret_name)
);

comment on table autosync.alert_receiver is 'who is to be notified; written by autosync-db alerts, the addresses are secrets';

create table autosync.alert_state (
    job_id integer not null,
    state text not null default 'ok'::text,
    cause text not null default ''::text,
    facts jsonb not null default '{}'::jsonb,
    since timestamp with time zone not null default clock_timestamp(),
    seen_at timestamp with time zone not null default clock_timestamp(),
    changes integer not null default 0,
    said_state text not null default 'ok'::text,
    said_cause text not null default ''::text,
    said_at timestamp with time zone,
    constraint alert_state_pkey primary key (job_id),
    constraint alert_state_state_check
        check
        ((state = ANY (ARRAY['ok'::text, 'missing_secret'::text, 'runs_failing'::text, 'ticks_missed'::text,
        'calls_failing'::text, 'schedules_overdue'::text])))
);

comment on table autosync.alert_state is 'what was last seen of each job, and what was last said';

create unlogged table autosync.epoch (
    only_row boolean not null default true,
    token uuid not null default gen_random_uuid(),
    constraint epoch_only_row_check check (only_row),
    constraint epoch_pkey primary key (only_row)
);

comment on table autosync.epoch is 'a token that goes when a crash empties the tables of pg_net';

create table autosync.housekeeping (
    only_row boolean not null default true,
    pruned_runid bigint not null default 0,
    constraint housekeeping_only_row_check check (only_row),
    constraint housekeeping_pkey primary key (only_row)
);

comment on table autosync.housekeeping is 'how far autosync.keep_house() has come';

create table autosync.job (
    id integer generated always as identity not null,
    name text not null,
    function text,
    url text,
    sql text,
    watch boolean not null default false,
    schedule text,
    method text not null default 'POST'::text,
    headers jsonb not null default '{}'::jsonb,
    body jsonb,
    auth text not null default 'service_key'::text,
    secret_name text,
    secret_header text,
    secret_prefix text not null default ''::text,
    timeout_milliseconds integer not null default 30000,
    drains text,
    invoke text not null default 'always'::text,
    batch_size integer not null default 50,
    max_requests integer not null default 4,
    overlap text not null default 'allow'::text,
    retry_attempts integer not null default 1,
    retry_wait interval not null default '00:00:30'::interval,
    expect jsonb,
    reports_within interval,
    enabled boolean not null default true,
    keep_invocations interval not null default '30 days'::interval,
    keep_run_details interval not null default '7 days'::interval,
    paused_at timestamp with time zone,
    paused_by text,
    scheduled_command text,
    created_at timestamp with time zone not null default clock_timestamp(),
    updated_at timestamp with time zone not null default clock_timestamp(),
    constraint job_auth_check
        check ((auth = ANY (ARRAY['service_key'::text, 'cron_secret'::text, 'none'::text, 'secret'::text]))),
    constraint job_batch_size_check check (((batch_size >= 1) AND (batch_size <= 200))),
    constraint job_drains_check check ((drains = 'auto_sync_schedules'::text)),
    constraint job_function_check
        check ((function ~ '^[A-Za-z0-9][A-Za-z0-9_-]{0,62}(/[A-Za-z0-9._~%-]+)*/?([?][^\s#]*)?$'::text)),
    constraint job_headers_check check ((jsonb_typeof(headers) = 'object'::text)),
    constraint job_invoke_check check ((invoke = ANY (ARRAY['always'::text, 'when_due'::text]))),
    constraint job_key_stays_home_check check (((url IS NULL) OR (auth = ANY (ARRAY['none'::text, 'secret'::text])))),
    constraint job_kind_check check (((num_nonnulls(function, url, sql) + (watch)::integer) = 1)),
    constraint job_max_requests_check check (((max_requests >= 1) AND (max_requests <= 100))),
    constraint job_method_check check ((method = ANY (ARRAY['POST'::text, 'GET'::text]))),
    constraint job_name_check check ((name ~ '^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$'::text)),
    constraint job_name_key unique (name),
    constraint job_overlap_check check ((overlap = ANY (ARRAY['allow'::text, 'skip'::text]))),
    constraint job_pkey primary key (id),
    constraint job_retry_attempts_check check (((retry_attempts >= 1) AND (retry_attempts <= 10))),
    constraint job_schedule_check check ((watch OR (schedule IS NOT NULL))),
    constraint job_secret_check check ((num_nonnulls(secret_name, secret_header) =
CASE
    WHEN (auth = 'secret'::text) THEN 2
    ELSE 0
END)),
    constraint job_timeout_milliseconds_check
        check (((timeout_milliseconds >= 1000) AND (timeout_milliseconds <= 600000))),
    constraint job_url_check check ((url ~ '^https?://\S+$'::text))
);

comment on table autosync.job is 'what each scheduled job must look like; changed by autosync-db setup and autosync-db jobs';

create table autosync.key_rotation (
    made text not null,
    subject text not null,
    project_ref text not null,
    token uuid not null,
    old_key_id text,
    old_key_name text,
    old_fingerprint text,
    new_fingerprint text,
    old_is_free boolean,
    started_at timestamp with time zone not null default clock_timestamp(),
    started_by text not null default SESSION_USER,
    application_name text not null default current_setting('application_name'::text),
    client_address inet default inet_client_addr(),
    lease_expires_at timestamp with time zone not null,
    constraint key_rotation_pkey primary key (made),
    constraint key_rotation_subject_check
        check ((subject = ANY (ARRAY['service_role_key'::text, 'cron_secret'::text])))
);

alter table autosync.key_rotation
    enable row level security;

create unique index key_rotation_alone_idx on autosync.key_rotation using btree ((true));

comment on table autosync.key_rotation is 'the journal of autosync-db rotate --auto: what is made at the platform, written before it is made';

create table autosync.object (
    path text not null,
    source_hash text not null,
    live_hash text not null,
    applied_at timestamp with time zone not null default clock_timestamp(),
    constraint object_pkey primary key (path)
);

comment on table autosync.object is 'the files of sql/ that are applied; written by autosync-db migrate';

create table autosync.run_mark (
    runid bigint not null,
    marked_at timestamp with time zone not null default clock_timestamp(),
    constraint run_mark_pkey primary key (runid)
);

comment on table autosync.run_mark is 'which run of pg_cron was the newest when: tells the age of runs without times';

create table autosync.secret_change (
    id bigint generated always as identity not null,
    changed_at timestamp with time zone not null default clock_timestamp(),
    action text not null,
    name text not null,
    store text not null,
    kind text not null,
    fingerprint_before text,
    fingerprint_after text,
    session_role text not null,
    acting_role text not null,
    application_name text not null,
    client_address inet,
    constraint secret_change_action_check
        check ((action = ANY (ARRAY['stored'::text, 'replaced'::text, 'put back'::text, 'deleted'::text]))),
    constraint secret_change_pkey primary key (id),
    constraint secret_change_store_check check ((store = ANY (ARRAY['table'::text, 'vault'::text])))
);

create index secret_change_name_id_idx on autosync.secret_change using btree (name, id);

comment on table autosync.secret_change is 'who changed which secret when; fingerprints only; rows are added by triggers and never changed';

create table autosync.secret_rotation (
    name text not null,
    token uuid not null,
    kept text not null,
    previous text,
    fingerprint_before text,
    fingerprint_after text,
    started_at timestamp with time zone not null default clock_timestamp(),
    started_by text not null default SESSION_USER,
    application_name text not null default current_setting('application_name'::text),
    client_address inet default inet_client_addr(),
    lease_expires_at timestamp with time zone not null,
    constraint secret_rotation_kept_check check ((kept = ANY (ARRAY['here'::text, 'vault'::text, 'nowhere'::text]))),
    constraint secret_rotation_pkey primary key (name),
    constraint secret_rotation_previous_check check (((kept = 'here'::text) = (previous IS NOT NULL)))
);

alter table autosync.secret_rotation
    enable row level security;

comment on table autosync.secret_rotation is 'what was active before, until what replaced it is proven; written by autosync-db rotate and setup';

create table autosync.setting (
    name text not null,
    value jsonb not null,
    updated_at timestamp with time zone not null default clock_timestamp(),
    constraint setting_pkey primary key (name)
);

create table autosync.tick (
    id bigint generated always as identity not null,
    job_id integer not null,
    ticked_at timestamp with time zone not null default clock_timestamp(),
    backend_pid integer not null default pg_backend_pid(),
    caller text not null,
    due integer not null,
    decision text not null,
    epoch text,
    constraint tick_decision_check
        check
        ((decision = ANY (ARRAY['posted'::text, 'idle'::text, 'paused'::text, 'overlapping'::text,
        'backlogged'::text]))),
    constraint tick_pkey primary key (id)
);

create index tick_job_id_id_idx on autosync.tick using btree (job_id, id);

comment on table autosync.tick is 'one row per call of autosync.dispatch(); backend_pid joins cron.job_run_details.job_pid';

create table public.auto_sync_schedules (
    id uuid not null default gen_random_uuid(),
    integration_id uuid not null,
    organization_id uuid,
    enabled boolean not null default false,
    frequency_minutes integer not null default 15,
    direction text not null default 'bidirectional'::text,
    conflict_resolution text not null default 'newest_wins'::text,
    only_online boolean not null default true,
    time_window_enabled boolean not null default false,
    time_window_start time without time zone,
    time_window_end time without time zone,
    device_filter text not null default 'all'::text,
    device_tags text[],
    last_run_at timestamp with time zone,
    last_run_status text,
    last_run_summary jsonb,
    next_run_at timestamp with time zone,
    created_at timestamp with time zone not null default now(),
    updated_at timestamp with time zone not null default now(),
    created_by uuid,
    updated_by uuid,
    timezone text not null default 'UTC'::text,
    claim_id uuid,
    claimed_at timestamp with time zone,
    claim_expires_at timestamp with time zone,
    claims_since_run integer not null default 0,
    claim_retry_at timestamp with time zone,
    completed_claim_id uuid,
    consecutive_failures integer not null default 0,
    constraint auto_sync_schedules_claim_check
        check ((num_nulls(claim_id, claimed_at, claim_expires_at) = ANY (ARRAY[0, 3]))),
    constraint auto_sync_schedules_conflict_resolution_check
        check
        ((conflict_resolution = ANY (ARRAY['newest_wins'::text, 'local_wins'::text, 'remote_wins'::text,
        'manual'::text]))),
    constraint auto_sync_schedules_consecutive_failures_check check ((consecutive_failures >= 0)),
    constraint auto_sync_schedules_device_filter_check
        check ((device_filter = ANY (ARRAY['all'::text, 'tagged'::text]))),
    constraint auto_sync_schedules_direction_check
        check ((direction = ANY (ARRAY['import'::text, 'export'::text, 'bidirectional'::text]))),
    constraint auto_sync_schedules_frequency_minutes_check
        check (((frequency_minutes >= 1) AND (frequency_minutes <= 44640))),
    constraint auto_sync_schedules_integration_id_key unique (integration_id),
    constraint auto_sync_schedules_last_run_status_check
        check ((last_run_status = ANY (ARRAY['success'::text, 'partial'::text, 'failed'::text]))),
    constraint auto_sync_schedules_pkey primary key (id),
    constraint valid_time_window check (((NOT time_window_enabled) OR ((time_window_start IS
        NOT NULL) AND (time_window_end IS NOT NULL) AND (time_window_start <> time_window_end))))
);

alter table public.auto_sync_schedules
    enable row level security;

alter table public.auto_sync_schedules
    set (fillfactor=85);

create index auto_sync_schedules_claimable_idx on public.auto_sync_schedules
    using btree (date_bin('00:01:00'::interval, next_run_at, '2000-01-01 00:00:00+00'::timestamp with time zone), (
CASE
    when time_window_enabled THEN hashtext(((timezone || (time_window_start)::text) || (time_window_end)::text))
    ELSE 0
end), COALESCE(uuid_hash_extended(organization_id, (0)::bigint), (0)::bigint), next_run_at)
    where (enabled AND (claim_retry_at is null));

create index auto_sync_schedules_retries_idx on public.auto_sync_schedules
    using btree (GREATEST(next_run_at, claim_retry_at))
    where (enabled AND (claim_retry_at is not null));

create index idx_auto_sync_schedules_next_run on public.auto_sync_schedules using btree (next_run_at)
    where enabled;

create index idx_auto_sync_schedules_organization_id on public.auto_sync_schedules using btree (organization_id);

comment on column public.auto_sync_schedules.claim_expires_at is 'when the lease ends and anybody may claim the schedule again';

comment on column public.auto_sync_schedules.claim_id is 'set by auto_sync_claim, given back to auto_sync_complete; null while nobody works on it';

comment on column public.auto_sync_schedules.claim_retry_at is 'when it may be claimed again, for a schedule that was claimed twice or more without a result';

comment on column public.auto_sync_schedules.claimed_at is 'when the claim was taken';

comment on column public.auto_sync_schedules.claims_since_run is 'how often it was claimed since its last run; more than once: nobody reported a result';

comment on column public.auto_sync_schedules.completed_claim_id is 'the claim that its last run was completed with; completing it again changes nothing';

comment on column public.auto_sync_schedules.consecutive_failures is 'failed runs since the last success; the wait for the next run doubles with each';

comment on column public.auto_sync_schedules.next_run_at is 'owned by the trigger auto_sync_schedules_next_run_at; what a writer gives is ignored';

comment on column public.auto_sync_schedules.timezone is 'IANA zone of the time window, Region/City or UTC';

comment on table public.auto_sync_schedules is 'One scheduled sync per integration';

create table public.pg_cron_secrets (
    name text not null,
    secret text not null,
    created_at timestamp with time zone not null default now(),
    updated_at timestamp with time zone not null default now(),
    constraint pg_cron_secrets_pkey primary key (name)
);

alter table public.pg_cron_secrets
    enable row level security;

comment on table public.pg_cron_secrets is 'project_url and service_role_key of the scheduled calls; change them with autosync-db setup';

create table autosync.invocation (
    id bigint generated always as identity not null,
    tick_id bigint,
    job_id integer not null,
    attempt integer not null default 1,
    retries bigint,
    idempotency_key uuid not null default gen_random_uuid(),
    request_id bigint not null,
    queued_at timestamp with time zone not null default clock_timestamp(),
    timeout_milliseconds integer not null,
    epoch text,
    answered_at timestamp with time zone,
    settled_at timestamp with time zone,
    outcome text not null default 'pending'::text,
    status_code integer,
    error_code text,
    error_message text,
    body_excerpt text,
    function_milliseconds integer,
    counts jsonb,
    answered_by text,
    proof text,
    sb_request_id text,
    execution_id text,
    report_due_at timestamp with time zone,
    reported_at timestamp with time zone,
    retry_at timestamp with time zone,
    constraint invocation_outcome_check
        check
        ((outcome = ANY (ARRAY['pending'::text, 'accepted'::text, 'ok'::text, 'failed'::text, 'http_error'::text,
        'timed_out'::text, 'network_error'::text, 'unreadable'::text, 'lost'::text]))),
    constraint invocation_pkey primary key (id),
    constraint invocation_settled_check
        check (((outcome = ANY (ARRAY['pending'::text, 'accepted'::text])) = (settled_at IS NULL))),
    constraint invocation_tick_id_fkey foreign key (tick_id) references autosync.tick(id) on delete cascade
);

create index invocation_accepted_idx on autosync.invocation using btree (id)
    where (outcome = 'accepted'::text);

create index invocation_idempotency_key_idx on autosync.invocation using btree (idempotency_key);

create index invocation_job_id_id_idx on autosync.invocation using btree (job_id, id);

create index invocation_pending_idx on autosync.invocation using btree (id)
    where (outcome = 'pending'::text);

create index invocation_retry_at_idx on autosync.invocation using btree (retry_at)
    where (retry_at is not null);

create index invocation_tick_id_idx on autosync.invocation using btree (tick_id);

comment on table autosync.invocation is 'one row per HTTP request, with its real outcome';

-- a secret is in no statistics
alter table autosync.secret_rotation alter column previous set statistics 0;
alter table public.pg_cron_secrets alter column secret set statistics 0;
