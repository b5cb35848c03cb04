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
    'requests that the worker has not sent yet; rows inserted by hand wait for the next net.wake()';

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

-- _stand_in_ipv4(host): the dotted-quad form of a numeric host such as 127.1 or 0x7f.1, or the host as it came.
create function net._stand_in_ipv4(host text)
    returns text
    language plpgsql
    immutable strict
    set search_path = ''
as $$
declare
    parts text[] := pg_catalog.string_to_array(host, '.');
    part text;
    digits text;
    digit text;
    base integer;
    number numeric;
    numbers numeric[] := '{}';
    total numeric := 0;
    count integer := pg_catalog.array_length(parts, 1);
begin
    if count is null or count > 4 then
        return host;
    end if;

    foreach part in array parts loop
        if part !~* '^(0x[0-9a-f]+|0[0-7]*|[1-9][0-9]*)$' then
            return host;
        end if;
        digits := pg_catalog.lower(part);
        if digits like '0x%' then
            base := 16;
            digits := pg_catalog.substr(digits, 3);
        elsif digits like '0%' then
            base := 8;
        else
            base := 10;
        end if;
        number := 0;
        foreach digit in array pg_catalog.string_to_array(digits, null) loop
            number := number * base + pg_catalog.strpos('0123456789abcdef', digit) - 1;
        end loop;
        numbers := pg_catalog.array_append(numbers, number);
    end loop;

    -- the last number fills every byte that the others leave
    for i in 1 .. count loop
        if numbers[i] >= (case when i < count then 256 else 256::numeric ^ (5 - count) end) then
            return host;
        end if;
        total := total + numbers[i] * (case when i < count then 256::numeric ^ (4 - i) else 1 end);
    end loop;

    return pg_catalog.host('0.0.0.0'::inet + total::bigint);
end
$$;

comment on function net._stand_in_ipv4(text) is 'stand-in only: a numeric host in dotted-quad form';

-- _stand_in_host(host): the host as it belongs into a URL, or null when it cannot be one.
create function net._stand_in_host(host text)
    returns text
    language plpgsql
    immutable strict
    set search_path = ''
as $$
declare
    zone text;
    address text;
    short text;
    decoded bytea := ''::bytea;
    piece text;
begin
    if host like '[%' then
        zone := pg_catalog.substring(host, '%(?:25)?([^]]+)\]$');
        address := pg_catalog.regexp_replace(pg_catalog.btrim(host, '[]'), '%.*$', '');
        if address !~ '^[0-9A-Fa-f:.]+$' or address !~ ':' then
            return null;
        end if;
        short := pg_catalog.host(address::inet);
        return '[' || case when pg_catalog.length(short) < pg_catalog.length(address) then short else address end
            || coalesce('%25' || zone, '') || ']';
    end if;

    for piece in
        select found.part[1]
        from pg_catalog.regexp_matches(host, '%[0-9A-Fa-f]{2}|.', 'g') as found (part)
    loop
        if pg_catalog.length(piece) = 3 then
            decoded := decoded || pg_catalog.decode(pg_catalog.substr(piece, 2), 'hex');
        else
            decoded := decoded || pg_catalog.convert_to(piece, 'UTF8');
        end if;
    end loop;
    address := pg_catalog.convert_from(decoded, 'UTF8');

    if address ~ '[\x01-\x20\x7f/:#?!@{}\[\]\\$''"^`*<>=;,+&()]' then
        return null;
    end if;
    return pg_catalog.replace(net._stand_in_ipv4(address), '%', '%25');
exception
    -- not an address, or bytes that are not text
    when invalid_text_representation or character_not_in_repertoire then
        return null;
end
$$;

comment on function net._stand_in_host(text) is 'stand-in only: a URL host, checked and normalised';

-- _stand_in_path(path): the path with its . and .. segments resolved (RFC 3986, 5.2.4).
create function net._stand_in_path(path text)
    returns text
    language plpgsql
    immutable strict
    set search_path = ''
as $$
declare
    segments text[];
    kept text[] := '{}';
    last integer;
