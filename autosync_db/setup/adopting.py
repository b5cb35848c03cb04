"""Take over a cron job that somebody made: as the settings say, with its secrets, and only once a call has succeeded.

Until then its text runs as before; it is kept, and `release` and a rollback give it back.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from uuid import UUID, uuid4

import psycopg

from autosync_db import cron
from autosync_db.config import GUIDE_JOB, Configuration, JobSettings, ShortJob
from autosync_db.config.jobs import resolved
from autosync_db.connection import Connection, connect, is_broken, value
from autosync_db.credentials import lease, store
from autosync_db.errors import CheckFailedError, ConflictError, MigrationError, UnreachableError, UsageError, unknown
from autosync_db.jobs import calls, columns, found, importing, kept_text, registry
from autosync_db.jobs.calls import Invocation
from autosync_db.jobs.found import FoundJob
from autosync_db.jobs.importing import Imported
from autosync_db.jobs.kept_text import KeptText
from autosync_db.jobs.texts.sources import Source
from autosync_db.jobs.texts.sql_values import Origin
from autosync_db.progress import Reporter, Step
from autosync_db.schema import preflight
from autosync_db.secret import Secret
from autosync_db.setup import taken_secrets, unproven
from autosync_db.setup.unproven import Before

OBJECT = "cron job {}"  # the name of what is kept in autosync.adopted
# Takes the lock of a cron job's row, which few roles may lock themselves: who changes the job meanwhile waits. The
# database is the one that it has; what a user changes is not written, or a change of a moment ago would be undone.
_LOCK = """
    select cron.alter_job(job_id := c.jobid, database := current_database()::text)
    from cron.job as c
    where c.jobid = %s
