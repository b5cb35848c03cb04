-- A minimal vault: the table, the view and the two functions of Supabase's, with their grants. What it keeps is turned
-- round and in base64 and not encrypted: enough to see whether somebody reads the table instead of the view.
create schema vault;

create table vault.secrets (
    id uuid primary key default gen_random_uuid(),
    name text,
    description text not null default '',
    secret text not null,
    key_id uuid,
    nonce bytea,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
create unique index secrets_name_idx on vault.secrets (name) where name is not null;

create function vault._decrypted(kept text) returns text
language sql
immutable
set search_path = ''
as $$
    select pg_catalog.reverse(pg_catalog.convert_from(pg_catalog.decode(kept, 'base64'), 'UTF8'))
$$;

create view vault.decrypted_secrets as
select s.id, s.name, s.description, s.secret, vault._decrypted(s.secret) as decrypted_secret, s.key_id, s.nonce,
    s.created_at, s.updated_at
from vault.secrets as s;

create function vault.create_secret(
    new_secret text, new_name text default null, new_description text default '', new_key_id uuid default null
) returns uuid
language sql
security definer
set search_path = ''
as $$
    insert into vault.secrets (secret, name, description, key_id)
    values (
        pg_catalog.encode(pg_catalog.convert_to(pg_catalog.reverse(new_secret), 'UTF8'), 'base64'),
        new_name, new_description, new_key_id
    )
    returning id
$$;

create function vault.update_secret(
    secret_id uuid, new_secret text default null, new_name text default null, new_description text default null,
    new_key_id uuid default null
) returns void
language sql
security definer
set search_path = ''
as $$
    update vault.secrets as s
    set secret = coalesce(
            pg_catalog.encode(pg_catalog.convert_to(pg_catalog.reverse(new_secret), 'UTF8'), 'base64'), s.secret
        ),
        name = coalesce(new_name, s.name),
        description = coalesce(new_description, s.description),
        key_id = coalesce(new_key_id, s.key_id),
        updated_at = now()
    where s.id = secret_id
$$;

revoke all on function vault._decrypted(text), vault.create_secret(text, text, text, uuid),
    vault.update_secret(uuid, text, text, text, uuid) from public;
grant usage on schema vault to postgres, service_role;
grant select, delete on vault.secrets, vault.decrypted_secrets to postgres, service_role;
grant execute on function vault.create_secret, vault.update_secret, vault._decrypted to postgres, service_role;