begin
    if path !~ '/\.' then
        return path;
    end if;

    segments := pg_catalog.string_to_array(pg_catalog.substr(path, 2), '/');
    last := pg_catalog.array_length(segments, 1);
    for i in 1 .. last loop
        if segments[i] = '..' then
            kept := kept[1 : pg_catalog.array_length(kept, 1) - 1];
        elsif segments[i] <> '.' then
            kept := pg_catalog.array_append(kept, segments[i]);
        end if;
        if i = last and segments[i] in ('.', '..') then
            kept := pg_catalog.array_append(kept, '');
        end if;
    end loop;

    return '/' || pg_catalog.array_to_string(kept, '/');
end
$$;

comment on function net._stand_in_path(text) is 'stand-in only: a URL path without . and .. segments';

-- _urlencode_string(string): the string with every byte but letters, digits and -._~ written as %XX.
create function net._urlencode_string(string character varying)
    returns text
    language sql
    immutable
    set search_path = ''
as $$
    select case
        when string is null then null
        else coalesce(
            (
                select pg_catalog.string_agg(
                    case
                        when letter.value ~ '^[A-Za-z0-9._~-]$' then letter.value
                        else (
                            select pg_catalog.string_agg(
                                '%' || pg_catalog.upper(
                                    pg_catalog.lpad(
                                        pg_catalog.to_hex(
                                            pg_catalog.get_byte(
                                                pg_catalog.convert_to(letter.value, 'UTF8'), byte.position
                                            )
                                        ), 2, '0'
                                    )
                                ),
                                '' order by byte.position
                            )
                            from pg_catalog.generate_series(
                                0, pg_catalog.octet_length(pg_catalog.convert_to(letter.value, 'UTF8')) - 1
                            ) as byte (position)
                        )
                    end,
                    '' order by letter.position
                )
                from pg_catalog.unnest(pg_catalog.string_to_array(string::text, null))
                    with ordinality as letter (value, position)
            ),
            ''
        )
    end
$$;

-- _encode_url_with_params_array(url, params): the URL, checked and normalised, its query extended by the parameters.
create function net._encode_url_with_params_array(url text, params_array text[])
    returns text
    language plpgsql
    immutable
    set search_path = ''
as $$
declare
    junk constant text := '[\x01-\x20\x7f]';
    known constant text[] := array[
        'dict', 'file', 'ftp', 'ftps', 'gopher', 'gophers', 'http', 'https', 'imap', 'imaps', 'ldap', 'ldaps', 'mqtt',
        'pop3', 'pop3s', 'rtmp', 'rtmpe', 'rtmps', 'rtmpt', 'rtmpte', 'rtmpts', 'rtsp', 'scp', 'sftp', 'smb', 'smbs',
        'smtp', 'smtps', 'telnet', 'tftp'
    ];
    scheme text;
    rest text;
    slashes integer;
    authority text := '';
    login text;
    secret text;
    host text;
    normal text;
    port text;
    path text;
    query text;
    fragment text;
    param text;
    position integer;
    reason text;
