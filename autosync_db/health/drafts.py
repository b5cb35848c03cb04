"""The statements that the repairs of several checks have in common."""

from collections.abc import Collection

from psycopg import sql

from autosync_db import resources
from autosync_db.errors import CheckFailedError
from autosync_db.health.model import Refusal, Repair, Scene
from autosync_db.jobs import doubles, plan, registry, undeclared
from autosync_db.remedies import ByYou, filled
from autosync_db.schema import isolation, objects, revisions

SCHEDULES_ACCESS = isolation.ACCESS_FILE
SYNC = sql.SQL("select autosync.sync_job({})")
# `create extension` and `alter extension` want a schema to fall back on
WITH_A_SCHEMA = sql.SQL("set local search_path = public")
_EXPOSED = sql.SQL("pgrst.db_schemas")
# what else than a trigger stands in the way of an extension that writes into its own tables, and how it is taken away
_OBSTACLES = {
    "rule": "drop rule {rule} on {table}",
    "constraint": "alter table {table} drop constraint {constraint}",
    "index": "drop index {index}",
    "column": "alter table {table} alter column {column} drop not null",
}
OBSTACLES = {kind: ByYou(way, where="as {role}, the owner of the table") for kind, way in _OBSTACLES.items()}

# how a role of the API is held by row level security again; another role was given more than it needs
ROLES = {
    "superuser": ByYou("alter role {role} nosuperuser nobypassrls", where="as a superuser", then="autosync-db verify"),
    "bypass": ByYou("alter role {role} nobypassrls", where="as a superuser", then="autosync-db verify"),
    "member": ByYou(
        "revoke {member_of} from {role}", where="as a superuser or who granted it", then="autosync-db verify"
    ),
}


def fixed(id: str) -> list[sql.Composable]:
    """Return the one statement of sql/repairs/<id>.sql, which knows the job by `current_setting('autosync.job')`."""
    return [text(resources.read(f"sql/repairs/{id}.sql"))]


def text(statement: str) -> sql.SQL:
    """Return a statement that is our own, or that the server itself wrote and quoted."""
    return sql.SQL(statement.strip().removesuffix(";"))


def acting_as(scene: Scene, role: str, *statements: sql.Composable) -> list[sql.Composable]:
    """Return the statements as the ones of another role, for a repair that does not act as the owner throughout."""
    if role == scene.me:
        return list(statements)
    return [sql.SQL("set local role {}").format(sql.Identifier(role)), *statements, sql.SQL("reset role")]


def schedule_job(scene: Scene) -> list[sql.Composable]:
    """Return what makes cron.job say what autosync.job says; a job that is not registered there is registered first.

    Raises CheckFailedError when the job belongs to another role: it must be taken over first; for a job that is only
    watched; and MigrationError for a new one that somebody else's cron job does already.
    """
    if scene.value("select j.watch from autosync.job as j where j.name = %s", [scene.job]):
        raise CheckFailedError(
            f"autosync-db only watches the job {scene.job}, and changes nothing of it",
            hint=f"repair it where it was made, or take it over: autosync-db jobs adopt {scene.job}",
        )
    other = scene.value(
        "select c.username from cron.job as c where c.jobname = %s and c.username <> %s", [scene.job, scene.owner]
    )
    if other is not None:
        raise CheckFailedError(
            f"the job belongs to the role {other}", hint="run first: autosync-db repair job_owner_matches job_unique"
        )
    registered = scene.value("select exists (select from autosync.job as j where j.name = %s)", [scene.job])
    if registered:
        return [SYNC.format(sql.Literal(scene.job))]
    configuration = scene.configuration
    settings, url = configuration.settings, configuration.target.project_url
    if scene.job not in settings.jobs:
        raise CheckFailedError(
            f"neither autosync.job nor the settings have a job {scene.job}", hint="add it to autosync.toml"
        )
    declared = undeclared.declared_jobs(configuration)
    if scene.job in registry.taken(scene.connection, settings, declared):
        refused = registry.name_is_taken(str(scene.job))
        raise CheckFailedError(refused.message, hint=refused.hint)
    for double in doubles.of_new_jobs(scene.connection, settings, url):
        if double.name == scene.job:
            raise double.refusal
    # the others are no part of this repair, and may be somebody else's until they are taken over
    return [*plan.registration(settings, scene.job), SYNC.format(sql.Literal(scene.job))]


