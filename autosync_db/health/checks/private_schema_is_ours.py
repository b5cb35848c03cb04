"""The schema autosync and its tables are ours, and contain no foreign function, operator, trigger or rule."""

from functools import cache
from typing import Any

from psycopg import sql

from autosync_db.health import drafts
from autosync_db.health.model import Answer, Check, Question, Refusal, Repair, Row, Scene
from autosync_db.schema import objects

# a function of public counts when it bears the name of one of ours: the Data API chooses among those by their arguments
_QUERY = r"""
with ours (signature) as (
    select unnest({signatures}::text[])
),
known as (
    select to_regprocedure(o.signature)::oid as oid, split_part(o.signature, '(', 1) as name from ours as o
),
foreign_function as (
    select p.oid, n.nspname, p.proname, p.prokind, p.proowner,
        exists (select from known as k where k.name = n.nspname || '.' || p.proname) as is_overload
    from pg_catalog.pg_namespace as n
    join pg_catalog.pg_proc as p on p.pronamespace = n.oid
    where n.nspname in ('autosync', 'public')
        and not exists (select from known as k where k.oid = p.oid)
        and (n.nspname = 'autosync' or exists (select from known as k where k.name = n.nspname || '.' || p.proname))
        and not exists (
            select from pg_catalog.pg_depend as d
            where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e'
        )
),
api as (
    select r.oid
    from pg_catalog.pg_roles as r
    where r.rolname in ('anon', 'authenticated', 'authenticator') and not r.rolsuper
),
kept as (
    select c.oid, n.nspname, c.relname, c.relowner, r.rolname as owner, r.rolsuper
    from pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    join pg_catalog.pg_roles as r on r.oid = c.relowner
    where c.relkind = 'r' and (n.nspname = 'autosync'
        or n.nspname = 'public' and c.relname in ('pg_cron_secrets', 'auto_sync_schedules'))
),
home as (
    select n.nspname, n.nspowner, pg_get_userbyid(n.nspowner) as owner,
        -- who owns most of what is in it is whose it should be
        (
            select 2 * count(*) filter (where k.relowner = n.nspowner) >= count(*)
            from kept as k
            where k.nspname = n.nspname
        ) as is_keeper
    from pg_catalog.pg_namespace as n
    where n.nspname = 'autosync'
)
select jsonb_build_object(
    'status', case when f.is_overload then 'critical' else 'warning' end,
    'kind', 'function',
    'name', f.nspname || '.' || f.proname,
    'identity', f.oid::regprocedure::text,
    'role', pg_get_userbyid(f.proowner),
    'reason', case when f.is_overload then 'overload' else 'foreign' end
) as fact
from foreign_function as f
union all
select jsonb_build_object(
    'status', 'warning',
    'kind', 'operator',
    'name', n.nspname || '.' || o.oprname,
    'identity', o.oid::regoperator::text,
    'role', pg_get_userbyid(o.oprowner),
    'reason', 'foreign'
)
from pg_catalog.pg_namespace as n
join pg_catalog.pg_operator as o on o.oprnamespace = n.oid
where n.nspname = 'autosync'
union all
select jsonb_build_object(
    'status', 'critical',
    'kind', 'schema',
    'name', s.nspname,
    'identity', s.nspname,
    'role', s.owner,
    'owner', t.owner,
    'reason', 'owner'
)
from home as s
join pg_catalog.pg_roles as o on o.oid = s.nspowner and not o.rolsuper
join pg_catalog.pg_database as d on d.datname = current_database() and d.datdba <> o.oid
join lateral (
    select k.owner
    from kept as k
    where k.nspname = s.nspname and k.relowner <> s.nspowner
        and (k.rolsuper or not pg_has_role(k.relowner, o.oid, 'usage'))
    order by k.relname
    limit 1
) as t on true
where not s.is_keeper
union all
-- the functions work as the schema's owner
select jsonb_build_object(
    'status', case
        when has_table_privilege(s.nspowner, k.oid, 'select') and has_table_privilege(s.nspowner, k.oid, 'insert')
            and has_table_privilege(s.nspowner, k.oid, 'update')
        then 'warning'
        else 'critical'
    end,
    'kind', 'table',
    'name', k.nspname || '.' || k.relname,
    'identity', k.oid::regclass::text,
    'role', k.owner,
    'owner', s.owner,
    'reason', 'owner'
)
from home as s
join kept as k on k.relowner <> s.nspowner and not pg_has_role(s.nspowner, k.relowner, 'usage')
where s.is_keeper
union all
-- an owner sees all rows, whatever row level security says
select jsonb_build_object(
    'status', 'critical',
    'kind', 'table',
    'name', k.nspname || '.' || k.relname,
    'identity', k.oid::regclass::text,
    'role', k.owner,
    'owner', s.owner,
    'is_of_api', true,
    'reason', 'owner'
)
from home as s
join kept as k on k.relowner <> s.nspowner and pg_has_role(s.nspowner, k.relowner, 'usage')
where s.is_keeper and exists (select from api as a where pg_has_role(a.oid, k.relowner, 'member'))
union all
select jsonb_build_object(
    'status', case when pg_has_role(p.proowner, s.nspowner, 'usage') then 'warning' else 'critical' end,
    'kind', 'function',
    'name', n.nspname || '.' || p.proname,
    'identity', p.oid::regprocedure::text,
    'role', pg_get_userbyid(p.proowner),
    'owner', s.owner,
    'reason', 'owner'
)
from home as s
join known as k on k.oid is not null
join pg_catalog.pg_proc as p on p.oid = k.oid and p.proowner <> s.nspowner
join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
-- secrets_readable_by_job says so of the one that reads the secrets
where s.is_keeper and p.proname <> 'read_secret'
union all
-- what an owner took away from itself, the functions that work as it cannot do
select jsonb_build_object(
    'status', 'critical',
    'kind', 'table',
    'name', k.nspname || '.' || k.relname,
    'identity', k.oid::regclass::text,
    'role', s.owner,
    'privileges', l.privileges,
    'reason', 'privilege'
)
from home as s
join kept as k on k.relowner = s.nspowner
cross join lateral (
    select jsonb_agg(w.privilege) as privileges
    from unnest(array['select', 'insert', 'update', 'delete']) as w (privilege)
    where not has_table_privilege(s.nspowner, k.oid, w.privilege)
        -- secrets_readable_by_job says so
        and not (k.relname = 'pg_cron_secrets' and w.privilege = 'select')
) as l
where l.privileges is not null
union all
select jsonb_build_object(
    'status', 'critical',
    'kind', 'function',
    'name', n.nspname || '.' || p.proname,
    'identity', p.oid::regprocedure::text,
    'role', s.owner,
    'privileges', jsonb_build_array('execute'),
    'reason', 'privilege'
)
from home as s
join known as k on k.oid is not null
join pg_catalog.pg_proc as p on p.oid = k.oid and p.proowner = s.nspowner
join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
where not has_function_privilege(s.nspowner, p.oid, 'execute')
union all
select jsonb_build_object(
    -- one that gives back nothing, whatever it is asked, lets no row be written
    'status', case
        when t.tgtype & 3 = 3 and t.tgenabled in ('O', 'A')
            and p.prosrc ~* '\mreturn\s+null\s*;' and p.prosrc !~* '\mreturn\s+(?!\s|null\s*;)' then 'critical'
        else 'warning'
    end,
    'kind', 'trigger',
    'name', c.relname || '.' || t.tgname,
    'identity', format('%I on %s', t.tgname, c.oid::regclass),
    'role', pg_get_userbyid(p.proowner),
    'reason', 'foreign'
)
from pg_catalog.pg_class as c
join pg_catalog.pg_trigger as t on t.tgrelid = c.oid and not t.tgisinternal
join pg_catalog.pg_proc as p on p.oid = t.tgfoid
where c.relnamespace = to_regnamespace('autosync')
    and c.relname || '.' || t.tgname <> all ({triggers}::text[])
union all
select jsonb_build_object(
    'status', case when w.is_instead and w.ev_enabled <> 'D' then 'critical' else 'warning' end,
    'kind', 'rule',
    'name', c.relname || '.' || w.rulename,
    'identity', format('%I on %s', w.rulename, c.oid::regclass),
    'role', pg_get_userbyid(c.relowner),
    'reason', 'foreign'
)
from pg_catalog.pg_class as c
join pg_catalog.pg_rewrite as w on w.ev_class = c.oid and w.ev_type <> '1'
where c.relnamespace = to_regnamespace('autosync') and c.relkind in ('r', 'p')
union all
select jsonb_build_object('reason', 'missing') where to_regnamespace('autosync') is null
"""


