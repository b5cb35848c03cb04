-- holds_secret(content): whether a text holds a secret that is stored here, whatever its form; false where none can be read.
-- requires: 0004
-- Security definer, so that a check can ask without seeing a secret. Short values would be found in any text.
create or replace function autosync.holds_secret(content text)
returns boolean
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    return exists (
        select from autosync.stored_secrets() as s
        where s.name <> 'project_url' and length(s.secret) >= 12 and strpos(content, s.secret) > 0
    );
exception
    -- a vault that cannot be read is named by other checks
    when others then
        return false;
end
$$;

revoke all on function autosync.holds_secret(text) from public;

comment on function autosync.holds_secret(text) is 'whether a text holds a secret that is stored here';