def reapply(scene: Scene, paths: Collection[str]) -> list[sql.Composable]:
    """Return what applies these files of sql/ again and records it."""
    return objects.reapplication(scene.connection, revisions.current(scene.connection), paths)


def withdraw(scene: Scene, schemas: Collection[str]) -> list[sql.Composable]:
    """Return what takes schemas off the Data API wherever a role's or the database's setting names them."""
    found = scene.rows(
        """
        select concat_ws(' ',
                case when s.setrole <> 0 then format('role %%I', r.rolname) end,
                case when s.setrole <> 0 and s.setdatabase <> 0 then 'in' end,
                case when s.setdatabase <> 0 then format('database %%I', current_database()) end
            ),
            string_agg(btrim(m.name), ', ' order by m.number)
                filter (where btrim(m.name, ' "') <> all (%(schemas)s::text[]))
        from pg_catalog.pg_db_role_setting as s
        left join pg_catalog.pg_roles as r on r.oid = s.setrole
        cross join lateral unnest(s.setconfig) as c (setting)
        cross join lateral regexp_split_to_table(substring(c.setting, '^pgrst\\.db_schemas=(.*)$'), ',')
            with ordinality as m (name, number)
        where s.setdatabase in (0, (select d.oid from pg_catalog.pg_database as d where d.datname = current_database()))
        group by 1
        having bool_or(btrim(m.name, ' "') = any (%(schemas)s::text[]))
        order by 1
        """,
        {"schemas": list(schemas)},
    )
    statements: list[sql.Composable] = []
    for place, rest in found:
        change = (
            sql.SQL("set {} = {}").format(_EXPOSED, sql.Literal(rest)) if rest else sql.SQL("reset {}").format(_EXPOSED)
        )
        statements.append(sql.SQL("alter {} {}").format(text(place), change))
    return [*statements, sql.SQL("notify pgrst, 'reload config'")] if statements else []


def reset_settings(scene: Scene) -> list[Repair]:
    """Return the repairs that take back what the findings say is set for the sessions of a role or of the database."""
    found = []
    for facts in scene.findings:
        if "setting" not in facts:
            continue
        parts: list[sql.Composable] = [
            sql.SQL("role {}" if kind == "role" else "database {}").format(sql.Identifier(facts[kind]))
            for kind in ("role", "database")
            if facts[kind]
        ] or [sql.SQL("role all")]
        statement = sql.SQL("alter {} reset {}").format(sql.SQL(" in ").join(parts), sql.Identifier(facts["setting"]))
        names = [f"the {kind} {facts[kind]}" for kind in ("role", "database") if facts[kind]] or ["all roles"]
        sentence = f"reset {facts['setting']} of {' in '.join(names)}"
        # somebody set it on purpose, for other sessions as well
        found.append(Repair(sentence, [statement], destructive=True, as_owner=scene.acts_as_owner))
    return found


def functions_named(scene: Scene) -> tuple[list[str], list[str]]:
    """Return the files of our own functions that the findings name, and the signatures of all others, quoted."""
    ours = set(objects.paths())
    files, foreign = set(), set()
    for facts in scene.findings:
        if "function" in facts:
            path = f"sql/functions/{facts['function']}.sql"
            if path in ours:
                files.add(path)
            else:
                foreign.add(facts["signature"])
    return sorted(files), sorted(foreign)


def protect_schedules(scene: Scene) -> Repair:
    """Return the repair that gives the schedules' table the protection and the grants of the isolation mode."""
    close = reapply(scene, [SCHEDULES_ACCESS])
    sentence = "give each role of the API what the isolation mode gives it on the schedules"
    if isolation.stored(scene.connection).mode == "custom":  # it keeps the project's own policies
        return Repair(sentence, close)
    return dropping_policies(scene, "public.auto_sync_schedules", sentence, close)


def dropping_policies(scene: Scene, table: str, sentence: str, statements: list[sql.Composable]) -> Repair:
    """Return a repair that applies a table's access file, which drops permissive policies: by consent if not ours."""
    name = table.rpartition(".")[2]
    foreign = scene.rows(
        "select p.policyname from pg_catalog.pg_policies as p where p.schemaname = 'public' and p.tablename = %s"
        " and p.permissive = 'PERMISSIVE' and p.policyname <> all(%s) order by 1",
        [name, [f"{name}_{mode}" for mode in ("nobody", "owner", "organization")]],
    )
    if not foreign:
        return Repair(sentence, statements)
    names = ", ".join(policy for (policy,) in foreign)
    return Repair(f"{sentence}; this drops the policy {names}", statements, destructive=True)