@cache
def signatures() -> tuple[str, ...]:
    """Return every function of this package with the types of its arguments."""
    return tuple(signature for file in objects.files() for signature in objects.signatures(file.source))


def _triggers() -> list[str]:
    """Return table and name of every trigger of this package in its schema."""
    names = (path.rpartition("/")[2].removesuffix(".sql") for path in objects.paths() if "/triggers/" in path)
    return [name.removeprefix("autosync.") for name in names if name.startswith("autosync.")]


def _query() -> str:
    names = (sql.Literal(list(given)).as_string() for given in (signatures(), _triggers()))
    return _QUERY.format(**dict(zip(("signatures", "triggers"), names, strict=True)))


def _read(answer: Answer) -> list[Row]:
    if any(found["reason"] == "missing" for found in answer.values):
        return [Row("unknown", "schema autosync", "does not exist", {"reason": "missing", "schema": "autosync"})]
    rows = []
    for found in answer.values:
        if found["reason"] == "owner":
            facts = {key: found[key] for key in ("reason", "kind", "identity", "role", "owner")}
            detail = f"belongs to the role {found['role']}, {_danger(found)}"
            rows.append(Row(found["status"], f"{found['kind']} {found['name']}", detail, facts))
            continue
        if found["reason"] == "privilege":
            facts = {key: found[key] for key in ("reason", "kind", "identity", "role", "privileges")}
            detail = (
                f"the role {found['role']}, as whom the functions work, may not {', '.join(found['privileges'])} it"
            )
            rows.append(Row("critical", f"{found['kind']} {found['name']}", detail, facts))
            continue
        what = (
            "has the name of a function of this package and other arguments, so a call may reach it instead"
            if found["reason"] == "overload"
            else "is not of this package"
        )
        if found["status"] == "critical" and found["kind"] in {"trigger", "rule"}:
            what += ", and lets nothing be written there"
        facts = {
            "reason": found["reason"],
            "kind": found["kind"],
            "identity": found["identity"],
            "role": found["role"],
            found["kind"] if found["kind"] in {"function", "trigger", "rule"} else "name": found["name"],
        }
        detail = f"{found['identity']} of the role {found['role']} {what}"
        rows.append(Row(found["status"], f"{found['kind']} {found['name']}", detail, facts))
    return sorted(rows, key=lambda row: (row.object, row.detail))


