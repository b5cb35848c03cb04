"""What a check is, what a repair of it is, and the report on all of them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Literal

from psycopg import sql

from autosync_db.config import Configuration
from autosync_db.connection import Connection
from autosync_db.credentials.known import KnownKey
from autosync_db.errors import ExitCode
from autosync_db.health import precedence
from autosync_db.health.findings import Evidence as Evidence
from autosync_db.health.findings import Row as Row
from autosync_db.health.findings import Status as Status
from autosync_db.health.findings import Verdict as Verdict
from autosync_db.health.findings import judge_rows as judge_rows
from autosync_db.health.work import Work
from autosync_db.remedies import ANYWHERE, PROGRAM, Aim, Kind, filled, kind_of

Parameters = Sequence[Any] | Mapping[str, Any]

Layer = Literal[
    "server", "cron", "job", "net", "function", "secrets", "schedules", "security", "retention", "migrations",
    "neighbours",
]  # fmt: skip


# what a check speaks of: the database, or each chosen job that is of this kind
Scope = Literal["database", "job", "scheduled", "call", "function", "draining"]

Judge = Callable[[list[Row], str], Verdict]
Look = Callable[[Connection, Configuration, str | None], list[Row]]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the database said to a check's question, and between which moments of this machine's clock.

    `values` are the rows of the question's query, decoded from JSON; those of `job` where the check speaks of jobs.
    `connection` is for the rare second question, in the same read-only transaction.
    """

    job: str | None
    values: list[Any]
    asked_at: datetime
    answered_at: datetime
    connection: Connection
    configuration: Configuration


@dataclass(frozen=True, slots=True)
class Question:
    """What a check must know to judge in Python: a query of one column `fact` of JSON, and who reads its answer.

    The query shares its statement with those of other checks; `read` may raise AutosyncError or a database error.
    Where the query depends on the settings, `query_of` writes it, and `query` only names what it reads.
    """

    query: Callable[[], str]
    read: Callable[[Answer], list[Row]]
    query_of: Callable[[Configuration], str] | None = None

    def text(self, configuration: Configuration) -> str:
        """Return the query."""
        return self.query_of(configuration) if self.query_of else self.query()


@dataclass(frozen=True, slots=True)
class Repair:
    """Statements that end a fault, in one transaction, and what they do in one plain sentence.

    A `destructive` one deletes rows, or drops or overwrites something that is not ours: it needs consent by name.
    With `in_batches` the statements run again and again, each time in a transaction of its own, until the last one
    answers 0. They act as the owner of the schema autosync, unless not `as_owner`. No statement holds a secret.
    """

    sentence: str
    statements: Sequence[sql.Composable]
    destructive: bool = False
    in_batches: bool = False
    as_owner: bool = True


