"""The cron jobs of a database, ours and others', and what may be asked about the secrets that their texts name.

Reads only. A service key never leaves the server: what kind of key it is, is decided there.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Literal, cast

import psycopg
from psycopg import sql

from autosync_db.connection import Connection, exists, names, rows, value
from autosync_db.jobs.texts.command_text import Reading
from autosync_db.jobs.texts.sources import Facts, Source, SourceKind
from autosync_db.jobs.texts.sql_values import Origin
from autosync_db.secret import Secret
from autosync_db.supabase import key

Standing = Literal["absent", "ours", "adopted", "foreign"]

_JOBS = """
select c.jobid, c.jobname, c.schedule, c.command, c.active, c.username, c.database
from cron.job as c
order by c.jobname nulls last, c.jobid
"""
# pg_cron's own: anybody who may create schemas can make a view of that name where the extension is not
_HAS_PG_CRON = """
select exists (
    select from pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    join pg_catalog.pg_depend as d
        on d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = c.oid and d.deptype = 'e'
    join pg_catalog.pg_extension as e on e.oid = d.refobjid
    where n.nspname = 'cron' and c.relname = 'job' and e.extname = 'pg_cron'
)
"""
_HIDES_OTHERS = "select row_security_active('cron.job')"
_FUNCTIONS = """
select n.nspname, p.proname, coalesce(pg_get_function_sqlbody(p.oid), p.prosrc)
from pg_proc as p
join pg_namespace as n on n.oid = p.pronamespace
where n.nspname not in ('pg_catalog', 'information_schema', 'net', 'cron', 'vault', 'extensions', 'autosync')
    and p.prokind in ('f', 'p')
    and not exists (
        select from pg_depend as d where d.objid = p.oid and d.classid = 'pg_proc'::regclass and d.deptype = 'e'
    )
"""
_STANDING = """
select
    j.scheduled_command is not null or c.command = autosync.job_command(c.jobname)
    or c.command like 'select autosync.dispatch(%%',
    exists (select from autosync.adopted as a where a.object = 'cron job ' || c.jobname and a.undo like 'select %%')
from cron.job as c
left join autosync.job as j on j.name = c.jobname and not j.watch
where c.jobname = %s
order by 1 nulls first
limit 1
"""
CALLS_HTTP = re.compile(
    r"\b(?:net|extensions|http)\"?\s*\.\s*\"?http_\w+\"?\s*\(|\bhttp_(?:post|get|put|delete|patch|head)\"?\s*\("
    # the extension's own http(), by a name that it has there
    r"|(?:\b(?:extensions|http|public)\"?\s*\.\s*\"?|(?<![\w$.\"]))http\"?\s*\(",
    re.IGNORECASE,
)
_CALLED = re.compile(r'(?:"([^"]+)"|\b(\w+))\s*\(')
# what a body says and does not do; what is made into SQL while it runs may stand in a literal
# of two that begin the second alone may end, or a text that only begins some would be gone through for each
_COMMENTS = re.compile(r"('(?:[^']|'')*')|--[^\n]*|/\*(?:(?!/\*).)*?\*/", re.DOTALL)
_TAGS = re.compile(r"(?=(\$\w*\$))")
_LITERALS = re.compile(r"'(?:[^']|'')*'|\$\w*\$")
# a table, or the vault's view, that nobody made but the owner of the database or who may act as this role anyway; the
# owner of its schema could put another in its place
_TRUSTED = """
select n.nspname, c.relname
from pg_catalog.pg_class as c
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
join pg_catalog.pg_database as d on d.datname = pg_catalog.current_database()
where c.oid = pg_catalog.to_regclass({name}) and c.relkind::text = any ({kinds})
    and not exists (
        select from pg_catalog.unnest(array[c.relowner, n.nspowner]) as o (owner)
        where o.owner not in (d.datdba, 'pg_database_owner'::pg_catalog.regrole)
            and not pg_catalog.pg_has_role(o.owner, current_user, 'member')
    )
