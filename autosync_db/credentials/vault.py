"""Whether there is a vault in which this role can keep secrets, and whose it is."""

from autosync_db.connection import Connection, value
from autosync_db.errors import SecretError

# Supabase's vault belongs to a superuser; whoever may create schemas can make one that looks the same. The owner of any
# extension can add to it, so that says nothing. autosync.vault_secrets() asks the same.
_OF_ANOTHER = """
    select pg_get_userbyid(o.role)
    from (
        select n.nspowner from pg_namespace as n where n.nspname = 'vault'
        union all
        select c.relowner from pg_class as c
        where c.relnamespace = to_regnamespace('vault') and c.relname in ('secrets', 'decrypted_secrets')
        union all
        select p.proowner from pg_proc as p
        where p.pronamespace = to_regnamespace('vault') and p.proname in ('create_secret', 'update_secret')
    ) as o (role)
    join pg_roles as r on r.oid = o.role
    join pg_roles as me on me.rolname = current_user
    where not r.rolsuper and (me.rolsuper or not pg_has_role(o.role, 'usage'))
    limit 1
"""
_LACKS = """
with vault_functions as (
    select p.oid, p.proname
    from pg_proc as p
    join pg_namespace as n on n.oid = p.pronamespace and n.nspname = 'vault'
    where p.proname in ('create_secret', 'update_secret')
)
select case
    when to_regnamespace('vault') is null then 'there is no schema vault'
    when not has_schema_privilege('vault', 'usage')
        then format('the role %s may not use the schema vault', current_user)
    when to_regclass('vault.secrets') is null or to_regclass('vault.decrypted_secrets') is null
        then 'the schema vault lacks the table secrets or the view decrypted_secrets'
    when (select count(distinct f.proname) from vault_functions as f) < 2
        then 'the schema vault lacks the function create_secret or update_secret'
    when not has_table_privilege(to_regclass('vault.decrypted_secrets'), 'select')
        or not has_table_privilege(to_regclass('vault.secrets'), 'select')
        or not has_table_privilege(to_regclass('vault.secrets'), 'delete')
        or exists (select from vault_functions as f where not has_function_privilege(f.oid, 'execute'))
        then format('the role %s may not read, create, update and delete secrets in it', current_user)
    when exists (
        select from pg_roles as r
        where r.rolname in ('anon', 'authenticated')
            and has_schema_privilege(r.oid, 'vault', 'usage')
            and has_table_privilege(r.oid, to_regclass('vault.decrypted_secrets'), 'select')
    ) then 'anon or authenticated may read vault.decrypted_secrets'
end
"""


def role_of_another(connection: Connection) -> str | None:
    """Return the role to which what looks like a vault belongs, None where it is one: nothing in it may be asked."""
    found: str | None = value(connection, _OF_ANOTHER)
    return found


def require(connection: Connection) -> None:
    """Return if this role can keep secrets in the vault. Raises SecretError that says why not."""
    role = role_of_another(connection)
    lack = f"it belongs to the role {role}" if role is not None else value(connection, _LACKS)
    if lack is not None:
        raise SecretError(
            f"the vault cannot be used here: {lack}",
            hint='enable Vault under Integrations, or keep the default: [secrets] store = "table"',
        )
