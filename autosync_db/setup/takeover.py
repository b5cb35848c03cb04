"""A migration on a database whose guide's job works already: the job is taken over, or all stays as it was.

What the revisions can serve from public.pg_cron_secrets they take over themselves. Any other job of that name runs on
with its own text until its secrets are stored and a call has succeeded.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from autosync_db.config import GUIDE_JOB, Configuration
from autosync_db.connection import Connection, connect, exists, rows
from autosync_db.errors import AutosyncError
from autosync_db.jobs import binding
from autosync_db.progress import Reporter, Step
from autosync_db.schema import revisions, up_to_date
from autosync_db.schema.revisions import MigrationResult
from autosync_db.secret import Secret

# what a migration with nothing to do needs none of is imported where it is used: every run of CI makes one
if TYPE_CHECKING:
    from autosync_db.credentials.store import StoredSecret
    from autosync_db.schema.inventory import Note
    from autosync_db.setup.adopting import Adoption

_TAKES_OVER = "0005"  # the revision from which on jobs call dispatch()
_LEFT = f"the cron job {GUIDE_JOB} is left as it is"


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What becomes of the guide's job after the revisions: it is taken over so, or it stands in their way."""

    adoption: "Adoption | None" = None
    obstacle: AutosyncError | None = None

    @property
    def notes(self) -> "list[Note]":
        """Return it as a migration's plan shows it."""
        from autosync_db.schema.inventory import Note

        name = f"cron job {GUIDE_JOB}"
        if self.obstacle is not None:
            return [Note("refuse", name, f"{self.obstacle.message} ({self.obstacle.hint})")]
        return [Note("replace", name, step) for step in self.adoption.steps] if self.adoption else []


def foresee(
    configuration: Configuration, revision: str = "head", given: Mapping[str, Secret] | None = None
) -> Foreseen:
    """Return what a migration to `revision` would do with the guide's job; `given` secrets are taken. Reads only."""
    from autosync_db.setup import adopting

    with connect(configuration.target.database_url) as connection:
        # a copy takes nothing over: the call that proves it would go to the project that it was copied from
        if not _is_waiting(connection, revision) or binding.inherited(connection, configuration.target):
            return Foreseen()
        try:
            return Foreseen(
                adopting.foresee(connection, configuration, GUIDE_JOB, given=given or {}, prefers_text=True)
            )
        except AutosyncError as error:
            return Foreseen(obstacle=error)


def require_possible(configuration: Configuration, given: Mapping[str, Secret]) -> None:
    """Return unless the guide's job stands in the way of a migration. Raises what says why."""
    if (obstacle := foresee(configuration, given=given).obstacle) is not None:
        raise obstacle


def expected(connection: Connection, configuration: Configuration) -> "dict[str, StoredSecret]":
    """Return the secrets that a migration will store, from where the guide's job has them."""
    from autosync_db.credentials.store import StoredSecret
    from autosync_db.setup import adopting

    if not _is_waiting(connection, "head"):
        return {}
    try:
        adoption = adopting.foresee(connection, configuration, GUIDE_JOB, prefers_text=True)
    except AutosyncError:
        return {}  # what is given may be enough
    now = datetime.now(UTC)
    return {name: StoredSecret(name, "table", "other", "", now, now) for name in (adoption.takes if adoption else {})}


def upgrade(
    configuration: Configuration,
    revision: str = "head",
    *,
    reporter: Reporter,
    given: Mapping[str, Secret] | None = None,
    begins: Callable[[Connection], None] | None = None,
    at_end: Callable[[Connection], None] = lambda _: None,
) -> MigrationResult:
    """Migrate as schema.migrate.upgrade() does, and take the guide's job over where there is one that works.

    `at_end` gets a connection to the migrated database; a migration with nothing to do makes no other. Raises
    MigrationError when it cannot be, or when the call that is to prove it fails; the database is then as before.
    """
    with connect(configuration.target.database_url) as connection:
        unchanged = up_to_date.at(connection, revision, configuration.isolation)
        if unchanged is not None:
            at_end(connection)
            return unchanged
    result = _upgrade(configuration, revision, reporter, given, begins)
    with connect(configuration.target.database_url) as connection:
        at_end(connection)
    return result


def _upgrade(
    configuration: Configuration,
    revision: str,
    reporter: Reporter,
    given: Mapping[str, Secret] | None,
    begins: Callable[[Connection], None] | None,
) -> MigrationResult:
    from autosync_db.schema import migrate  # Alembic and SQLAlchemy take longer than all the rest
    from autosync_db.setup import adopting

    foreseen = foresee(configuration, revision, given)
    if foreseen.obstacle is not None:
        raise foreseen.obstacle
    url = configuration.target.database_url
    result = migrate.upgrade(url, revision, isolation=configuration.isolation, begins=begins, on_retry=reporter.doing)
    if foreseen.adoption is None:
        return result
    try:
        adopting.adopt(configuration, foreseen.adoption, reporter)
    except BaseException:
        # the calls that were to prove it are in the ledger, and nothing else of anybody's
        migrate.downgrade(url, result.before or "base", drop_rows=True)
        raise
    return replace(result, warnings=[one for one in result.warnings if not one.startswith(_LEFT)])


def prepare(configuration: Configuration, reporter: Reporter) -> None:
    """Bring the database to head for a job that is to be taken over, without a job that the settings do not name."""
    with connect(configuration.target.database_url) as connection:
        current = revisions.current(connection)
    if current == revisions.head():
        return
    result = upgrade(configuration, reporter=reporter)
    reporter.done(Step("migrate", f"{result.before or 'empty'} -> {result.after}", True))
    if result.before is None:
        _forget_unused_default(configuration, reporter)


def _forget_unused_default(configuration: Configuration, reporter: Reporter) -> None:
    """Remove the guide's job that a migration has just made, where the settings name others and not this one."""
    settings = configuration.settings
    if not settings.names_jobs or GUIDE_JOB in settings.jobs or GUIDE_JOB in settings.elsewhere:
        return
    from autosync_db.jobs import plan

    with connect(configuration.target.database_url) as connection, connection.transaction():
        if rows(connection, plan.FORGETTING):
            connection.execute(plan.UNSCHEDULING)
            reporter.done(Step("job", f"{GUIDE_JOB} is not in the settings; not made", False))


def _is_waiting(connection: Connection, revision: str) -> bool:
    """Return whether the revisions would leave a job of the guide's name as it is."""
    from autosync_db.schema import adoption as questions

    current = revisions.current(connection)
    if not exists(connection, "cron.job") or (current is not None and current >= _TAKES_OVER):
        return False
    if revision != "head" and revision < _TAKES_OVER:
        return False
    with connection.transaction(force_rollback=True):
        questions.prepare(connection, [_TAKES_OVER])
        return any(not job["is_served"] for job in questions.ask(connection, "job_found"))
