"""What the cron jobs of a database really call, to see which of them do the same: also through the project's functions.

Reads only. What is not understood is no twin of anything.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autosync_db.config import GUIDE_JOB
from autosync_db.connection import Connection, rows
from autosync_db.jobs import found
from autosync_db.jobs.texts import blocks, command_text, sameness
from autosync_db.jobs.texts.command_text import Call
from autosync_db.jobs.texts.expressions import Look, Node, arguments, evaluate, nothing
from autosync_db.jobs.texts.sameness import Sent
from autosync_db.jobs.texts.sql_values import Untranslatable, Value, literal_of

MOST_JOBS = 1000
_DEPTH, _CALL, _TICK = 5, "call ", "tick "
_DISPATCH = ("autosync", "dispatch")
_TICKS = re.compile(r"\bautosync\"?\s*\.\s*\"?dispatch\"?\s*\(", re.IGNORECASE)

# active jobs of this database that are not made by us; one that was registered to be watched is somebody else's, too
_JOBS = f"""
select c.jobid, c.jobname, c.username, c.schedule, left(c.command, 100000), c.command ~ 'autosync\\.',
    exists (select from autosync.job as j where j.name = c.jobname)
from cron.job as c
where c.active and c.database = current_database()
    and not exists (select from autosync.job as j where j.name = c.jobname and not j.watch)
order by c.jobid
limit {MOST_JOBS}
"""  # noqa: S608 - a number of ours
_FUNCTIONS = """
select n.nspname, p.proname, l.lanname, coalesce(pg_get_function_sqlbody(p.oid), p.prosrc),
    array(
        select coalesce(a.name, '')
        from unnest(p.proargnames) with ordinality as a (name, place)
        where p.proargmodes is null or p.proargmodes[a.place] in ('i', 'b')
        order by a.place
    ),
    array(select pg_get_function_arg_default(p.oid, g.place) from generate_series(1, p.pronargs) as g (place))
from pg_proc as p
join pg_namespace as n on n.oid = p.pronamespace
join pg_language as l on l.oid = p.prolang
where l.lanname in ('sql', 'plpgsql') and p.prokind in ('f', 'p')
    and (length(p.prosrc) between 1 and 50000 or p.prosqlbody is not null)
    and n.nspname not in ('pg_catalog', 'information_schema', 'net', 'cron', 'vault', 'extensions', 'autosync')
    and not exists (
        select from pg_depend as d where d.objid = p.oid and d.classid = 'pg_proc'::regclass and d.deptype = 'e'
    )
order by p.oid
limit 5000
"""


@dataclass(frozen=True, slots=True)
class OtherJob:
    """A cron job that is not ours; `effect` is equal for those that do the same, but for what `sent` has to look up.

    `names_ours`: its text names the schema autosync.
    """

    id: int
    name: str | None
    role: str
    schedule: str
    effect: str
    through: str | None = None
    sent: Sent | None = None
    names_ours: bool = False
    is_watched: bool = False

    @property
    def shown(self) -> str:
        """What it is called in print."""
        return self.name or f"(unnamed, {self.id})"

    @property
    def is_call(self) -> bool:
        """Whether it makes an HTTP call that is understood."""
        return self.effect.startswith(_CALL)

    def ticks(self, name: str) -> bool:
        """Whether it is a tick of the job of this name."""
        return self.effect == _TICK + name


@dataclass(frozen=True, slots=True)
class Understood:
    """What a text does: its `effect` as text that is equal for twins, its one call, and the function that makes it.

    Of two calls also what they have `sent` must be the same.
    """

    effect: str
    call: Call | None = None
    through: str | None = None
    sent: Sent | None = None


@dataclass(frozen=True, slots=True)
class _Function:
    schema: str
    language: str
    source: str
    names: tuple[str, ...]
    defaults: tuple[str | None, ...]

    def given(self, positional: Sequence[Value], named: Mapping[str, Value]) -> dict[str, Value] | None:
        """Return the values of its arguments by name and by place, None where it cannot be called so."""
        if len(positional) > len(self.defaults) or not named.keys() <= set(self.names):
            return None
        values: dict[str, Value] = {}
        for place, default in enumerate(self.defaults):
            name = self.names[place] if place < len(self.names) else ""
            if place < len(positional):
                value = positional[place]
            elif name and name in named:
                value = named[name]
            elif default is None:
                return None
            else:
                [parsed] = command_text.parse(f"select {default}")
                value = evaluate(parsed["SelectStmt"]["targetList"][0]["ResTarget"]["val"])
            values[f"${place + 1}"] = value
            if name:
                values[name.lower()] = value
        return values


class Functions:
    """The functions of a project that make HTTP calls or tick a job of ours, by themselves or through others."""

    def __init__(self, rows_of_functions: Sequence[tuple[Any, ...]]) -> None:
        self._by_name: dict[str, list[_Function]] = {}
        bodies = [(name, source) for _, name, _, source, *_ in rows_of_functions]
        self._calling, self._ticking = found.calling(bodies), found.calling(bodies, _TICKS)
        for schema, name, language, source, names, defaults in rows_of_functions:
            if name in self._calling | self._ticking:
                function = _Function(schema, language, source, tuple(names), tuple(defaults))
                self._by_name.setdefault(name, []).append(function)

    def have(self, name: tuple[str, ...]) -> bool:
        """Return whether there is one of this name that makes HTTP calls."""
        return name[-1] in self._calling and bool(self._named(name))

    def tick(self, name: tuple[str, ...]) -> bool:
        """Return whether there is one of this name that ticks a job of ours."""
        return name[-1] in self._ticking and bool(self._named(name))

    def source_of(self, name: str | None) -> str:
        """Return the bodies of those of a name, with or without its schema."""
        return "\n".join(one.source for one in self._named(tuple(name.split(".")))) if name else ""

    def _named(self, name: tuple[str, ...]) -> list[_Function]:
        return [one for one in self._by_name.get(name[-1], ()) if len(name) == 1 or one.schema == name[-2]]

    def called(self, name: tuple[str, ...], call: Node, look: Look) -> tuple[_Function, dict[str, Value]]:
        """Return the function that a call means, with the values of its arguments. Raises Untranslatable."""
        positional, named = arguments(call, look)
        fitting = [(one, values) for one in self._named(name) if (values := one.given(positional, named)) is not None]
        if len(fitting) != 1:
            raise Untranslatable("which function it calls is known only when it runs")
        return fitting[0]


def others(connection: Connection) -> list[OtherJob]:
    """Return the active jobs of this database that are not ours, as far as one look reads them."""
    jobs = rows(connection, _JOBS)
    if not jobs:
        return []
    functions = functions_of(connection)
    found = []
    for number, name, role, schedule, text, names_ours, is_watched in jobs:
        done = understand(text, functions)
        found.append(
            OtherJob(number, name, role, schedule, done.effect, done.through, done.sent, names_ours, is_watched)
        )
    return found


def functions_of(connection: Connection) -> Functions:
    """Return the project's functions that make HTTP calls. Nothing of ours needs to be in the database."""
    return Functions(rows(connection, _FUNCTIONS))


