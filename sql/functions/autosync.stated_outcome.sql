-- stated_outcome(said, is_inner): what a JSON answer states of its own run.
-- requires: 0005
-- {"is": "good"}, {"is": "failed", "words": …}, or null where it states neither.
-- A statement is a word that functions use for it: ok or success, status, error or errors, counts of what failed. It counts at
-- the top and one level down, in result, results and data two levels, and one of failure outweighs one of success. Words inside
-- texts, and names that say nothing of a run, state nothing: what happened before, or what a table of theirs holds, is data.
-- The shape of the shipped functions, ok with duration_ms, speaks for itself. is_inner: false at the top, true where nothing
-- further down is read, null between them. Names and words are compared without accents.
create or replace function autosync.stated_outcome(said jsonb, is_inner boolean default false)
returns jsonb
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = on
as $$
declare
    level constant integer := case when is_inner then 2 when is_inner is null then 1 else 0 end;
    item record;
    inner_one jsonb;
    is_good boolean := false;
    failure text;
    is_denied boolean := false;
    inner_failure text;
    weak_failure text;
    -- those under names that say nothing of the run; they count where the answer is nothing else
    stray_failure text;
    strays integer := 0;
    looked_at integer := 0;
    has_error boolean := false;
    reason text;
    no_error constant text[] := array['', '0', 'none', 'null', 'no', 'false', 'ok', 'n/a', 'no error', 'no errors', 'success'];
    amount numeric;
    succeeded numeric := 0;
    -- what other numbers may say of it; where the answer counts its successes, nothing
    done numeric := 0;
    others numeric := 0;
    is_counted boolean := false;
    failed numeric := 0;
    total numeric := 0;
    -- of what was done or tried, and not of something beside it
    whole numeric := 0;
    listed text;
