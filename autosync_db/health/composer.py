"""Make a few statements of the queries of all checks, for a single round trip.

The query of a check that speaks of jobs knows its job as `checked.name`. Here it becomes the correlated part of a query
over the chosen jobs of its kind, so that every check and every job is asked about at once. Any query may read the names
of the chosen jobs from `chosen_jobs`.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from psycopg import sql

from autosync_db import resources
from autosync_db.config import GUIDE_JOB, HOUSEKEEPING_JOB, Configuration
from autosync_db.connection import Connection, connect
from autosync_db.health import catalogue
from autosync_db.health.beside import beside
from autosync_db.health.model import Check, Scope

# what several checks ask of each job is asked once: the call in their texts, and the relation that holds its answers
_SHARED = {
    "autosync.call_findings(checked.name)": "call_finding",
    "autosync.recent_outcomes(checked.name, 50)": "recent_call",
}
# what several checks read is read once: planning such a view, or preparing such a function, takes longer than its rows
_READ_ONCE = {
    "pg_catalog.pg_settings": "server_setting",
    "pg_catalog.pg_stat_activity": "session",
    "autosync.secret_facts()": "stored_secret",
    "autosync.service_key_facts()": "service_key",
    "autosync.stored_secrets()": "secret_value",
}
# the same of functions with one answer
_ANSWERED_ONCE = {
    "autosync.secret_store()": "secret_store",
    "autosync.secrets_hidden()": "hidden_secrets",
    "autosync.proven_address()": "proven_address",
    "autosync.server_epoch()": "server_epoch",
}
# how checks read pg_cron's history, and what they read instead when all are asked at once: the newest of each job, for
# one that seldom runs is not to be hidden behind busy ones. Each job's lie together, so that a check that speaks of one
# reads no others'.
_RUNS = "(select n.* from cron.job_run_details as n order by n.runid desc limit 20000)"
_RUNS_OF_THE_JOB = (
    "(select r.* from recent_runs_of_job as g cross join lateral unnest(g.runs) as r where g.jobname = checked.name)"
)
_RUNS_OF_ALL = "(select r.* from recent_runs_of_job as g cross join lateral unnest(g.runs) as r)"
# numbered by their ids alone: the rows with their texts would not fit into the memory of a sort
_RUNS_OF_EACH_JOB = """
recent_runs_of_job as materialized (
    select c.jobname, array_agg(m.run) as runs
    from (
        select n.runid, n.jobid, row_number() over (partition by n.jobid order by n.runid desc) as place
        from (select r.runid, r.jobid from cron.job_run_details as r order by r.runid desc limit 20000) as n
    ) as d
    join cron.job as c on c.jobid = d.jobid
    -- one by one through the index: a table that was not analyzed since it grew would be read from end to end
    cross join lateral (select r as run from cron.job_run_details as r where r.runid = d.runid limit 1) as m
    where d.place <= 100
    group by c.jobid, c.jobname
)
"""
# planning one statement of all queries took the server 90 MB, and a fifth of the time went to the kernel, which gives a
# new session its memory page by page; a statement of a few has what the one before it gave back
_AT_ONCE = 12
# under this id the jobs themselves are asked for
JOBS = ""

# which rows of autosync.job (j) are of a kind; one that is not registered makes no calls
_KINDS: Mapping[Scope, str] = {
    "job": "true",
    "scheduled": "j.watch is not true",
    "call": "j.function is not null or j.url is not null",
    "function": "j.function is not null",
    "draining": "j.drains is not null",
}


@dataclass(frozen=True, slots=True)
class Job:
    """A chosen job, whether autosync.job has it, and of which kinds it is."""

    id: int | None
    name: str
    is_registered: bool
    kinds: frozenset[str]

    def is_of(self, scope: Scope) -> bool:
        """Return whether checks of this scope speak of it."""
        return scope in self.kinds


def chosen(names: Collection[str] | None, if_there: Collection[str] = ()) -> str:
    """Return the query of the chosen jobs: those named, or all that are registered, or else the guide's.

    Of those `if_there` the ones that are registered are chosen, too. Housekeeping is watched by a check of its
    own.
    """
    kinds = ", ".join(f"coalesce({condition}, false)" for condition in _KINDS.values())
    if names is None:
        return f"""
            select j.id, j.name, true, {kinds} from autosync.job as j where j.name <> {_text(HOUSEKEEPING_JOB)}
            union all
            select null, {_text(GUIDE_JOB)}, false, {kinds}
            from (select) as always
            left join autosync.job as j on false
            where not exists (select from autosync.job as o where o.name <> {_text(HOUSEKEEPING_JOB)})"""  # noqa: S608 - our own texts
    listed, optional = (f"{sql.Literal(list(given)).as_string()}::text[]" for given in (names, if_there))
    return f"""
            select j.id, w.name, j.name is not null, {kinds}
            from unnest({listed}) as w (name)
            left join autosync.job as j on j.name = w.name
            union all
            select j.id, j.name, true, {kinds} from autosync.job as j where j.name = any({optional})"""  # noqa: S608 - names are quoted


def named(configuration: Configuration) -> tuple[str, ...] | None:
    """Return the jobs that the settings name; None where they name none."""
    settings = configuration.settings
    return tuple(settings.jobs) if settings.names_jobs else None


def spoken_of(configuration: Configuration, names: Collection[str] = ()) -> str:
    """Return the query of the jobs that a report speaks of: those of these names, else those of the settings."""
    kept = () if names else configuration.settings.kept_here
    return chosen(tuple(dict.fromkeys(names)) or named(configuration), kept)


def known(jobs: Iterable[Job]) -> str:
    """Return the same query of jobs that were asked for before, which reads no table."""
    rows = []
    for job in jobs:
        number = "null" if job.id is None else str(job.id)
        kinds = ", ".join(str(job.is_of(kind)) for kind in _KINDS)
        rows.append(f"({number}::integer, {_text(job.name)}, {job.is_registered}, {kinds})")
    return f"values {', '.join(rows)}"


def unknown(names: Collection[str] | None) -> list[Job]:
    """Return the jobs to speak of where autosync.job cannot be read: what they are is not known, so they may be all."""
    return [Job(None, name, True, frozenset(_KINDS)) for name in names or [GUIDE_JOB]]


def statements(jobs: str, wanted: Mapping[str, Check], queries: Mapping[str, str]) -> list[bytes]:
    """Return the statements that ask the queries of these checks and, under JOBS, for the jobs themselves.

    What is said of jobs is in the first, because it is to be said of the same jobs, and so is what else reads their
    runs. The others look a moment later; in each are queries that read the same things, which are read once.
    """
    first: list[str] = [all_jobs()]
    others: list[str] = []
    for id, text in queries.items():
        is_of_jobs = wanted[id].speaks_of_jobs or _RUNS_OF_ALL in text
        (first if is_of_jobs else others).append(text)
    others.sort(key=lambda text: [name in text for name in (*_READ_ONCE, *_ANSWERED_ONCE)])
    groups = [others[start : start + _AT_ONCE] for start in range(0, len(others), _AT_ONCE)]
    return [statement(jobs, group) for group in (first, *groups)]


def statement(jobs: str, queries: Iterable[str]) -> bytes:
    """Return the statement that asks these queries, over the jobs that the query `jobs` chooses."""
    columns = ", ".join(f"is_{kind}" for kind in _KINDS)
    relations = [f"chosen_jobs (id, name, is_registered, {columns}) as materialized ({jobs}\n)"]
    # `offset 0` keeps them apart: the planner would merge them into one query and go through all of it for each
    text = "\nunion all\n".join(f"({query} offset 0)" for query in queries)
    for call, relation in _SHARED.items():
        if f"from {relation} as" in text:
            relations.append(
                f"{relation} as materialized (select checked.name as job, o.* from chosen_jobs as checked"  # noqa: S608 - our own texts
                f" cross join lateral {call} as o where checked.is_call)"
            )
    if "from recent_runs_of_job as" in text:
        relations.append(_RUNS_OF_EACH_JOB)
    text = _once(text, relations)
    return f"with {', '.join(relations)}\n{text}".encode()


@contextmanager
def connected(configuration: Configuration) -> Iterator[Connection]:
    """Yield a connection to the target's database, with the checks and their queries loaded while it was made.

    Both take about as long, and whoever makes a connection mostly waits. Raises what connection.connect() raises.
    """

    def load() -> None:
        for id, check in catalogue.all_checks().items():
            if check.look is None:
                query(id, check, configuration)

    with ExitStack() as stack:
        with beside(load):
            connection = stack.enter_context(connect(configuration.target.database_url))
        yield connection


def _once(text: str, relations: list[str]) -> str:
    """Return the text with what it reads more than once as relations, which are added to `relations`."""
    for read, relation in _READ_ONCE.items():
        found = _replaced(text, read, relation, ("from ", "join "))
        if found is not None:
            text = found
            relations.append(f"{relation} as materialized (select o.* from {read} as o)")  # noqa: S608 - our own texts
    for call, relation in _ANSWERED_ONCE.items():
        # in lists of names quotes, commas or braces stand before one
        found = _replaced(text, call, f"(select o.answer from {relation} as o)", (" ", "\n", "("))  # noqa: S608 - our own texts
        if found is not None:
            text = found
            relations.append(f"{relation} (answer) as materialized (select {call})")
    return text


def _replaced(text: str, name: str, replacement: str, before: tuple[str, ...]) -> str | None:
    """Return a text with a name replaced where it stands behind one of `before`; None where that is once at most."""
    # many times faster than a regular expression on a text of this size
    first, *others = text.split(name)
    pieces, count = [first], 0
    for piece in others:
        is_meant = pieces[-1].endswith(before) and not piece[:1].isalnum() and piece[:1] != "_"
        count += is_meant
        pieces += [replacement if is_meant else name, piece]
    return "".join(pieces) if count > 1 else None


def all_jobs() -> str:
    """Return the query of the chosen jobs themselves."""
    facts = "to_jsonb(c)"
    return f"select {_text(JOBS)} as id, c.name as job, '' as status, '' as object, '' as detail, {facts} as facts from chosen_jobs as c"  # noqa: S608, E501


def job_of(name: str, facts: Mapping[str, object]) -> Job:
    """Return a job as all_jobs() answers it."""
    kinds = frozenset(kind for kind in _KINDS if facts[f"is_{kind}"])
    number = facts["id"]
    return Job(number if isinstance(number, int) else None, name, bool(facts["is_registered"]), kinds)


def query(id: str, check: Check, configuration: Configuration) -> str:
    """Return a check's query with the columns that all share."""
    text = catalogue.query(id) if check.question is None else check.question.text(configuration)
    for call, relation in _SHARED.items():
        shared = f"(select s.* from {relation} as s where s.job = checked.name)"  # noqa: S608 - our own names
        text = text.replace(call, shared)
    text = text.replace(_RUNS, _RUNS_OF_THE_JOB if check.speaks_of_jobs else _RUNS_OF_ALL)
    columns = (
        "f.status, f.object, f.detail, f.facts"
        if check.question is None
        else "'' as status, '' as object, '' as detail, f.fact as facts"
    )
    if not check.speaks_of_jobs:
        return f"select {_text(id)} as id, null as job, {columns} from (\n{text}\n) as f"  # noqa: S608 - our own files
    return (
        f"select {_text(id)} as id, checked.name as job, {columns} from chosen_jobs as checked"  # noqa: S608 - our own files
        f" cross join lateral (\n{text}\n) as f where checked.is_{check.scope}"
    )