def understand(text: str, functions: Functions) -> Understood:
    """Return what the text of a job does. One that is not understood is equal to itself alone."""
    through: list[str] = []
    try:
        work = [one for statement in command_text.parse(text) for one in command_text.work_of(statement)]
        if (ticked := _ticked(work, functions, through)) is not None:
            return Understood(_TICK + ticked, through=through[0] if through else None)
        call = _call(work, functions, through)
        if call is not None:
            sent = sameness.sent(call)
            return Understood(_CALL + sent.what, call, through[0] if through else None, sent)
    except (Untranslatable, KeyError, IndexError, TypeError, ValueError, RecursionError):
        # a form that nobody thought of is no reason to fail
        pass
    # as the check job_unique compares them
    same = re.sub(r"^\s*select\s+", "select ", text, count=1, flags=re.IGNORECASE)
    return Understood("text " + re.sub(r"[\s;]+$", "", same))


def _ticked(work: list[tuple[Node, Look]], functions: Functions, through: list[str]) -> str | None:
    """Return the job of ours that statements tick where that is all they do, else None. Raises Untranslatable."""
    work = [one for one in work if not command_text.is_idle(one[0])]
    if len(work) != 1:
        return None
    [(statement, look)] = work
    names = list(command_text.functions_in([statement]))
    if _DISPATCH in names:
        positional, named = arguments(command_text.named_call(statement, _DISPATCH), look)
        name = named.get("job_name", positional[0] if positional else None)
        return GUIDE_JOB if name is None else literal_of(name, "job")
    helper = next((name for name in names if functions.tick(name)), None)
    if helper is None:
        return None
    ticked = _ticked(_entered(helper, statement, look, functions, through), functions, through)
    if ticked is None:
        through.clear()
    return ticked


def _call(work: list[tuple[Node, Look]], functions: Functions, through: list[str]) -> Call | None:
    """Return the one HTTP call that statements make, None where they make none. Raises Untranslatable for others."""
    made = []
    for statement, look in work:
        names = list(command_text.functions_in([statement]))
        helper = next((name for name in names if functions.have(name)), None)
        if any(command_text.is_http(name) for name in names):
            made.append(command_text.call_of(statement, look))
        elif helper is not None and (call := _through(helper, statement, look, functions, through)):
            made.append(call)
    if len(made) > 1:
        raise Untranslatable("it makes several calls")
    return made[0] if made else None


def _through(
    name: tuple[str, ...], statement: Node, look: Look, functions: Functions, through: list[str]
) -> Call | None:
    return _call(_entered(name, statement, look, functions, through), functions, through)


def _entered(
    name: tuple[str, ...], statement: Node, look: Look, functions: Functions, through: list[str]
) -> list[tuple[Node, Look]]:
    """Return what a function that a statement calls does then. Raises Untranslatable."""
    if len(through) >= _DEPTH:
        raise Untranslatable("its functions call each other")
    call, inner_look = command_text.sole_call(statement, look, lambda one: one == name)
    function, values = functions.called(name, call, inner_look)
    through.append(".".join(name))
    if function.language == "plpgsql":
        return list(blocks.statements(function.source, command_text.parse, values))
    return [(one, _known(values)) for one in command_text.parse(_statements(function.source))]


def _statements(body: str) -> str:
    """Return what a function in SQL runs: one that the server keeps parsed is shown with words around it."""
    if atomic := re.fullmatch(r"BEGIN ATOMIC\b(.*)\bEND", body.strip(), re.DOTALL):
        return atomic[1]
    return re.sub(r"^RETURN\b", "SELECT", body)


def _known(values: Mapping[str, Value]) -> Look:
    def look(name: tuple[str, ...]) -> Value:
        # a name may be written with that of its function before it
        return values[name[-1].lower()] if name[-1].lower() in values else nothing(name)

    return look