"""
_PLACE = sql.SQL("select pg_catalog.to_regclass({})::pg_catalog.oid")
_SCHEMA = "select n.nspname from pg_class as c join pg_namespace as n on n.oid = c.relnamespace where c.oid = %s::oid"
_KIND = sql.SQL(
    "case when btrim(v.found) = '' or v.found is null then 'missing'"
    " when v.found ~ '^\\s*sb_secret_' then 'service_secret' when v.found ~ '^\\s*sb_publishable_' then 'publishable'"
    " when v.found ~ '^\\s*eyJ' and v.found ~ {service} then 'service'"
    " when v.found ~ '^\\s*eyJ' and v.found ~ {anon} then 'public' else 'other' end"
).format(service=sql.Literal(key.SERVICE), anon=sql.Literal(key.ANON))
# an address may be shown where it holds nothing else
_ORIGIN = sql.SQL("case when v.found ~ {} then btrim(v.found) end").format(
    sql.Literal(r"^\s*https?://[A-Za-z0-9.-]+(:[0-9]+)?/?\s*$")
)

_BLANKS = " \t\r\n"
# is compared here and shown nowhere
_FINGERPRINT = sql.SQL("encode(sha256(convert_to(btrim(v.found, {}), 'UTF8')), 'hex')").format(sql.Literal(_BLANKS))
_STORED = sql.SQL("select {}, {} from (select autosync.read_secret(%s) as found) as v").format(_KIND, _FINGERPRINT)
_ALL_STORED = sql.SQL(
    "select v.name, {} from (select s.name, s.secret as found from autosync.stored_secrets() as s) as v"
).format(_FINGERPRINT)


@dataclass(frozen=True, slots=True)
class FoundJob:
    """One row of cron.job."""

    id: int
    name: str | None
    schedule: str
    command: str
    active: bool
    role: str
    database: str


def jobs(connection: Connection) -> list[FoundJob]:
    """Return every cron job that this role can see, none where pg_cron is not installed."""
    if not value(connection, _HAS_PG_CRON):
        return []
    return [FoundJob(*row) for row in rows(connection, _JOBS)]


def hides_others(connection: Connection) -> bool:
    """Return whether jobs of other roles are kept from this one."""
    return bool(value(connection, _HAS_PG_CRON) and value(connection, _HIDES_OTHERS))


def standing(connection: Connection, name: str) -> Standing:
    """Return whose a cron job is: `ours` if we made it, `adopted` if it was there before us, else `foreign`.

    A job is ours once we have scheduled it, whatever its text has become since.
    """
    if not value(connection, _HAS_PG_CRON):
        return "absent"
    if not exists(connection, "autosync.job", "autosync.job_command(text)"):
        there = value(connection, "select true from cron.job as c where c.jobname = %s", [name])
        return "foreign" if there else "absent"
    row = connection.execute(_STANDING, [name]).fetchone()
    if row is None:
        return "absent"
    is_ours, is_adopted = row
    return "adopted" if is_adopted and is_ours else "ours" if is_ours else "foreign"


def registered_names(connection: Connection) -> set[str]:
    """Return the names of the jobs of autosync.job, whether or not pg_cron has them."""
    if not exists(connection, "autosync.job"):
        return set()
    return {name for (name,) in rows(connection, "select j.name from autosync.job as j")}


def stored_fingerprints(connection: Connection) -> dict[str, str]:
    """Return a fingerprint of every stored secret by name, as of sources; none where they cannot be read."""
    if not exists(connection, "autosync.stored_secrets()"):
        return {}
    try:
        with _careful(connection):
            return dict(rows(connection, _ALL_STORED))
    except psycopg.Error:
        return {}


def helpers_that_call(connection: Connection) -> frozenset[str]:
    """Return the names of the project's functions that make HTTP calls, by themselves or through others of them."""
    return calling((name, source) for _, name, source in rows(connection, _FUNCTIONS))


