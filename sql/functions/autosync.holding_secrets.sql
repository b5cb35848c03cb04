-- holding_secrets(contents): the places of the texts that hold a secret that is stored here, whatever its form.
-- requires: 0004
-- All at once, because a vault decrypts each secret for each look. Security definer, so that a check can ask without seeing a
-- secret. Short values would be found in any text, and a public key may stand in any. None where the secrets cannot be read: other
-- checks name that.
create or replace function autosync.holding_secrets(contents text[])
returns integer[]
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = on
as $$
declare
    secrets text[];
begin
    secrets := array(
        select s.secret
        from autosync.stored_secrets() as s
        where s.name not in ('project_url', 'gateway_key') and length(s.secret) >= 12
            and s.secret not like 'sb\_publishable\_%'
            -- a JWT of the role anon, whose name it has in base64
            and not (s.secret ~ '^eyJ' and s.secret ~ 'ImFub24i|Jhbm9uI|iYW5vbi' and not autosync.holds_key(s.secret))
    );
    return array(
        select c.place
        from unnest(contents) with ordinality as c (content, place)
        where exists (select from unnest(secrets) as s (secret) where strpos(c.content, s.secret) > 0)
    );
exception
    when others then
        return '{}';
end
$$;

revoke all on function autosync.holding_secrets(text[]) from public;

comment on function autosync.holding_secrets(text[]) is 'which texts hold a secret that is stored here';