begin
    if jsonb_typeof(said) = 'array' then
        -- a list of runs failed when each of them did; of a long one both ends are read
        if jsonb_array_length(said) = 0 then
            return null;
        end if;
        for item in
            select e.value
            from jsonb_array_elements(said) with ordinality as e (value, place)
            where e.place <= 100 or e.place > jsonb_array_length(said) - 100
        loop
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
    if level = 0 and jsonb_typeof(said -> 'ok') = 'boolean' and jsonb_typeof(said -> 'duration_ms') = 'number' then
        return case when cast(said -> 'ok' as boolean) then jsonb_build_object('is', 'good')
            else jsonb_build_object('is', 'failed', 'words', reason) end;
    end if;

    -- an error of PostgreSQL or PostgREST as the client library gives it
    if said ?& array['code', 'message', 'details', 'hint'] and nullif(said ->> 'code', '') is not null and reason is not null then
        return jsonb_build_object('is', 'failed', 'words', left(reason, 4000), 'denied', true);
    end if;
    for item in
        select e.key, e.value, jsonb_typeof(e.value) as kind,
            translate(lower(regexp_replace(e.key, '[^[:alpha:]]', '', 'g')), 'áàâãäåéèêëíìîïóòôõöúùûüçñ', 'aaaaaaeeeeiiiiooooouuuucn') as name,
            translate(lower(btrim(e.value #>> '{}')), 'áàâãäåéèêëíìîïóòôõöúùûüçñ', 'aaaaaaeeeeiiiiooooouuuucn') as word
        from jsonb_each(said) as e
        order by e.key
        limit 200
    loop
        looked_at := looked_at + 1;
        amount := case
            when item.kind = 'number' then cast(item.word as numeric)
            when item.kind = 'array' then jsonb_array_length(item.value)
        end;
        if item.name in ('ok', 'isok', 'success', 'issuccess', 'issuccessful', 'successful', 'succeeded', 'sucesso', 'exito', 'succes', 'successo', 'erfolg',
            'erfolgreich', 'успех', 'успешно') and item.word in ('true', 'false', 'yes', 'no')
        then
            if item.word in ('true', 'yes') then
                is_good := true;
            else
                failure := coalesce(failure, format('%s is %s', item.key, item.word));
                is_denied := true;
            end if;
        elsif item.name in ('passed', 'completed') and item.kind = 'boolean' then
            -- a run that ends before its work does, to go on later, is none that failed
            if item.word = 'false' and (item.name = 'passed' or said ->> 'reason' !~* '\m(nothing|no|skip|skipped|already|continu\w*)\M'
                and not exists (select from jsonb_object_keys(said) as k (key) where k.key ~* 'next|cursor|more|remain|continu|progress|pending|page|offset'))
            then
                failure := coalesce(failure, concat_ws(': ', format('%s is false', item.key), said ->> 'reason'));
            end if;
        elsif item.name in ('status', 'state', 'result', 'outcome', 'runstatus', 'statut', 'estado', 'stato', 'статус', 'состояние', 'результат')
            and item.kind = 'string'
        then
            if item.word ~ '^(error|errored|errors|fail|fails|failed|failure|fatal|exception|crashed|aborted|rejected|unsuccessful|time[d]?[ _-]?out|unhealthy|ko|nok|not ok|(internal|server|internal server)[ _-]error|erro|falha|falhou|fallo|fallido|erreur|echec|fehler|fehlgeschlagen|errore|fallito|ошибка|сбой|неудача|не удалось)$'
                or item.word ~ '^(error|fail|failed|failure|fatal|exception) *[:(]'
                -- of one among many it is what was found
                or level < 2 and item.word in ('denied', 'access denied', 'permission denied', 'unauthorized', 'unauthorised', 'unauthenticated', 'forbidden', 'down')
            then
                failure := coalesce(failure, format('%s is %s', item.key, left(item.word, 200)));
            elsif item.word ~ '^(ok|okay|success|succeeded|successful|done|complete|completed|finished|fulfilled|passed|healthy|sucesso|exito|succes|successo|erfolg|erfolgreich|успех|успешно|готово|выполнено)$' then
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
                has_error := true;
                failure := coalesce(failure, format('%s is %s', item.key, item.word));
            end if;
        elsif item.name in ('stack', 'stacktrace', 'traceback', 'backtrace', 'trace') and item.kind = 'string' then
            if item.word ~ '\n *at [a-z]|^traceback \(most recent' then
                has_error := true;
                failure := coalesce(failure, format('it has %s', item.key));
            end if;
        elsif item.name = 'type' and level < 2 and reason is not null then
            if item.word in ('error', 'exception', 'failure', 'fatal') then
                failure := coalesce(failure, format('%s is %s', item.key, item.word));
            end if;
        elsif item.name in ('error', 'err', 'exception', 'errormessage', 'errormsg', 'errordescription', 'errordetails', 'errortype', 'errorcode',
            'errors', 'exceptions', 'failure', 'failurereason', 'errmsg', 'iserror', 'haserror', 'haserrors', 'hasfailed', 'hasfailures', 'erro', 'erros',
            'erreur', 'erreurs', 'fehler', 'fehlermeldung', 'errore', 'errori', 'errores', 'ошибка', 'ошибки') and item.kind <> 'number'
        then
            -- in parentheses: PL/pgSQL would take the first THEN for its own
            if (case item.kind
                when 'boolean' then item.word = 'true'
                when 'string' then item.word <> all (no_error)
                else exists (
                    select from jsonb_path_query(item.value, case item.kind when 'array' then cast('$[*]' as jsonpath) else '$.*' end) as e (value)
                    where e.value not in ('null', 'false', '0', '{}', '[]')
                        and not (jsonb_typeof(e.value) = 'string' and lower(btrim(e.value #>> '{}')) = any (no_error))
                )
            end) then
                has_error := true;
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
            if item.name in ('total', 'processed', 'attempted', 'claimed', 'tried', 'due') then
                whole := greatest(whole, coalesce(amount, 0));
            end if;
        elsif amount >= 0 and item.name ~ '^(succeeded|success|successes|successful)(count|s)?$' then
            is_counted := true;
            succeeded := succeeded + amount;
        elsif amount > 0
            and item.name ~ '^(ok|sent|synced|completed|done|imported|exported|created|inserted|updated|upserted|deleted|delivered|passed)(count|s)?$'
        then
            done := done + amount;
        -- any other number may be of what was done, but for those that are of none
        elsif amount > 0 and item.kind = 'number'
            and item.name !~ 'duration|elapsed|took|time|stamp|millis|seconds|ms$|^id$|id$|page|limit|offset|version|attempt|skip|retr|remaining|pending|next|batch|port|pid|refused|lost|code|bounce|reject|drop|invalid|undeliver|error|fail'
        then
            others := others + amount;
        end if;
        if item.name in ('error', 'errors', 'exception', 'exceptions', 'failures', 'failed') or level = 2
            or level = 1 and item.name !~ '^(results?|data|outcomes?|summary|counts|stats|statistics)$'
        then
            continue;
        end if;
        if item.kind = 'object' or item.kind = 'array' and item.name ~ '^(results?|runs|jobs|syncs|steps|tasks|outcomes|responses)$' then
            inner_one := autosync.stated_outcome(item.value, case when level = 1 or item.name not in ('result', 'results', 'data') then true end);
            -- runs by the names of what they were for
            if inner_one is null and item.kind = 'object' and item.name ~ '^(results|runs|jobs|syncs|steps|tasks|outcomes|responses)$' then
                inner_one := autosync.stated_outcome(jsonb_path_query_array(item.value, '$.*'), true);
            end if;
            continue when inner_one is null;
            if inner_one ->> 'is' = 'good' then
                is_good := true;
            elsif inner_one ? 'denied' or item.name ~ '^(results?|response|body|output|payload|summary|counts|stats|statistics|run|runs|job|jobs|sync|syncs|report|outcomes?)$' then
                inner_failure := coalesce(inner_failure, format('%s: %s', item.key, coalesce(inner_one ->> 'words', 'failed')));
            elsif item.name ~ '^data$|(result|response|output|summary|counts|stat|statistic|run|job|sync|report|outcome|import|export|task|step|batch|process)s?$'
                and item.name !~ '^(last|prev|prior|former|earlier|old)'
            then
                -- of what is no part of the run a word is data, unless nothing else is said
                weak_failure := coalesce(weak_failure, format('%s: %s', item.key, coalesce(inner_one ->> 'words', 'failed')));
            elsif inner_one ? 'has_error' and item.name !~ '^(last|prev|prior|former|earlier|old)' then
                strays := strays + 1;
                stray_failure := coalesce(stray_failure, format('%s: %s', item.key, coalesce(inner_one ->> 'words', 'failed')));
            end if;
        end if;
    end loop;
    if not is_counted then
        -- where all that was tried failed, another number is of something else
        succeeded := done + case when failed > 0 and failed = whole then 0 else others end;
    end if;
    if strays = looked_at then
        weak_failure := coalesce(weak_failure, stray_failure);
    end if;
    if listed is not null and (failed = 0 or (succeeded = 0 and total <= failed)) then
        failure := coalesce(failure, listed);
    end if;
    if failed > 0 and succeeded = 0 and total <= failed then
        failure := coalesce(failure, format('%s failed and none succeeded', failed));
    end if;
    if failure is not null then
        return jsonb_strip_nulls(jsonb_build_object(
            'is', 'failed', 'words', left(coalesce(reason, failure), 4000), 'denied', case when is_denied then true end,
            'has_error', case when has_error then true end
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
