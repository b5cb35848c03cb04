-- post_calls(job_name, tick_id, number, retry_of): hand calls of a job to pg_net and write them down; return how many.
-- requires: 0005
-- With retry_of, the id of an invocation, it repeats that call under its Idempotency-Key. It raises when a secret is missing.
create or replace function autosync.post_calls(job_name text, tick_id bigint, number integer, retry_of bigint)
returns integer
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    job record;
    call_headers jsonb;
    epoch constant text := autosync.begin_epoch();
    budget integer;
    call_key uuid;
    call_attempt integer := 1;
    request_id bigint;
begin
    -- a copy sends its source's secrets nowhere, other addresses than the project's included
    perform autosync.check_binding();
    -- one statement, so one snapshot: no credential goes to an address that it was not stored with, the job's own included
    select j.*, coalesce(j.url, rtrim(autosync.read_secret('project_url'), '/') || '/functions/v1/' || j.function) as address,
        autosync.call_headers(j.name) as credential
    into strict job
    from autosync.job as j
    where j.name = post_calls.job_name;

    budget := job.timeout_milliseconds;
    if job.reports_within is not null then
        budget := least(extract(epoch from job.reports_within) * 1000, 86400000);
    end if;
    if post_calls.retry_of is not null then
        select o.attempt + 1, o.idempotency_key into call_attempt, call_key
        from autosync.invocation as o
        where o.id = post_calls.retry_of;
        call_attempt := coalesce(call_attempt, 1);
    end if;

    for i in 1..post_calls.number loop
        if post_calls.retry_of is null or call_key is null then
            call_key := gen_random_uuid();
        end if;
        call_headers := job.credential || jsonb_strip_nulls(jsonb_build_object(
            'x-autosync-job', job.name,
            'x-autosync-tick', cast(post_calls.tick_id as text),
            'x-autosync-timeout-ms', cast(budget as text),
            'x-autosync-batch-size', case when job.drains is not null then cast(job.batch_size as text) end,
            'x-autosync-report', case when job.reports_within is not null then '1' end,
            'Idempotency-Key', cast(call_key as text),
            'x-autosync-attempt', cast(call_attempt as text)
        ));
        -- every argument by name: positions and defaults differ between versions of pg_net
        if job.method = 'GET' then
            request_id := net.http_get(
                url := job.address,
                params := '{}'::jsonb,
                headers := call_headers,
                timeout_milliseconds := job.timeout_milliseconds
            );
        else
            request_id := net.http_post(
                url := job.address,
                body := coalesce(job.body, '{}'),
                params := '{}'::jsonb,
                headers := call_headers,
                timeout_milliseconds := job.timeout_milliseconds
            );
        end if;
        if request_id is null then
            raise exception 'pg_net did not accept the request of job "%"', job.name
                using hint = 'run: autosync-db verify';
        end if;
        insert into autosync.invocation (
            tick_id, job_id, attempt, retries, idempotency_key, request_id, timeout_milliseconds, epoch
        )
        values (
            post_calls.tick_id, job.id, call_attempt, post_calls.retry_of, call_key, request_id, job.timeout_milliseconds, epoch
        );
    end loop;
    return post_calls.number;
end
$$;

revoke all on function autosync.post_calls(text, bigint, integer, bigint) from public;

comment on function autosync.post_calls(text, bigint, integer, bigint) is 'hand calls of a job to pg_net and write them down';
