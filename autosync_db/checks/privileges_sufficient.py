"""This role may see everything that the checks look at."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from psycopg import sql

from autosync_db import checks
from autosync_db.checks.model import Check, Row
from autosync_db.config import Configuration
from autosync_db.connection import Connection

# privileges are taken from the queries themselves, so that a new check is covered without a second list
_NAME = re.compile(r"\b(autosync|cron|net|public)\.(\w+)")
_SETTING = re.compile(r"current_setting\('[^']*'|^\s*--.*$", re.MULTILINE)
_MONITOR_ROLES = ("pg_read_all_settings", "pg_read_all_stats")
# a grant there would leak the secrets, or be a change that objects_current reports and migrate undoes
_OWN_SCHEMAS = ("autosync", "public")
# what the checks without a query read
_READ_BY_LOOKS = {
    "objects_current": {("autosync", "alembic_version"), ("autosync", "object"), ("autosync", "setting")},
}

_LACKING = """
with named (nspname, name) as (
    select n.nspname, n.name
    from unnest(%s::text[], %s::text[]) as n (nspname, name)
),
schemas as (
    select n.oid, n.nspname, n.nspowner
    from pg_catalog.pg_namespace as n
    where n.nspname in (select d.nspname from named as d)
)
select 'schema', s.nspname::text, '*', s.nspname::text, false, pg_catalog.pg_get_userbyid(s.nspowner)::text
from schemas as s
where not pg_catalog.has_schema_privilege(s.oid, 'usage')
union all
select case c.relkind when 'S' then 'sequence' else 'table' end, s.nspname::text, c.relname::text, c.relname::text,
    k.hidden, pg_catalog.pg_get_userbyid(c.relowner)::text
from schemas as s
join pg_catalog.pg_class as c on c.relnamespace = s.oid and c.relkind in ('r', 'p', 'v', 'm', 'S')
join named as d on d.nspname = s.nspname and d.name = c.relname
cross join (values (false), (true)) as k (hidden)
where case
    when k.hidden then pg_catalog.row_security_active(c.oid)
    when c.relkind = 'S' then not pg_catalog.has_sequence_privilege(c.oid, 'select')
    else not pg_catalog.has_table_privilege(c.oid, 'select')
end
union all
select 'function', s.nspname::text, p.proname::text,
    pg_catalog.format('%%I(%%s)', p.proname, pg_catalog.pg_get_function_identity_arguments(p.oid)),
    false, pg_catalog.pg_get_userbyid(p.proowner)::text
from schemas as s
-- no check calls a volatile function: those stand in a text only
join pg_catalog.pg_proc as p on p.pronamespace = s.oid and p.provolatile <> 'v'
join named as d on d.nspname = s.nspname and d.name = p.proname
where not pg_catalog.has_function_privilege(p.oid, 'execute')
union all
select 'role', '', r.rolname::text, r.rolname::text, false, ''
from pg_catalog.pg_roles as r
where r.rolname = any (%s::text[]) and not pg_catalog.pg_has_role(r.oid, 'usage')
order by 1, 2, 4, 5
"""


class _Lack(NamedTuple):
    """Something that this role may not use, or whose rows are hidden from it."""

    kind: str
    schema: str
    name: str
    shown: str
    hidden: bool
    owner: str


def _look(connection: Connection, _configuration: Configuration) -> list[Row]:
    readers = _readers()
    named = [key for key in readers if key[0]]
    found = connection.execute(
        _LACKING, [[schema for schema, _ in named], [name for _, name in named], list(_MONITOR_ROLES)]
    ).fetchall()
    if not found:
        return []
    role = str(connection.execute("select current_user").fetchall()[0][0])
    return [_finding(role, _Lack(*lack), readers) for lack in found]


def _finding(role: str, lack: _Lack, readers: dict[tuple[str, str], set[str]]) -> Row:
    kind, schema, name, shown, hidden, owner = lack
    grantee = sql.Identifier(role).as_string()
    if kind == "schema":
        users = _join(id for (of, _), ids in readers.items() if of == schema for id in ids)
    else:
        users = _join(readers[schema, name])
    thing = f"{kind} {schema}.{shown}" if schema and kind != "schema" else f"{kind} {shown}"
    if kind == "role":
        way = f"run: grant pg_monitor to {grantee}"
    elif schema in _OWN_SCHEMAS:
        way = f"is for {owner} alone: connect as that role"
    elif kind == "schema":
        way = f"run: grant usage on schema {schema} to {grantee}"
    elif hidden:
        way = f"hides rows from this role: connect as the one that ran migrate, or run: alter role {grantee} bypassrls"
    elif kind == "function":
        way = f"run: grant execute on function {schema}.{shown} to {grantee}"
    else:
        way = f"run: grant select on {kind} {schema}.{shown} to {grantee}"
    return Row("unknown", thing, f"{way}; for {users}")


def _join(ids: Iterable[str]) -> str:
    return ", ".join(sorted(set(ids)))


def _readers() -> dict[tuple[str, str], set[str]]:
    """Return the checks that read each thing, by schema and name; a role has no schema."""
    found: dict[tuple[str, str], set[str]] = {}
    for id, check in checks.catalogue().items():
        if check.look is None:
            text = _SETTING.sub("", checks.query(id))
            things = {(match[1], match[2]) for match in _NAME.finditer(text)}
            things |= {("", role) for role in _MONITOR_ROLES if role in text}
        else:
            things = _READ_BY_LOOKS.get(id, set())
        for thing in things:
            found.setdefault(thing, set()).add(id)
    return found


CHECK = Check(
    layer="server",
    claim="this role may see everything that the checks look at",
    remedy="autosync-db verify --database-url URL  # as the role that ran migrate; or run the grants named above",
    look=_look,
)