def _danger(found: dict[str, Any]) -> str:
    """Say what comes of it that something belongs to another role."""
    if found["kind"] == "schema":
        return f"which can put anything in the place of what {found['owner']} has in it"
    if found["kind"] == "function":
        return f"not to {found['owner']}, so it works with other rights, or that role can replace it"
    if found.get("is_of_api"):
        return f"not to {found['owner']}: whoever works as that role through the Data API sees and changes all rows"
    return f"not to {found['owner']}, as whom the functions work that use it"


def _draft(scene: Scene) -> list[Repair | Refusal]:
    """Take back what is ours; drop what is not ours, functions last, since others need them."""
    taken: list[Repair | Refusal] = [_take(scene, facts) for facts in scene.findings if facts["reason"] == "owner"]
    taken += _grants(scene)
    things = sorted(
        ((facts["kind"], facts["identity"]) for facts in scene.findings if facts["reason"] in {"foreign", "overload"}),
        key=lambda thing: thing[0] == "function",  # what needs it goes before it
    )
    if not things:
        return taken
    # the server itself quoted the names
    drops = [drafts.text(f"drop {'routine' if kind == 'function' else kind} {identity}") for kind, identity in things]
    names = ", ".join(identity for _, identity in things)
    return [*taken, Repair(f"drop {names}", drops, destructive=True, as_owner=not taken and scene.acts_as_owner)]


def _take(scene: Scene, facts: dict[str, Any]) -> Repair | Refusal:
    role, owner = (sql.Identifier(facts[name]) for name in ("role", "owner"))
    thing = f"{facts['kind']} {facts['identity']}"
    statement = sql.SQL("alter {} owner to {}").format(drafts.text(thing), owner)
    if not (scene.is_superuser or (scene.may_act_as(facts["role"]) and scene.may_act_as(facts["owner"]))):
        way = statement.as_string()
        if not scene.value("select r.rolsuper from pg_catalog.pg_roles as r where r.rolname = %s", [facts["role"]]):
            way = f"{sql.SQL('grant {} to {}').format(role, owner).as_string()}; {way}"
        return Refusal(f"the {thing} is the role {facts['role']}'s", f"as a superuser, or as who may, run: {way}")
    return Repair(f"give the {thing} to the role {facts['owner']}", [statement], as_owner=False)


def _grants(scene: Scene) -> list[Repair]:
    grants = [
        sql.SQL("grant {} on {} to {}").format(
            drafts.text(", ".join(facts["privileges"])),
            # the server itself quoted the name
            drafts.text(f"{facts['kind']} {facts['identity']}"),
            sql.Identifier(facts["role"]),
        )
        for facts in scene.findings
        if facts["reason"] == "privilege"
    ]
    if not grants:
        return []
    return [Repair("give the owner of our tables and functions back what it may do with them", grants)]


CHECK = Check(
    layer="security",
    claim="the schema autosync and its tables are ours, and contain no foreign function, operator, trigger or rule",
    remedy="autosync-db repair private_schema_is_ours",
    needs=("head_applied",),
    causes=("head_applied",),
    repair=_draft,
    question=Question(_query, _read),
)
