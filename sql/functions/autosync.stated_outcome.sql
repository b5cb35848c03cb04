-- stated_outcome(said, is_inner): what a JSON answer states of its own run.
-- requires: 0005
-- {"is": "good"}, {"is": "failed", "words": …}, or null where it states neither.
-- A statement is a word that functions use for it: ok or success, status, error or errors, counts of what failed. It counts at
-- the top and one level down, and one of failure outweighs one of success. Words inside texts, and names that say nothing of a
-- run, state nothing. The shape of the shipped functions, ok with duration_ms, speaks for itself.
create or replace function autosync.stated_outcome(said jsonb, is_inner boolean default false)
returns jsonb
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
as $$
declare
    item record;
    inner_one jsonb;
    is_good boolean := false;
    failure text;
    is_denied boolean := false;
    inner_failure text;
    weak_failure text;
    reason text;
    no_error constant text[] := array['', '0', 'none', 'null', 'no', 'false', 'ok', 'n/a', 'no error', 'no errors', 'success'];
    amount numeric;
    succeeded numeric := 0;
    -- what other numbers may say of it; where the answer counts its successes, nothing
    done numeric := 0;
    is_counted boolean := false;
    failed numeric := 0;
    total numeric := 0;
    listed text;
begin
    if jsonb_typeof(said) = 'array' then
        -- a list of runs failed when each of them did
        if jsonb_array_length(said) not between 1 and 200 then
            return null;
        end if;
        for item in select e.value from jsonb_array_elements(said) as e loop
            inner_one := autosync.stated_outcome(case when jsonb_typeof(item.value) = 'object' then item.value end, true);
            if inner_one is null or inner_one ->> 'is' <> 'failed' then
                return null;
            end if;
            reason := coalesce(reason, inner_one ->> 'words');
        end loop;
        return jsonb_build_object('is', 'failed', 'words', reason);
    end if;
    if said is null or jsonb_typeof(said) <> 'object' then
        return null;
    end if;
    reason := coalesce(
        nullif(said #>> array['error', 'message'], ''), nullif(said #>> array['errors', '0', 'message'], ''),
        case when jsonb_typeof(said -> 'errors' -> 0) = 'string' then said #>> array['errors', '0'] end,
        case when jsonb_typeof(said -> 'error') = 'string' then nullif(btrim(said ->> 'error'), '') end,
        case when jsonb_typeof(said -> 'message') = 'string' then nullif(btrim(said ->> 'message'), '') end,
        case when jsonb_typeof(said -> 'msg') = 'string' then nullif(btrim(said ->> 'msg'), '') end,
        case when jsonb_typeof(said -> 'detail') = 'string' then nullif(btrim(said ->> 'detail'), '') end
    );
    if not is_inner and jsonb_typeof(said -> 'ok') = 'boolean' and jsonb_typeof(said -> 'duration_ms') = 'number' then
        return case when cast(said -> 'ok' as boolean) then jsonb_build_object('is', 'good')
            else jsonb_build_object('is', 'failed', 'words', reason) end;
    end if;

    -- an error of PostgreSQL or PostgREST as the client library gives it
    if said ?& array['code', 'message', 'details', 'hint'] and nullif(said ->> 'code', '') is not null and reason is not null then
        return jsonb_build_object('is', 'failed', 'words', left(reason, 4000), 'denied', true);
    end if;
    for item in
        select e.key, e.value, lower(regexp_replace(e.key, '[^[:alpha:]]', '', 'g')) as name, jsonb_typeof(e.value) as kind,
            lower(btrim(e.value #>> '{}')) as word
        from jsonb_each(said) as e
        order by e.key
        limit 200
    loop
        amount := case
            when item.kind = 'number' then cast(item.word as numeric)
            when item.kind = 'array' then jsonb_array_length(item.value)
        end;
        if item.name in ('ok', 'isok', 'success', 'issuccess', 'issuccessful', 'successful', 'succeeded', 'sucesso', 'exito', 'succes', 'successo', 'erfolg',
            'erfolgreich') and item.word in ('true', 'false', 'yes', 'no')
        then
            if item.word in ('true', 'yes') then
                is_good := true;
            else
                failure := coalesce(failure, format('%s is %s', item.key, item.word));
                is_denied := true;
            end if;
        elsif item.name in ('status', 'state', 'result', 'outcome', 'runstatus', 'statut', 'estado', 'stato') and item.kind = 'string' then
            if item.word ~ '^(error|errored|errors|fail|fails|failed|failure|fatal|exception|crashed|aborted|rejected|unsuccessful|time[d]?[ _-]?out|unhealthy|ko|nok|not ok|(internal|server|internal server)[ _-]error|erro|falha|falhou|fallo|fallido|erreur|\u00e9chec|echec|fehler|fehlgeschlagen|errore|fallito)$'
                or item.word ~ '^(error|fail|failed|failure|fatal|exception) *[:(]'
            then
                failure := coalesce(failure, format('%s is %s', item.key, left(item.word, 200)));
            elsif item.word ~ '^(ok|okay|success|succeeded|successful|done|complete|completed|finished|fulfilled|passed|healthy)$' then
                is_good := true;
            end if;
        elsif item.name in ('status', 'statuscode', 'httpstatus', 'httpcode') or (item.name = 'code' and reason is not null) then
            if item.word ~ '^[45][0-9][0-9]$' then
                failure := coalesce(failure, format('%s is %s', item.key, item.word));
            elsif item.word ~ '^2[0-9][0-9]$' and item.name <> 'code' then
                is_good := true;
            -- any other number is a failure where the words beside it say so
            elsif item.name = 'code' and item.kind = 'number' and item.word !~ '^(0|2[0-9][0-9])$'
                and reason ~* '\m(error|fail(ed|ure|s)?|invalid|denied|refused|timed ?out|timeout|unauthorized|forbidden|exception|exceeded|unable|cannot|could not)\M|\u5931\u8d25|\u9519\u8bef|\u5f02\u5e38'
            then
                failure := coalesce(failure, format('%s is %s', item.key, item.word));
            end if;
        elsif item.name in ('errcode', 'errorcode', 'errno') and item.kind = 'number' then
            if cast(item.word as numeric) not in (0, 200) then
                failure := coalesce(failure, format('%s is %s', item.key, item.word));
            end if;
        elsif item.name in ('stack', 'stacktrace', 'traceback', 'backtrace', 'trace') and item.kind = 'string' then
            if item.word ~ '\n *at [a-z]|^traceback \(most recent' then
                failure := coalesce(failure, format('it has %s', item.key));
            end if;
        elsif item.name in ('error', 'err', 'exception', 'errormessage', 'errormsg', 'errordescription', 'errordetails', 'errortype', 'errorcode',
            'errors', 'exceptions', 'failure', 'failurereason', 'errmsg', 'iserror', 'haserror', 'haserrors', 'hasfailed', 'hasfailures', 'erro', 'erros',
            'erreur', 'erreurs', 'fehler', 'fehlermeldung', 'errore', 'errori', 'errores') and item.kind <> 'number'
        then
            -- in parentheses: PL/pgSQL would take the first THEN for its own
            if (case item.kind
                when 'boolean' then item.word = 'true'
                when 'string' then item.word <> all (no_error)
                when 'array' then amount > 0 and exists (select from jsonb_array_elements(item.value) as e where e.value not in ('null', '""', '{}', '[]'))
                when 'object' then exists (
                    select from jsonb_each(item.value) as e
                    where e.value not in ('null', 'false', '0', '{}', '[]')
                        and not (jsonb_typeof(e.value) = 'string' and lower(btrim(e.value #>> '{}')) = any (no_error))
                )
            end) then
                -- a list may be of those few that failed
                if item.name in ('errors', 'exceptions') and item.kind in ('array', 'object') then
                    listed := coalesce(listed, format('it has %s', item.key));
                else
                    failure := coalesce(failure, case when item.kind = 'boolean' then format('%s is true', item.key) else format('it has %s', item.key) end);
                end if;
            end if;
        elsif item.name in ('failed', 'failures', 'failedcount', 'failurecount', 'failcount', 'numfailed', 'totalfailed', 'errored', 'error', 'errors',
            'errorcount', 'errorscount', 'numerrors', 'totalerrors', 'exceptions')
        then
            if item.word = 'true' and item.kind = 'boolean' then
                failure := coalesce(failure, format('%s is true', item.key));
            end if;
            failed := greatest(failed, coalesce(amount, 0));
        elsif item.name in ('total', 'count', 'processed', 'attempted', 'claimed', 'tried', 'due', 'items', 'rows', 'jobs') then
            total := greatest(total, coalesce(amount, 0));
        elsif amount >= 0 and item.name ~ '^(succeeded|success|successes|successful)(count|s)?$' then
            is_counted := true;
            succeeded := succeeded + amount;
        elsif amount > 0 and (
            item.name ~ '^(ok|sent|synced|completed|done|imported|exported|created|inserted|updated|upserted|deleted|delivered|passed)(count|s)?$'
            -- any other number may be of what was done, but for those that are of none
            or item.kind = 'number' and item.name !~ 'duration|elapsed|took|time|stamp|millis|seconds|ms$|^id$|id$|page|limit|offset|version|attempt|skip|retr|remaining|pending|next|batch|port|pid|refused|lost|code'
        ) then
            done := done + amount;
        end if;
        if not is_inner and (item.kind = 'object' or item.kind = 'array' and item.name ~ '^(results?|runs|jobs|syncs|steps|tasks|outcomes|responses)$')
            and item.name not in ('error', 'errors', 'exception', 'exceptions', 'failures', 'failed')
        then
            inner_one := autosync.stated_outcome(item.value, true);
            if inner_one ->> 'is' = 'failed' and (
                inner_one ? 'denied' or item.name ~ '^(results?|response|body|output|payload|summary|counts|stats|statistics|run|runs|job|jobs|sync|syncs|report|outcomes?)$'
            ) then
                inner_failure := coalesce(inner_failure, format('%s: %s', item.key, coalesce(inner_one ->> 'words', 'failed')));
            elsif inner_one ->> 'is' = 'failed' then
                -- of what is no part of the run a word is data, unless nothing else is said
                weak_failure := coalesce(weak_failure, format('%s: %s', item.key, coalesce(inner_one ->> 'words', 'failed')));
            elsif inner_one ->> 'is' = 'good' then
                is_good := true;
            end if;
        end if;
    end loop;
    if not is_counted then
        succeeded := done;
    end if;
    if listed is not null and (failed = 0 or (succeeded = 0 and total <= failed)) then
        failure := coalesce(failure, listed);
    end if;
    if failed > 0 and succeeded = 0 and total <= failed then
        failure := coalesce(failure, format('%s failed and none succeeded', failed));
    end if;
    if failure is not null then
        return jsonb_strip_nulls(jsonb_build_object(
            'is', 'failed', 'words', left(coalesce(reason, failure), 4000), 'denied', case when is_denied then true end
        ));
    elsif inner_failure is not null then
        return jsonb_build_object('is', 'failed', 'words', left(inner_failure, 4000));
    elsif is_good or (succeeded > 0 and failed >= 0 and said ?| array['failed', 'failures', 'errors', 'error', 'succeeded', 'success']) then
        return jsonb_build_object('is', 'good');
    elsif weak_failure is not null then
        return jsonb_build_object('is', 'failed', 'words', left(weak_failure, 4000));
    end if;
    return null;
end
$$;

revoke all on function autosync.stated_outcome(jsonb, boolean) from public;

comment on function autosync.stated_outcome(jsonb, boolean) is 'what a JSON answer states of its own run';