def runnable(id: str, check: Check) -> str:
    """Return a check's query as a person can run it: on all registered jobs where it speaks of jobs."""
    text = catalogue.query(id).strip()
    for kind, condition in _KINDS.items():
        text = text.replace(f"checked.is_{kind}", f"({condition.replace('j.', 'checked.')})")
    if not check.speaks_of_jobs:
        return re.sub(r"\bfrom chosen_jobs\b", "from autosync.job", text)
    condition = _KINDS[check.scope].replace("j.", "checked.")
    where = f"checked.name <> {_text(HOUSEKEEPING_JOB)}" + ("" if condition == "true" else f" and ({condition})")
    return (
        "select checked.name as job, f.*\n"
        f"from autosync.job as checked\ncross join lateral (\n{text}\n) as f\nwhere {where}"
    )


def page(id: str) -> str:
    """Return a check's page with the text of its query in place of the link to it."""
    text, check = resources.read(f"docs/checks/{id}.md"), catalogue.find(id)
    if not check.has_query:
        return text
    head, evidence, rest = text.partition("\n## Evidence\n")
    before, heading, after = rest.partition("\n## ")
    before = before.replace(f"[sql/checks/{id}.sql](../../sql/checks/{id}.sql)", "The query below")
    return f"{head}{evidence}{before}\n```sql\n{runnable(id, check)}\n```\n{heading}{after}"


def _text(value: str) -> str:
    return sql.Literal(value).as_string()
