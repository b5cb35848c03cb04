-- pg_net: a stand-in for local clusters that lack the real extension; same objects, same texts, no C library.
-- requires: a worker, `python -m autosync_db.local.pg_net.worker`, connected to this database.
\echo this file is read by "create extension pg_net" \quit

create schema if not exists net;

create domain net.http_method as text
    check (pg_catalog.lower(value) in ('get', 'post', 'delete'));

create unlogged table net.http_request_queue (
    id bigserial,
    method net.http_method not null,
    url text not null,
    headers jsonb,
    body bytea,
    timeout_milliseconds integer not null
);

comment on table net.http_request_queue is
    'requests that the worker has not sent yet; rows inserted directly wait for the next net.wake()';

create unlogged table net._http_response (
    id bigint,
    status_code integer,
    content_type text,
    headers jsonb,
    content text,
    timed_out boolean,
    error_msg text,
    created timestamptz not null default now()
);

create index _http_response_created_idx on net._http_response (created);

comment on table net._http_response is
    'one row per finished request; created is the start of the batch, and rows older than pg_net.ttl are removed';

create type net.request_status as enum ('PENDING', 'SUCCESS', 'ERROR');

create type net.http_response as (
    status_code integer,
    headers jsonb,
    body text
);

create type net.http_response_result as (
    status net.request_status,
    message text,
    response net.http_response
);

-- _stand_in_text(bytes, more): relabel bytes as text without checking them, as the C worker does with a response body.
create function net._stand_in_text(bytes bytea, more bytea default ''::bytea)
    returns text
    language internal
    immutable strict
    set search_path = ''
as 'byteacat';

comment on function net._stand_in_text(bytea, bytea) is
    'stand-in only: the two byte strings joined and labelled text, valid UTF-8 or not';

-- _urlencode_string(string): the string with every byte but letters, digits and -._~ written as %XX.
create function net._urlencode_string(string character varying)
    returns text
    language sql
    immutable
    set search_path = ''
as $$
    select case when string is not null then coalesce(
        (
            select pg_catalog.string_agg(
                case
                    when byte.value < 128 and pg_catalog.chr(byte.value) ~ '[A-Za-z0-9._~-]'
                        then pg_catalog.chr(byte.value)
                    else '%' || pg_catalog.upper(pg_catalog.lpad(pg_catalog.to_hex(byte.value), 2, '0'))
                end,
                '' order by byte.position
            )
            from (
                select found.position, pg_catalog.get_byte(encoded.bytes, found.position) as value
                from pg_catalog.convert_to(string::text, 'UTF8') as encoded (bytes),
                    pg_catalog.generate_series(0, pg_catalog.octet_length(encoded.bytes) - 1) as found (position)
            ) as byte
        ),
        ''
    ) end
$$;

-- _encode_url_with_params_array(url, params): the URL with the parameters at the end of its query.
-- Refuses what can be no URL at all; libcurl judges the rest when the worker sends it.
create function net._encode_url_with_params_array(url text, params_array text[])
    returns text
    language plpgsql
    immutable
    set search_path = ''
as $$
declare
    address text := pg_catalog.split_part(url, '#', 1);
    fragment text := pg_catalog.substr(url, pg_catalog.length(address) + 1);
    param text;
    reason text;
begin
    if url is null or params_array is null then
        return null;
    end if;

    reason := case
        when url !~* '^[a-z][a-z0-9+.-]*:' then 'Bad scheme'
        when url !~ '^[^:]+:/' then 'Unsupported number of slashes following scheme'
        when url ~ '^[^:]+:/+([:?#]|$)' then 'No host part in the URL'
        when url ~ '[\x01-\x20\x7f]' then 'Malformed input to a URL function'
    end;
    if reason is not null then
        raise exception using
            errcode = 'XX000', message = pg_catalog.format('invalid URL "%s": %s', url, reason);
    end if;

    foreach param in array params_array loop
        continue when param is null;
        address := address
            || case when address !~ '\?' then '?' when address ~ '[?&]$' then '' else '&' end
            || param;
    end loop;

    return address || fragment;
end
$$;

-- wake(): let the worker look at the queue once this transaction has committed.
create function net.wake()
    returns void
    language plpgsql
    set search_path = ''
as $$
begin
    perform pg_catalog.pg_notify('pg_net_wake', '');
end
$$;

-- worker_restart(): reload the configuration and have the worker start again.
-- security definer because pg_reload_conf() is not for everyone, while restarting this worker is
create function net.worker_restart()
    returns boolean
    language plpgsql
    security definer
    set search_path = ''
as $$
begin
    perform pg_catalog.pg_notify('pg_net_restart', '');
    return pg_catalog.pg_reload_conf();
end
$$;

-- wait_until_running(): return when a worker is connected and listening.
create function net.wait_until_running()
    returns void
    language plpgsql
    set search_path = ''
as $$
begin
    while not exists (
        select from pg_catalog.pg_stat_activity as activity
        where activity.application_name like 'pg\_net %'
    ) loop
        perform pg_catalog.pg_sleep(0.05);
        -- the view is frozen for the length of a transaction
        perform pg_catalog.pg_stat_clear_snapshot();
    end loop;
end
$$;

comment on function net.wait_until_running() is 'returns when the worker is connected';

-- check_worker_is_up(): raise unless a worker is visible to the caller.
-- the background worker is recognised by a column that only members of pg_read_all_stats and its owner see
create function net.check_worker_is_up()
    returns void
    language plpgsql
    set search_path = ''