"""
_NOW = "select c.schedule, c.command, c.active from cron.job as c where c.jobid = %s"
# the text, which is kept, would be lost with what is taken back
_IS_HANDED_OVER = "select exists (select from autosync.adopted as a where a.object = %s and a.id > %s)"


@dataclass(frozen=True, slots=True)
class Adoption:
    """What taking a cron job over means: its settings, the secrets that are stored for it, and what is kept of it."""

    job: FoundJob
    settings: JobSettings
    takes: Mapping[str, Source]  # secrets that are not in the store yet
    text: KeptText
    notes: tuple[str, ...]
    seen: store.Seen  # of what is taken; somebody may store or rotate it before the user has agreed

    @property
    def steps(self) -> list[str]:
        """Return what is done, in words."""
        wanted = self.settings
        does = wanted.function or wanted.url or "its own text"
        said = [f"the secret {name} is taken from {taken_secrets.described(one)}" for name, one in self.takes.items()]
        if wanted.calls:
            said.append(f"a real call proves it: {wanted.method} {does}; else everything stays as it is")
        said.append(f"then the job {wanted.name} ({wanted.schedule}) runs {does} under our watch")
        said += self.notes
        if self.text.lost and self.text.is_whole:
            said.append(
                "its text is kept without the secret in it, which it reads from the store when it is given back"
            )
        elif self.text.fails is not None:
            said.append(
                "its text is kept without the secret in it, and would not run so: it comes back inactive, for you to"
                f" complete ({self.text.fails})"
            )
        elif not self.text.is_whole:
            said.append("its text is kept with *** in place of a secret: it comes back inactive, for you to complete")
        else:
            said.append("its text is kept as it is")
        return said


def foresee(
    connection: Connection,
    configuration: Configuration,
    name: str,
    cron_id: int | None = None,
    *,
    given: Mapping[str, Secret] | None = None,
    prefers_text: bool = False,
) -> Adoption | None:
    """Return what adopt() would do; None when the job is ours already. Reads only, at any revision.

    `given` secrets come before those that are stored, which come before those of the text unless it `prefers_text`.

    Raises UsageError for a job that is not there, that the settings do not take over or whose schedule pg_cron does not
    run, MigrationError that says what is missing.
    """
    job = _find(connection, name, cron_id)
    if job is None:
        return None
    if job.role != str(value(connection, "select current_user")):
        raise MigrationError(f"the cron job {name!r} belongs to the role {job.role!r}", hint=f"connect as {job.role}")
    if job.database != str(value(connection, "select current_database()")):
        raise MigrationError(f"the cron job {name!r} runs in the database {job.database!r}", hint="connect to that one")
    _require_only_one(connection, job, name)
    url = configuration.target.project_url or store.known_project_url(connection)
    understood = importing.understand(connection, job, url)
    settings = _settings(configuration, name, understood)
    if settings.schedule is not None:
        cron.check(settings.schedule, preflight.pg_cron_version(connection))
    takes = taken_secrets.to_store(
        connection,
        settings,
        understood,
        given or {},
        prefers_text=prefers_text,
        address=configuration.target.project_url,
    )
    facts, stored = found.DatabaseFacts(connection, url), found.stored_fingerprints(connection)
    pasted = taken_secrets.pasted(understood, takes, facts, stored)
    text = kept_text.checked(connection, kept_text.kept(job.command, pasted.named, pasted.homeless))
    notes = [
        f"it sends the stored {secret}, which is another than the one that its text shows"
        for secret in taken_secrets.replaced(settings, understood, takes, facts, stored)
    ]
    if takes and "secrets" in configuration.settings.model_fields_set:
        there, wanted = store.store_of(connection), configuration.settings.secrets.store
        if there != wanted:
            notes.append(f"its secrets are stored in the {there}, where all are; setup moves them to the {wanted}")
    return Adoption(job, settings, takes, text, (*_notes(understood), *notes), store.look(connection, takes))


def adopt(configuration: Configuration, adoption: Adoption, reporter: Reporter) -> list[Invocation]:
    """Take the job over and return the answers that proved it; none for a job that makes no call or is adopted already.

    The database must be at head. Raises MigrationError when the call does not succeed, ConflictError when the job is no
    longer as it was when the user agreed; everything is then as it was, as after any other failure and an interrupt.
    """
    settings, token = adoption.settings, uuid4()
    answers: list[Invocation] = []
    with connect(configuration.target.database_url) as connection:
        if adoption.job.name == settings.name and found.standing(connection, settings.name) == "adopted":
            # by the migration that came before this, or by somebody else
            reporter.done(Step("job", f"{settings.name} is taken over already", False))
            return answers
        before = unproven.look(connection, settings.name)
        with _undone(configuration, adoption, before, token):
            # what no call proves is never half done
            with nullcontext() if settings.calls else connection.transaction():
                begun = _prepare(connection, configuration, adoption, before, token)
                if adoption.takes:
                    reporter.done(Step("secrets", f"stored {' and '.join(adoption.takes)}", bool(begun)))
                if settings.calls:
                    answers = _prove(connection, adoption, reporter, token if begun else None)
                _hand_over(connection, configuration, adoption, before, token)
            if begun:
                lease.finish(connection, token)
    reporter.done(Step("job", f"{settings.name} ({settings.schedule}) adopted", True))
    return answers


def _hand_over(
    connection: Connection, configuration: Configuration, adoption: Adoption, before: Before, token: UUID
) -> None:
    """Let the job be as it was proven from now on, and its text be kept."""
    name = adoption.settings.name
    with registry.change(connection):
        if not unproven.is_held(connection, name, token):
            raise _disturbed(name)
        unproven.register(connection, columns.of(adoption.settings, configuration.settings.retention) | before.pause)
        # whoever keeps the text of the same job at the same time would not see this row
        connection.execute("lock table autosync.adopted in share row exclusive mode")
        _require_as_seen(connection, adoption, locks=True)
        connection.execute("delete from autosync.adopted as a where a.object = %s", [_object(adoption)])
        undo = kept_text.undo(adoption.job, adoption.text, name).as_string(connection)
        connection.execute(
            "insert into autosync.adopted (revision, step, object, undo) values ('0005', 120, %s, %s)",
            [_object(adoption), undo],
        )
        if adoption.job.name != name:
            connection.execute("select cron.unschedule(%s::bigint)", [adoption.job.id])
        _sync(connection, name)


def _sync(connection: Connection, name: str) -> None:
    """Let pg_cron have the job as registered, and housekeeping come as often as it must now."""
    connection.execute("select autosync.sync_job(%s)", [name])
    registry.keep_house_in_step(connection)


def _require_as_seen(connection: Connection, adoption: Adoption, *, locks: bool = False) -> None:
    """Return if the cron job still says what the user agreed to. Raises ConflictError.

    Where it `locks`, nobody changes it until the transaction ends.
    """
    job, name = adoption.job, adoption.settings.name
    try:
        if locks:
            connection.execute(_LOCK, [job.id])
        now = connection.execute(_NOW, [job.id]).fetchone()
    except psycopg.errors.InternalError_:
        now = None  # unscheduled while we waited for the lock
    if now == (job.schedule, job.command, job.active):
        return
    became = "unscheduled" if now is None else "changed"
    raise ConflictError(
        f"the cron job {job.name or job.id} was {became} in the meantime; nothing else was changed",
        hint="see what is there with: autosync-db jobs import"
        if now is None
        else "look at what it says now, then take that over: autosync-db jobs adopt "
        + (name if job.name == name else f"{name} --from {job.id}"),
    )


def _find(connection: Connection, name: str, cron_id: int | None) -> FoundJob | None:
    me = str(value(connection, "select current_user"))
    # several roles may have a job of a name: ours can be taken over
    there = sorted(found.jobs(connection), key=lambda job: job.role != me)
    if not unproven.is_free(connection, name):
        if cron_id is not None and any(job.id == cron_id and job.name != name for job in there):
            raise UsageError(
                f"{name} is a job of autosync-db already, and the cron job {cron_id} is another one",
                hint=f"if it makes the same calls, remove it: select cron.unschedule({cron_id})",
            )
        return None
    if found.standing(connection, name) == "ours":
        # for an unfinished adoption, by a setup since
        there = [job for job in there if job.name != name]
    for job in there:
        if job.id == cron_id or (cron_id is None and job.name == name):
            return job
    hint = "see what is there with: autosync-db jobs import"
    if cron_id is not None:
        raise UsageError(f"there is no cron job {cron_id}", hint=hint)
    raise unknown("cron job to take over called", name, [job.name for job in there if job.name], hint=hint)


def _require_only_one(connection: Connection, job: FoundJob, name: str) -> None:
    """Return unless another role has a job of this name: here a job is known by its name. Raises MigrationError."""
    for other in found.jobs(connection):
        if other.name == name and other.role != job.role:
            raise MigrationError(
                f"the role {other.role!r} has a cron job {name!r}, too, and jobs are known by their names here",
                hint="give the table in autosync.toml another name NAME, then:"
                f" autosync-db jobs adopt NAME --from {job.id}",
            )


def _settings(configuration: Configuration, name: str, understood: Imported) -> JobSettings:
    """Return the settings of the job: the file's, or, where that names none, what the text of the guide's job says."""
    settings = configuration.settings
    is_named = settings.names_jobs and name in settings.jobs
    file = settings.jobs.get(name) if is_named or name == GUIDE_JOB else None
    if file is None:
        raise UsageError(
            f"the settings have no [jobs.{name}]",
            hint="add it from its text: autosync-db jobs import --write",
        )
    if file.kind == "watch":
        raise UsageError(
            f"[jobs.{name}] is only watched, by the settings", hint="set in its table what it calls or runs"
        )
    if is_named and (settings.job is None or settings.job.name != name):
        return file
    # the short form names what is to be otherwise than it is
    chosen = {key: getattr(file, key) for key in file.model_fields_set if key in JobSettings.model_fields}
    translated = understood.translation
    if translated is None or translated.reason is not None or "sql" in translated.table:
        if "function" not in chosen:
            reason = understood.reason or "its text makes no call"
            raise MigrationError(
                f"the cron job {name} cannot be taken over: {reason}; nothing was changed",
                hint=f"say in [job] what it calls, then: autosync-db jobs adopt {name};"
                f" or leave it alone: [jobs.{name}] watch = true",
            )
        return file
    table = understood.table or translated.table
    if "url" in table:
        raise MigrationError(
            f"the cron job {name} cannot be taken over: it calls {table['url']}, no function of this project",
            hint="choose the project it belongs to, or add a table for it: autosync-db jobs import --write",
        )
    made = resolved(ShortJob.model_validate({"name": name, **table}), name)
    return made.model_copy(update={key: one for key, one in chosen.items() if key != "name"})


def _notes(understood: Imported) -> tuple[str, ...]:
    """Return what is lost in the translation; how to take the job over needs not be said any more."""
    return understood.translation.notes if understood.translation else understood.notes


def _prepare(
    connection: Connection, configuration: Configuration, adoption: Adoption, before: Before, token: UUID
) -> bool:
    """Store the secrets and register the job, paused until it is proven; return whether any secret was stored."""
    name = adoption.settings.name
    pasted = {name: one for name, one in adoption.takes.items() if isinstance(one, Secret)}
    read = {name: found.query_of(one) for name, one in adoption.takes.items() if isinstance(one, Origin)}
    row = columns.of(adoption.settings, configuration.settings.retention)
    with connection.transaction():
        begun = lease.begin(connection, pasted, token=token, read=read, seen=adoption.seen) if adoption.takes else None
        with registry.change(connection):
            if not unproven.is_free(connection, name):
                raise ConflictError(
                    f"{name} became a job of autosync-db in the meantime; nothing was changed",
                    hint=f"see what it is with: autosync-db jobs show {name}",
                )
            unproven.begin(connection, row, before, token)
            _require_as_seen(connection, adoption)
    return begun is not None


def _prove(connection: Connection, adoption: Adoption, reporter: Reporter, token: UUID | None) -> list[Invocation]:
    settings = adoption.settings
    keep_alive = lease.keeper(connection, token) if token else None

    def waiting(text: str) -> None:
        if keep_alive:
            keep_alive()
        reporter.doing(text)

    try:
        _, answers = calls.trigger_and_wait(connection, settings.name, settings.patience, waiting)
        calls.require_success(answers)
    except CheckFailedError as error:
        raise MigrationError(
            f"the cron job {settings.name} cannot be taken over: {error.message}; everything is as it was",
            hint="correct what the answer says, in the settings or in the function, then run it again",
        ) from None
    except UsageError:
        raise _disturbed(settings.name) from None  # its row is gone
    reporter.done(Step("call", "; ".join(sorted({answer.account for answer in answers})), True))
    return answers


def _disturbed(name: str) -> ConflictError:
    return ConflictError(
        f"another command changed the job {name} in the meantime; nothing else was changed",
        hint="see what is there now with: autosync-db jobs list",
    )


@contextmanager
def _undone(configuration: Configuration, adoption: Adoption, before: Before, token: UUID) -> Iterator[None]:
    """Take everything back when the block is left early: what the job's text does has not stopped meanwhile.

    Where the job was handed over already, and only the answer was lost, it stays so.
    """
    try:
        yield
    except BaseException as cause:
        name = adoption.settings.name
        try:
            # the other connection may be in the middle of a statement
            with connect(configuration.target.database_url) as connection:
                is_done = _is_handed_over_or_taken_back(connection, adoption, before, token)
        except UnreachableError as failure:
            raise UnreachableError(
                f"interrupted, and it is not known whether {name} was taken over: {failure.message}",
                hint=f"it runs either way; when the server is up again, run: autosync-db jobs adopt {name}",
            ) from None
        if is_done and is_broken(cause):
            raise UnreachableError(
                f"the connection to the database broke at the very end; {name} is taken over anyway",
                hint=f"see it with: autosync-db jobs show {name}",
            ) from cause
        raise


def _is_handed_over_or_taken_back(connection: Connection, adoption: Adoption, before: Before, token: UUID) -> bool:
    """Return whether the job was handed over already; else take back what was prepared."""
    name = adoption.settings.name
    with store.changing(connection):
        # the session that was to hand it over may still be about to
        is_held = unproven.is_held(connection, name, token)
        if value(connection, _IS_HANDED_OVER, [_object(adoption), before.newest_kept]):
            connection.execute("select autosync.finish_rotation(%s)", [token])
            return True
        connection.execute("select autosync.put_back_rotation(%s)", [token])
        # else nothing was prepared, or it is somebody else's by now
        if is_held:
            unproven.take_back(connection, name, before, adoption.job.id)
    return False


def _object(adoption: Adoption) -> str:
    return OBJECT.format(adoption.settings.name)
