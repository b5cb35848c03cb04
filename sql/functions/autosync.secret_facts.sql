-- secret_facts(): what may be said of every stored secret; never a value.
-- requires: 0004
-- padding: blanks around the value, which dispatch() takes off. stray: characters inside that no header carries.
create or replace function autosync.secret_facts()
returns table (
    name text,
    store text,
    kind text,
    fingerprint text,
    is_blank boolean,
    padding integer,
    stray integer,
    created_at timestamptz,
    changed_at timestamptz
)
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select
        s.name,
        autosync.secret_store(),
        autosync.secret_kind(s.secret),
        autosync.fingerprint(s.secret),
        t.trimmed = '',
        length(s.secret) - length(t.trimmed),
        length(regexp_replace(t.trimmed, '[!-~]', '', 'g')),
        s.created_at,
        s.updated_at
    from autosync.stored_secrets() as s
    cross join lateral (select btrim(s.secret, E' \t\r\n') as trimmed) as t
$$;

revoke all on function autosync.secret_facts() from public;

comment on function autosync.secret_facts() is 'kind, fingerprint and age of every stored secret';
