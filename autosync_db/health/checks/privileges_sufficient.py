"""This role may read everything that the checks need."""

import re
from functools import cache
from typing import Any, NamedTuple

from psycopg import sql

from autosync_db.health import catalogue
from autosync_db.health.model import Answer, Check, Question, Row
from autosync_db.remedies import ByYou

# privileges are taken from the queries themselves, so that a new check is covered without a second list; an expression
# that begins with a word is found many times faster than one of several words, and verify looks through all texts
_NAMES = tuple(
    (schema, re.compile(rf"{schema}\.(?<!\w{schema}\.)(\w+)")) for schema in ("autosync", "cron", "net", "public")
)
# names of settings and paths of files are no things that are read
_SETTINGS = tuple(re.compile(rf"{begin}[^']*'") for begin in (r"current_setting\('", "'sql/", "'templates/"))
_MONITOR_ROLES = ("pg_read_all_settings", "pg_read_all_stats")
# a grant there would leak the secrets, or be a change that objects_current reports and migrate undoes
_OWN_SCHEMAS = ("autosync", "public")
# whoever holds a key of the project works as one of them
_API_ROLES = {"anon", "authenticated", "service_role"}

_QUERY = """
with named (nspname, name) as (
    select n.nspname, n.name
    from unnest({schemas}::text[], {names}::text[]) as n (nspname, name)
),
schemas as (
    select n.oid, n.nspname, n.nspowner
    from pg_catalog.pg_namespace as n
    where n.nspname in (select d.nspname from named as d)
),
lacking (kind, schema, name, shown, hidden, owner) as (
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
        pg_catalog.format('%I(%s)', p.proname, pg_catalog.pg_get_function_identity_arguments(p.oid)),
        false, pg_catalog.pg_get_userbyid(p.proowner)::text
    from schemas as s
    -- no check calls a volatile function: those stand in a text only
    join pg_catalog.pg_proc as p on p.pronamespace = s.oid and p.provolatile <> 'v'
    join named as d on d.nspname = s.nspname and d.name = p.proname
    where not pg_catalog.has_function_privilege(p.oid, 'execute')
    union all
    select 'role', '', r.rolname::text, r.rolname::text, false, ''
    from pg_catalog.pg_roles as r
    where r.rolname = any ({roles}::text[]) and not pg_catalog.pg_has_role(r.oid, 'usage')
)
select jsonb_build_object('assumed', jsonb_build_object(
    'role', case when s.setrole <> 0 then session_user end,
    'database', case when s.setdatabase <> 0 then current_database() end,
    'session', session_user, 'value', current_user
)) as fact
from (
    select d.setrole, d.setdatabase
    from pg_catalog.pg_db_role_setting as d
    where d.setrole in (0, (select r.oid from pg_catalog.pg_roles as r where r.rolname = session_user))
        and d.setdatabase in (0, (select b.oid from pg_catalog.pg_database as b where b.datname = current_database()))
        and 'role=' || current_user = any (d.setconfig)
    -- the closest one counts
    order by d.setrole <> 0 desc, d.setdatabase <> 0 desc
    limit 1
) as s
where session_user <> current_user and exists (select from lacking as l where l.owner <> current_user)
union all
(
select jsonb_build_array(current_user, l.kind, l.schema, l.name, l.shown, l.hidden, l.owner)
from lacking as l
-- what an owner lacks is a finding of the checks of that object: it needs no grant
where l.owner <> current_user
-- what can be granted first
order by l.schema in ('autosync', 'public'), array_position(array['role', 'schema'], l.kind), l.kind, l.schema, l.shown,
    l.hidden
)
"""


class _Lack(NamedTuple):
    """Something that this role may not use, or whose rows are hidden from it."""

    kind: str
    schema: str
    name: str
    shown: str
    hidden: bool
    owner: str


def _query() -> str:
    named = [key for key in _readers() if key[0]]
    return _QUERY.format(
        schemas=sql.Literal([schema for schema, _ in named]).as_string(),
        names=sql.Literal([name for _, name in named]).as_string(),
        roles=sql.Literal(list(_MONITOR_ROLES)).as_string(),
    )


def _read(answer: Answer) -> list[Row]:
    for found in answer.values:
        if isinstance(found, dict):
            return [_assumed(found["assumed"])]
    return [_finding(role, _Lack(*lack), _readers()) for role, *lack in answer.values]


def _assumed(found: dict[str, Any]) -> Row:
    """Say what lets each session of this login, the jobs' runs as well, work as another role."""
    places = [f"{kind} {found[kind]}" for kind in ("role", "database") if found[kind]]
    detail = (
        f"sets role = {found['value']}: each session of {found['session']}, and each run of its jobs, works as"
        f" {found['value']}, which may use nothing of this"
    )
    facts = {"reason": "_".join(kind for kind in ("role", "database") if found[kind]), "setting": "role"}
    named = {key: found[key] for key in ("role", "database", "value") if found[key]}
    return Row("critical", " in ".join(places), detail, {**facts, **named})


def _finding(role: str, lack: _Lack, readers: dict[tuple[str, str], set[str]]) -> Row:
    kind, schema, name, shown, hidden, owner = lack
    grantee = sql.Identifier(role).as_string()
    if kind == "schema":
        users = sorted({id for (of, _), ids in readers.items() if of == schema for id in ids})
    else:
        users = sorted(readers[schema, name])
    is_api = role in _API_ROLES
    thing = f"{kind} {schema}.{shown}" if schema and kind != "schema" else f"{kind} {shown}"
    if is_api:
        way = "is not for a role of the API: connect as the role that ran migrate"
    elif kind == "role":
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
    facts = {"role": role, "kind": kind, "schema": schema or None, "name": name, "checks": users}
    return Row("unknown", thing, f"{way}; for {', '.join(users)}", facts)


@cache
def _readers() -> dict[tuple[str, str], set[str]]:
    """Return the checks that read each thing, by schema and name; a role has no schema."""
    found: dict[tuple[str, str], set[str]] = {}
    for id, check in catalogue.all_checks().items():
        if check is CHECK or check.look is not None:
            continue
        text = _without_comments(catalogue.query(id) if check.question is None else check.question.query())
        for expression in _SETTINGS:
            text = expression.sub("", text)
        things = {(schema, name) for schema, expression in _NAMES for name in expression.findall(text)}
        things |= {("", role) for role in _MONITOR_ROLES if role in text}
        for thing in things:
            found.setdefault(thing, set()).add(id)
    return found


def _without_comments(text: str) -> str:
    return "\n".join(line for line in text.split("\n") if not line.lstrip().startswith("--"))


CHECK = Check(
    layer="server",
    claim="this role may read everything that the checks need",
    remedy=ByYou(
        "run the grants named above as an administrator, or connect as the role that ran migrate",
        then="autosync-db verify --database-url URL",
    ),
    remedies={
        # what the session was given stands in the way of whoever takes it back, too
        "role": "set role none; alter role {role} reset role",
        "role_database": "set role none; alter role {role} in database {database} reset role",
        "database": "set role none; alter database {database} reset role; -- as its owner or a superuser",
    },
    question=Question(_query, _read),
)