def calling(functions: Iterable[tuple[str, str]], does: re.Pattern[str] = CALLS_HTTP) -> frozenset[str]:
    """Return the names of those of these functions, given with their bodies, that make HTTP calls in the end.

    Or that do something else, by which it is known.
    """
    bodies: dict[str, str] = {}
    for name, source in functions:
        bodies[name] = bodies.get(name, "") + "\n" + _done_by(source)
    known = {name for name, body in bodies.items() if does.search(body)}
    named = (
        {
            name: {quoted or plain.lower() for quoted, plain in _CALLED.findall(body)} & bodies.keys()
            for name, body in bodies.items()
        }
        if known
        else {}
    )
    while more := {name for name, used in named.items() if name not in known and used & known}:
        known |= more
    return frozenset(known)


def _done_by(body: str) -> str:
    """Return a body without its comments, and without its texts where none becomes SQL."""
    done = _COMMENTS.sub(lambda match: match[1] or " ", body)
    return done if re.search(r"\bexecute\b", done, re.IGNORECASE) else _without_literals(done)


def _without_literals(body: str) -> str:
    last = {found[1]: found.start() for found in _TAGS.finditer(body)}
    kept, at, begin = [], 0, 0
    while found := _LITERALS.search(body, at):
        end = at = found.end()
        if found[0].startswith("$"):
            if last[found[0]] < end:
                # it opens nothing, and its last sign may begin the next
                at = end - 1
                continue
            end = body.find(found[0], end) + len(found[0])
        kept += [body[begin : found.start()], "''"]
        at = begin = end
    return "".join([*kept, body[begin:]])


def helper_of(reading: Reading, helpers: frozenset[str]) -> str | None:
    """Return the function of the project through which a text makes its calls, None when it makes none so."""
    return next((".".join(name) for name in reading.functions if name[-1] in helpers), None)


class DatabaseFacts(Facts):
    """What a translation asks, answered by the database; each answer is looked up once."""

    def __init__(self, connection: Connection, project_url: str | None) -> None:
        self._connection = connection
        self._kinds: dict[Source, SourceKind] = {}
        self._located: dict[Origin, Origin] = {}
        self._origins: dict[Origin, str | None] = {}
        self._fingerprints: dict[Source, str | None] = {}
        self.project_url = project_url

    def kind(self, source: Source) -> SourceKind:
        """Return what kind of credential a source holds."""
        if source not in self._kinds:
            self._kinds[source] = _kind_of_text(source) if isinstance(source, Secret) else self._ask_kind(source)
        return self._kinds[source]

    def origin_of(self, source: Origin) -> str | None:
        """Return scheme and host where that is all that a source holds, else None."""
        if source not in self._origins:
            self._origins[source] = self._ask(source, _ORIGIN)
        return self._origins[source]

    def fingerprint(self, source: Source) -> str | None:
        """Return what is equal for equal secrets, None for one that cannot be read."""
        if source not in self._fingerprints:
            self._fingerprints[source] = (
                sha256(source.reveal().strip(_BLANKS).encode()).hexdigest()
                if isinstance(source, Secret)
                else self._ask(source, _FINGERPRINT)
            )
        return self._fingerprints[source]

    def stored(self, name: str) -> tuple[SourceKind, str | None]:
        """Return of what kind a stored secret is, and its fingerprint: `missing` and None where it cannot be read."""
        try:
            with _careful(self._connection):
                found = rows(self._connection, _STORED, [name])
        except psycopg.Error:
            found = []
        return cast("tuple[SourceKind, str | None]", found[0]) if found else ("missing", None)

    def _ask(self, source: Origin, expression: sql.Composed) -> str | None:
        source = self.located(source)
        try:
            with _careful(self._connection):
                found: str | None = value(self._connection, _about(source, expression))
        except psycopg.Error:
            return None
        return found

    def located(self, source: Origin) -> Origin:
        """Return a source with the schema of its table, as this role's own search_path finds it."""
        if source.kind != "table" or "." in source.table:
            return source
        if source not in self._located:
            with _careful(self._connection):
                # nothing but that name is looked up there: whoever may make objects in it could replace an operator
                self._connection.execute("set local search_path to default")
                found = value(self._connection, _PLACE.format(sql.Literal(sql.Identifier(source.table).as_string())))
                self._connection.execute(names.PIN)
                schema = value(self._connection, _SCHEMA, [found]) if found is not None else None
            self._located[source] = replace(source, table=f"{schema}.{source.table}") if schema else source
        return self._located[source]

    def _ask_kind(self, source: Origin) -> SourceKind:
        source = self.located(source)
        try:
            with _careful(self._connection):
                if source.kind != "setting" and not rows(self._connection, _trusted(source)):
                    return "unreadable"
                found = rows(self._connection, _about(source, _KIND))
        except psycopg.Error:
            return "unreadable"
        return cast("SourceKind", found[0][0]) if len(found) == 1 else "missing"


