-- refuse: raise everything that autosync.refusals holds, if it holds anything.
do $refuse$
declare
    complaints constant text := (
        select string_agg(concat(r.refusal ->> 'object', ': ', r.refusal ->> 'detail'), '; ' order by r.position)
        from jsonb_array_elements(current_setting('autosync.refusals')::jsonb) with ordinality as r (refusal, position)
    );
begin
    if complaints is not null then
        raise exception 'what is there cannot be adopted: %', complaints
            using errcode = 'invalid_table_definition',
            hint = 'see all of it with: autosync-db migrate --dry-run; '
                'then change what the message names, or rename the table';
    end if;
end
$refuse$