as $$
begin
    if not exists (
        select from pg_catalog.pg_stat_activity as activity
        where activity.application_name like 'pg\_net %'
            and activity.backend_type is not null
    ) then
        raise exception using
            message = 'the pg_net background worker is not up',
            detail = 'no stand-in worker is connected, so queued requests are not sent',
            hint = 'start it: python -m autosync_db.local.pg_net.worker';
    end if;
end
$$;

comment on function net.check_worker_is_up() is 'raises an exception unless the worker is connected';

-- _stand_in_enqueue(method, ...): put one request into the queue, arrange for the wake, return the id.
create function net._stand_in_enqueue(
    method text,
    url text,
    params jsonb,
    headers jsonb,
    body jsonb,
    timeout_milliseconds integer
)
    returns bigint
    language plpgsql
    set search_path = ''
as $$
#variable_conflict use_column
declare
    new_id bigint;
begin
    insert into net.http_request_queue (method, url, headers, body, timeout_milliseconds)
    values (
        _stand_in_enqueue.method,
        net._encode_url_with_params_array(
            _stand_in_enqueue.url,
            array(
                select net._urlencode_string(param.name) || '=' || net._urlencode_string(param.value)
                from pg_catalog.jsonb_each_text(_stand_in_enqueue.params) as param (name, value)
            )
        ),
        _stand_in_enqueue.headers,
        pg_catalog.convert_to(_stand_in_enqueue.body::text, 'UTF8'),
        _stand_in_enqueue.timeout_milliseconds
    )
    returning id into new_id;

    perform net.wake();

    return new_id;
end
$$;

comment on function net._stand_in_enqueue(text, text, jsonb, jsonb, jsonb, integer) is
    'stand-in only: the part that the three request functions share';

-- http_get(url, ...): queue a GET request and return its id.
create function net.http_get(
    url text,
    params jsonb default '{}'::jsonb,
    headers jsonb default '{}'::jsonb,
    timeout_milliseconds integer default 5000
)
    returns bigint
    language sql
    set search_path = ''
as $$
    select net._stand_in_enqueue('GET', url, params, headers, null, timeout_milliseconds)
$$;

comment on function net.http_get(text, jsonb, jsonb, integer) is
    'queues a GET request, sent after commit; the response appears in net._http_response under the returned id';

-- http_post(url, body, ...): queue a POST request with a JSON body and return its id.
create function net.http_post(
    url text,
    body jsonb default '{}'::jsonb,
    params jsonb default '{}'::jsonb,
    headers jsonb default '{"Content-Type": "application/json"}'::jsonb,
    timeout_milliseconds integer default 5000
)
    returns bigint
    language plpgsql
    set search_path = ''
as $$
declare
    content_type text;
begin
    content_type := (
        select header.value
        from pg_catalog.jsonb_each_text(headers) as header (name, value)
        where pg_catalog.lower(header.name) = 'content-type'
        limit 1
    );
    if content_type <> 'application/json' then
        raise exception 'Content-Type header must be "application/json"';
    end if;

    return net._stand_in_enqueue(
        'POST',
        url,
        params,
        case when content_type is null then headers || '{"Content-Type": "application/json"}'::jsonb else headers end,
        body,
        timeout_milliseconds
    );
end
$$;

comment on function net.http_post(text, jsonb, jsonb, jsonb, integer) is
    'queues a POST request, sent after commit; the response appears in net._http_response under the returned id';

-- http_delete(url, ...): queue a DELETE request and return its id.
create function net.http_delete(
    url text,
    params jsonb default '{}'::jsonb,
    headers jsonb default '{}'::jsonb,
    timeout_milliseconds integer default 5000,
    body jsonb default null
)
    returns bigint
    language sql
    set search_path = ''
as $$
    select net._stand_in_enqueue('DELETE', url, params, headers, body, timeout_milliseconds)
$$;

comment on function net.http_delete(text, jsonb, jsonb, integer, jsonb) is
    'queues a DELETE request, sent after commit; the response appears in net._http_response under the returned id';

-- _await_response(request_id): return true once the response is visible to this transaction.
create function net._await_response(request_id bigint)
    returns boolean
    language plpgsql
    set search_path = ''
as $$
begin
    while not exists (select from net._http_response as response where response.id = request_id) loop
        perform pg_catalog.pg_sleep(0.05);
    end loop;
    return true;
end
$$;

-- _http_collect_response(request_id, async): the response as a composite; waits for it when async is false.
create function net._http_collect_response(request_id bigint, async boolean default true)
    returns net.http_response_result
    language plpgsql
    set search_path = ''
as $$
declare
    found_response net._http_response;
begin
    if not async then
        perform net._await_response(request_id);
    end if;

    select * into found_response from net._http_response as response where response.id = request_id;

    if not found or found_response.error_msg is not null then
        return row(
            'ERROR', coalesce(found_response.error_msg, 'request matching request_id not found'), null
        )::net.http_response_result;
    end if;

    return row(
        'SUCCESS',
        'ok',
        row(found_response.status_code, found_response.headers, found_response.content)::net.http_response
    )::net.http_response_result;
end
$$;

-- http_collect_response(request_id, async): the deprecated public name.
-- as in 0.20.4 it can only fail: its query has no destination
create function net.http_collect_response(request_id bigint, async boolean default true)
    returns net.http_response_result
    language plpgsql
    set search_path = ''
as $$
begin
    raise notice 'The net.http_collect_response function is deprecated.';
    select net._http_collect_response(request_id, async);
end
$$;

grant usage on schema net to public;
grant all on all sequences in schema net to public;
grant all on all tables in schema net to public;