def query_of(source: Origin) -> sql.Composed:
    """Return the query for the one value of a source, as its column `found`; no row where it is not to be read.

    The text of a job may name anything, and a view runs what its owner wrote as whoever reads it.
    """
    path = None if source.path is None else sql.Literal(list(source.path))
    if source.kind == "setting":
        of_setting = _within(sql.SQL("current_setting({}, true)").format(sql.Literal(source.name)), path)
        return sql.SQL("select {} as found").format(of_setting)
    column = "decrypted_secret" if source.kind == "vault" else source.column
    conditions = source.conditions or ((("name", source.name),) if source.kind == "vault" else ())
    of_row = _within(sql.SQL("t.{}::text").format(sql.Identifier(column)), path)
    head = sql.SQL("select {} as found from ").format(of_row)
    wanted = [sql.SQL("t.{} = {}").format(sql.Identifier(name), sql.Literal(text)) for name, text in conditions]
    tail = sql.SQL(" as t where {} limit 2").format(sql.SQL(" and ").join([sql.SQL("true"), *wanted]))
    # a text that runs by the relation's own name, and not before it is known whose it is
    pattern = "%I.%I".join(part.as_string().replace("%", "%%") for part in (head, tail))
    return sql.SQL(
        "select x.found from (select pg_catalog.query_to_xml(pg_catalog.format({pattern}, r.nspname, r.relname), false,"
        " false, '') as rows from ({trusted}) as r) as q,"
        " xmltable('/table/row' passing q.rows columns found text path 'found') as x"
    ).format(pattern=sql.Literal(pattern), trusted=_trusted(source))


def _within(text: sql.Composed, path: sql.Literal | None) -> sql.Composed:
    """Return an expression for what a text has, as JSON, at a path; for all of it without one."""
    return text if path is None else sql.SQL("({}::jsonb #>> {}::text[])").format(text, path)


def _trusted(source: Origin) -> sql.Composed:
    """Return the query for the relation of a source if it is to be read, by its name at the moment."""
    is_vault = source.kind == "vault"
    name = ("vault", "decrypted_secrets") if is_vault else tuple(source.table.split("."))
    return sql.SQL(_TRUSTED).format(
        name=sql.Literal(sql.Identifier(*name).as_string()), kinds=sql.Literal(["v"] if is_vault else ["r", "p"])
    )


def _about(source: Origin, expression: sql.Composed) -> sql.Composed:
    return sql.SQL("select {} from ({}) as v").format(expression, query_of(source))


@contextmanager
def _careful(connection: Connection) -> Iterator[None]:
    """Run a query about somebody's table or view so that it changes nothing and does not last."""
    with connection.transaction(force_rollback=True):
        connection.execute("set local transaction_read_only = on")
        connection.execute("set local statement_timeout = '5s'")
        yield


def _kind_of_text(source: Secret) -> SourceKind:
    text = source.reveal()
    if text.startswith("sb_secret_"):
        return "service_secret"
    if key.is_public(source):
        return "publishable" if text.startswith("sb_") else "public"
    return "service" if key.claims(source).get("role") == "service_role" else "other"