@dataclass(frozen=True, slots=True)
class Restoration:
    """Secrets to put back from where the target has them, and that in one plain sentence without any value.

    A real call proves them; when it is refused, what was there before is put back. `seen` has their names, and what was
    stored when this was drafted: nobody's change since is overwritten.
    """

    sentence: str
    seen: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why something is not repaired, and what can be done instead."""

    reason: str
    hint: str


class Scene:
    """What a repair is drafted from: the findings, and whom this session may act as. Reads only."""

    def __init__(
        self,
        connection: Connection,
        configuration: Configuration,
        verdict: Verdict,
        job: str | None = None,
        known: KnownKey | None = None,
    ) -> None:
        self.connection = connection
        self.known = known
        self.configuration = configuration
        self.verdict = verdict
        self._job = job

    @property
    def job(self) -> str:
        """Return the name of the job that the findings speak of. Only for checks that speak of jobs."""
        assert self._job is not None
        return self._job

    @property
    def findings(self) -> list[dict[str, Any]]:
        """Return the facts of each finding."""
        return [item.facts for item in self.verdict.evidence]

    @property
    def reasons(self) -> set[str]:
        """Return the kinds of the findings, where the check has several."""
        return {facts["reason"] for facts in self.findings if "reason" in facts}

    def named(self, key: str) -> list[Any]:
        """Return the values that the findings have under a key, in their order and each once."""
        return list(dict.fromkeys(facts[key] for facts in self.findings if facts.get(key) is not None))

    @cached_property
    def me(self) -> str:
        """Return the role that this session works as."""
        return str(self.value("select current_user"))

    @cached_property
    def is_superuser(self) -> bool:
        """Return whether this session's role is a superuser."""
        return bool(self.value("select rolsuper from pg_catalog.pg_roles where rolname = current_user"))

    @cached_property
    def owner(self) -> str | None:
        """Return the role that owns the schema autosync; None before the first migration."""
        name = self.value("select pg_get_userbyid(nspowner) from pg_catalog.pg_namespace where nspname = 'autosync'")
        return None if name is None else str(name)

    @property
    def acts_as_owner(self) -> bool:
        """Return whether a repair of things that are not ours is made as the owner: a superuser may do more as such."""
        return not self.is_superuser

    def cron_jobs(self, numbers: list[int]) -> list[tuple[int, str | None, str, bool]]:
        """Return number, name and role of those of these cron jobs that exist, and whether they are ours."""
        rows = self.rows(
            "select c.jobid, c.jobname::text, c.username,"
            " exists (select from autosync.job as j where j.name = c.jobname and not j.watch)"
            " from cron.job as c where c.jobid = any(%s::bigint[]) order by c.jobid",
            [numbers],
        )
        return [(number, name, role, is_registered) for number, name, role, is_registered in rows]

    def may_act_as(self, role: str) -> bool:
        """Return whether `set role` to this role is allowed."""
        kind = "set" if self.connection.info.server_version >= 160000 else "member"
        return role == self.me or bool(
            self.value(
                "select r.rolsuper or exists ("
                "select from pg_catalog.pg_roles as o where o.rolname = %s and pg_has_role(r.oid, o.oid, %s))"
                " from pg_catalog.pg_roles as r where r.rolname = current_user",
                [role, kind],
            )
        )

    def rows(self, query: str, parameters: Parameters = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        return self.connection.execute(query, parameters or None).fetchall()

    def value(self, query: str, parameters: Parameters = ()) -> Any:
        """Return the first value of a query, None where there is none."""
        found = self.rows(query, parameters)
        return found[0][0] if found else None


Draft = Callable[[Scene], Iterable[Repair | Restoration | Refusal]]
# of the facts of its findings: which of a check's remedies fits
Tell = Callable[[Sequence[Mapping[str, Any]]], str]


@dataclass(frozen=True, slots=True)
class Check:
    """One claim about the healthy world.

    `causes` are the checks whose failure explains a failure of this one; `needs` are those without which it
    cannot look or has nothing to look at, which explains only an `unknown`. `overlaps` are checks that also speak of
    single objects: their failure explains this one's if it names every object that this one names. `remedy` is a
    command or statement that can be run as it is, or ByYou; in it `{job}` and `{KEY}` stand for what the verdict and
    its findings name. What a `notable` check has to say is shown even when it is healthy.
    `judge` turns the findings into a verdict; `remedies` are those for findings with a `reason` in their facts, or for
    what `tell` makes of all facts.

    A check whose `scope` is not the database speaks of jobs: its query is asked once for each chosen job of that kind,
    which it knows as `checked.name` (health.composer). Its failure is explained by failures of the same job or of none.

    The findings are the rows of sql/checks/<id>.sql. A check that compares the database with something that SQL cannot
    see has a `question` instead, or, when no query can know what to ask, a `look`, which costs time of its own. Both
    work in the same read-only transaction, and an error in them means `unknown`. One that `probes` makes calls to the
    function itself: it is run only on demand. `repair` drafts what ends a failure; it reads only, and may raise
    AutosyncError or a database error.

    An `optional` check asks a service that no call needs: that it could not look, as in an outage of that service, is
    said as `unknown` and weighs as a warning does.
    """

    layer: Layer
    claim: str
    remedy: str | None
    remedies: Mapping[str, str] = field(default_factory=dict, hash=False)
    tell: Tell | None = None
    scope: Scope = "database"
    needs: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()
    overlaps: tuple[str, ...] = ()
    notable: bool = False
    optional: bool = False
    judge: Judge = field(default=judge_rows)
    question: Question | None = None
    look: Look | None = None
    probes: bool = False
    repair: Draft | None = None

    @property
    def repairable(self) -> bool:
        """Whether `repair` can do something about a failure."""
        return self.repair is not None

    @property
    def speaks_of_jobs(self) -> bool:
        """Whether there is a verdict for each job."""
        return self.scope != "database"

    def command(self, id: str) -> str:
        """Return the command that ends a failure, or where that depends on the findings, the one that prints how."""
        remedy = self.remedy or ""
        is_settled = not self.remedies and "{" not in remedy and remedy.startswith(f"{PROGRAM} ")
        if self.repairable:
            return f"{PROGRAM} repair {id}"
        return remedy if is_settled else f"{PROGRAM} verify --only {id}"

    @property
    def has_query(self) -> bool:
        """Whether sql/checks/<id>.sql holds what this check looks at."""
        return self.question is None and self.look is None


@dataclass(frozen=True, slots=True)
class CheckResult:
    """A check's verdict after the causal graph was applied, on one job where the check speaks of jobs."""

    id: str
    check: Check
    verdict: Verdict
    blocked_by: tuple[str, ...] = ()
    job: str | None = None
    aim: Aim = ANYWHERE

    @property
    def reason(self) -> str:
        """Return which of the remedies fits the findings; empty for the check's own."""
        if self.check.tell and self.verdict.evidence:
            return self.check.tell([item.facts for item in self.verdict.evidence])
        reasons = (item.facts.get("reason") for item in self.verdict.evidence)
        return str(next((reason for reason in reasons if reason in self.check.remedies), ""))

    @property
    def remedy(self) -> str | None:
        """Return the remedy for the reason of the findings, or else the check's own, as it can be pasted."""
        written = self._written
        if written is None:
            return None
        findings = [item.facts for item in self.verdict.evidence]
        finding = next((facts for facts in findings if facts.get("reason") == self.reason), (findings or [{}])[0])
        return self.aim.at(filled(written, {**finding, "job": self.job}))

    @property
    def remedy_kind(self) -> Kind | None:
        """Return who runs the remedy."""
        return None if self._written is None else kind_of(self._written)

    @property
    def _written(self) -> str | None:
        return self.check.remedies[self.reason] if self.reason else self.check.remedy

    @property
    def status(self) -> Status:
        """Return the status to report: blocked when another failing check explains this one."""
        return Status.BLOCKED if self.blocked_by else self.verdict.status

    @property
    def weight(self) -> Status:
        """Return the status as it counts for the whole."""
        is_light = self.check.optional and self.status is Status.UNKNOWN
        return Status.WARNING if is_light else self.status


@dataclass(frozen=True, slots=True)
class Report:
    """The verdicts on one target at one moment, and what explains the failing ones.

    `jobs` are the chosen ones. `results` has a verdict of each check that speaks of the database, and one for each job
    of each check that speaks of jobs; a check that speaks of a kind of job that was not chosen has none. `work` is what
    the jobs did, where that was asked for and the server was reached.
    """

    target: str
    jobs: tuple[str, ...]
    checked_at: datetime
    results: tuple[CheckResult, ...]
    aim: Aim = ANYWHERE
    work: Work | None = None

    @property
    def subject(self) -> str:
        """Return what is reported on: the job's name, or the number of jobs."""
        return self.jobs[0] if len(self.jobs) == 1 else f"{len(self.jobs)} jobs"

    def of_job(self, result: CheckResult) -> str:
        """Return the words behind a result's id that name its job, where there are several."""
        return f" ({result.job})" if result.job and len(self.jobs) > 1 else ""

    @property
    def rows(self) -> tuple[CheckResult, ...]:
        """Return a row per check and job that is not ok; a check that is ok for all of its jobs has one, of no job."""
        rows: list[CheckResult] = []
        for id, found in self.by_check.items():
            failing = [result for result in found if result.status is not Status.OK]
            rows += failing or [_all_ok(id, found)]
        return tuple(rows)

    @property
    def by_check(self) -> dict[str, list[CheckResult]]:
        """Return the results of each check, in order."""
        found: dict[str, list[CheckResult]] = {}
        for result in self.results:
            found.setdefault(result.id, []).append(result)
        return found

    @property
    def healthy(self) -> tuple[CheckResult, ...]:
        """Return the rows of the checks that are ok for all of their jobs."""
        return tuple(row for row in self.rows if row.status is Status.OK)

    @property
    def root_causes(self) -> tuple[CheckResult, ...]:
        """Return the failing checks that no other failing check explains: most severe first, then along the chain."""
        roots = [result for result in self.results if result.status not in {Status.OK, Status.BLOCKED}]
        return tuple(sorted(roots, key=lambda one: (-one.weight.severity, *precedence.place(one.id, one.check.layer))))

    @property
    def notes(self) -> tuple[CheckResult, ...]:
        """Return the healthy checks that have something to say all the same, such as a pause."""
        return tuple(
            result
            for result in self.results
            if result.check.notable and result.status is Status.OK and result.verdict.evidence
        )

    @property
    def status(self) -> Status:
        """Return the worst of all verdicts, as they weigh."""
        roots = self.root_causes
        return roots[0].weight if roots else Status.OK

    def exit_code(self, *, strict: bool = False) -> ExitCode:
        """Return what a process that printed this ends with: only proven health is 0; `strict` fails warnings too."""
        failing = {Status.CRITICAL, Status.UNKNOWN} | ({Status.WARNING} if strict else set())
        return ExitCode.CHECK_FAILED if self.status in failing else ExitCode.OK


def _all_ok(id: str, found: list[CheckResult]) -> CheckResult:
    first = found[0]
    evidence = tuple(item for result in found for item in result.verdict.evidence)
    more = f" (and {len(found) - 1} more jobs)" if len(found) > 1 else ""
    return CheckResult(id, first.check, Verdict(Status.OK, first.verdict.summary + more, evidence))