def revoke_views(scene: Scene, views: Collection[tuple[str, str]], whom: str) -> Repair:
    """Return the repair that takes views, named as the server quotes them, away from a role each."""
    revokes = [
        sql.SQL("revoke all on {} from {}").format(
            text(view), sql.SQL("public") if role == "public" else sql.Identifier(role)
        )
        for view, role in views
    ]
    sentence = f"take {', '.join(sorted({view for view, _ in views}))} away from {whom}"
    return Repair(sentence, revokes, destructive=True, as_owner=scene.acts_as_owner)


def drop_triggers(scene: Scene, schema: str, tables: Collection[str], own: str = "") -> list[Repair | Refusal]:
    """Return the repair that drops the triggers on an extension's tables, but for its own one.

    As the tables' owner; where this session may not act as that, by dropping the functions that they alone call.
    """
    found = scene.rows(
        """
        select format('drop trigger %%I on %%I.%%I', t.tgname, n.nspname, c.relname), pg_get_userbyid(c.relowner),
            format('drop function %%s cascade', p.oid::regprocedure), pg_get_userbyid(p.proowner),
            exists (select from pg_catalog.pg_trigger as o where o.tgfoid = t.tgfoid and o.tgrelid <> t.tgrelid)
        from pg_catalog.pg_trigger as t
        join pg_catalog.pg_class as c on c.oid = t.tgrelid
        join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
        join pg_catalog.pg_proc as p on p.oid = t.tgfoid
        where n.nspname = %s and c.relname = any (%s::text[]) and not t.tgisinternal and t.tgname <> %s
            and t.tgenabled <> 'D'
        order by 1
        """,
        [schema, list(tables), own],
    )
    if not found:
        return []
    drops = "; ".join(row[0] for row in found)
    owner = str(found[0][1])
    if scene.may_act_as(owner):
        statements = acting_as(scene, owner, *(text(row[0]) for row in found))
        return [Repair(drops, statements, destructive=True, as_owner=False)]
    if any(is_shared or not scene.may_act_as(role) for *_, role, is_shared in found):
        return [Refusal(f"only {owner}, who owns the tables, may drop triggers on them", f"as {owner} run: {drops}")]
    # whoever owns a function may drop it, and what depends on it goes along
    functions = dict.fromkeys((row[2], row[3]) for row in found)
    statements = [part for drop, role in functions for part in acting_as(scene, role, text(drop))]
    sentence = f"{'; '.join(drop for drop, _ in functions)}: that drops the triggers with them"
    return [Repair(sentence, statements, destructive=True, as_owner=False)]


def drop_obstacles(scene: Scene) -> list[Repair | Refusal]:
    """Return the repairs that take away what else the findings name on an extension's tables, as their owner."""
    drafted: list[Repair | Refusal] = []
    for facts in scene.findings:
        for kind in _OBSTACLES.keys() & facts.keys():
            way, owner = filled(_OBSTACLES[kind], facts), str(facts["role"])
            if scene.may_act_as(owner):
                drafted.append(Repair(way, acting_as(scene, owner, text(way)), destructive=True, as_owner=False))
            else:
                drafted.append(Refusal(f"only {owner}, who owns the table, may do that", f"as {owner} run: {way}"))
    return drafted


def hold_roles(scene: Scene) -> list[Repair | Refusal]:
    """Take from the roles of the API what lets them pass row level security; only a superuser surely may."""
    found: list[Repair | Refusal] = []
    for facts in scene.findings:
        name = sql.Identifier(facts.get("role") or "")
        match facts.get("reason"):
            case "superuser":
                statements = [sql.SQL("alter role {} nosuperuser nobypassrls").format(name)]
            case "bypass":
                statements = [sql.SQL("alter role {} nobypassrls").format(name)]
            case "member":
                revoke = sql.SQL("revoke {} from {}")
                statements = [revoke.format(sql.Identifier(role), name) for role in facts["roles"]]
            case _:
                continue
        sentence = f"let row level security hold {facts['role']} again"
        if scene.is_superuser:
            found.append(Repair(sentence, statements, destructive=True, as_owner=False))
        else:
            text = "; ".join(statement.as_string() for statement in statements)
            found.append(
                Refusal(f"the role {facts['role']} is not {scene.me}'s to change", f"as a superuser run: {text};")
            )
    return found