begin
    if url is null or params_array is null then
        return null;
    end if;

    scheme := pg_catalog.lower(pg_catalog.substring(url, '^([A-Za-z0-9+.-]{1,40}):'));
    if scheme is null then
        raise exception using errcode = 'XX000', message = pg_catalog.format('invalid URL "%s": Bad scheme', url);
    end if;
    rest := pg_catalog.substr(url, pg_catalog.length(scheme) + 2);
    slashes := pg_catalog.length(pg_catalog.substring(rest, '^/*'));

    <<checks>>
    begin
        if scheme = 'file' then
            authority := '';
            if rest !~ '^/.' then
                reason := 'Bad file:// URL';
                exit checks;
            end if;
            if rest ~ '^//' then
                rest := pg_catalog.regexp_replace(rest, '^//(localhost/|127\.0\.0\.1/|/)', '/', 'i');
                if rest ~ '^//' then
                    reason := 'Bad file:// URL';
                    exit checks;
                end if;
            end if;
        elsif scheme <> all (known) then
            reason := 'Unsupported URL scheme';
            exit checks;
        elsif slashes not between 1 and 3 then
            reason := 'Unsupported number of slashes following scheme';
            exit checks;
        else
            rest := pg_catalog.substr(rest, slashes + 1);
            authority := pg_catalog.substring(rest, '^[^/?#]*');
            rest := pg_catalog.substr(rest, pg_catalog.length(authority) + 1);
            -- http: and http:/ hold nothing but the scheme
            if authority = '' then
                reason := 'No host part in the URL';
                exit checks;
            end if;
        end if;

        -- the order of these checks decides which of several faults is named
        if pg_catalog.strpos(rest, '#') > 0 then
            fragment := pg_catalog.substr(rest, pg_catalog.strpos(rest, '#') + 1);
            rest := pg_catalog.substr(rest, 1, pg_catalog.strpos(rest, '#') - 1);
        end if;
        if pg_catalog.strpos(rest, '?') > 0 then
            query := pg_catalog.substr(rest, pg_catalog.strpos(rest, '?') + 1);
            rest := pg_catalog.substr(rest, 1, pg_catalog.strpos(rest, '?') - 1);
        end if;
        path := case when rest = '' then '/' else net._stand_in_path(rest) end;

        if fragment ~ junk then
            reason := 'Bad fragment';
        elsif query ~ junk then
            reason := 'Bad query';
        elsif rest ~ junk then
            reason := 'Bad path';
        end if;
        exit checks when reason is not null or scheme = 'file';

        position := pg_catalog.strpos(authority, '@');
        if position > 0 then
            login := pg_catalog.substr(authority, 1, position - 1);
            authority := pg_catalog.substr(authority, position + 1);
            if pg_catalog.strpos(login, ':') > 0 then
                secret := pg_catalog.substr(login, pg_catalog.strpos(login, ':') + 1);
                login := pg_catalog.substr(login, 1, pg_catalog.strpos(login, ':') - 1);
            end if;
            if login ~ junk then
                reason := 'Bad user';
                exit checks;
            elsif secret ~ junk then
                reason := 'Bad password';
                exit checks;
            end if;
        end if;

        if authority like '[%' then
            host := pg_catalog.substring(authority, '^(\[[^]]*\])');
            if host is null then
                reason := 'Bad IPv6 address';
                exit checks;
            end if;
            authority := pg_catalog.substr(authority, pg_catalog.length(host) + 1);
        else
            host := pg_catalog.substring(authority, '^[^:]*');
            authority := pg_catalog.substr(authority, pg_catalog.length(host) + 1);
        end if;

        if authority not in ('', ':') then
            port := pg_catalog.ltrim(pg_catalog.substring(authority, '^:([0-9]+)$'), '0');
            if port is null or pg_catalog.length(port) > 5 or ('0' || port)::integer > 65535 then
                reason := 'Port number was not a decimal number between 0 and 65535';
                exit checks;
            end if;
            port := ('0' || port)::integer::text;
        end if;

        if host = '' then
            reason := 'No host part in the URL';
            exit checks;
        end if;

        normal := net._stand_in_host(host);
        if normal is null then
            reason := case when host like '[%' then 'Bad IPv6 address' else 'Bad hostname' end;
        end if;
    end;

    if reason is not null then
        raise exception using
            errcode = 'XX000', message = pg_catalog.format('invalid URL "%s": %s', url, reason);
    end if;

    foreach param in array params_array loop
        continue when param is null;
        -- what is already escaped is rewritten with lower-case digits
        param := coalesce(
            (
                select pg_catalog.string_agg(
                    case
                        when piece.position > 1 and piece.value ~* '^[0-9a-f]{2}'
                            then pg_catalog.lower(pg_catalog.substr(piece.value, 1, 2))
                                || pg_catalog.substr(piece.value, 3)
                        else piece.value
                    end,
                    '%' order by piece.position
                )
                from pg_catalog.unnest(pg_catalog.string_to_array(param, '%'))
                    with ordinality as piece (value, position)
            ),
            ''
        );
        query := case
            when coalesce(query, '') = '' then param
            when query like '%&' then query || param
            else query || '&' || param
        end;
    end loop;

    return scheme || '://'
        || coalesce(login || coalesce(':' || secret, '') || '@', '')
        || coalesce(normal, '')
        || coalesce(':' || port, '')
        || path
        || coalesce('?' || nullif(query, ''), '')
        || coalesce('#' || nullif(fragment, ''), '');
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

-- worker_restart(): reload the configuration and have the worker start again within about a second.
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
