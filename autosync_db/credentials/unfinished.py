"""End a rotation that was interrupted, of either kind: `rotate --resume` and `rotate --abort`."""

from dataclasses import replace

from autosync_db.config import Configuration
from autosync_db.connection import Connection, connect, exists
from autosync_db.credentials import automatic, automatic_secret, hosted, journal, lease, rotation, store
from autosync_db.credentials.hosted import Hosted
from autosync_db.credentials.journal import Entry
from autosync_db.credentials.lease import Replacement
from autosync_db.credentials.rotation import Result
from autosync_db.errors import UsageError
from autosync_db.jobs import binding
from autosync_db.jobs.binding import Inherited
from autosync_db.progress import Reporter
from autosync_db.supabase.management_request import ManagementError

# the revision that makes the tables of both kinds
_MADE_AT = "0006"


def require_none_lost(connection: Connection, *, revision: str) -> None:
    """Return if a rollback to `revision` forgets no rotation. Raises ConflictError that says which, and what to do.

    Only these rows know which key was made at the platform, and what was active and proven before.
    """
    if (revision == "base" or revision < _MADE_AT) and exists(connection, "autosync.key_rotation"):
        automatic.require_none(connection)


def resume(configuration: Configuration, reporter: Reporter) -> Result:
    """Prove what an interrupted rotation activated and finish it, or put back what it kept and raise SecretError.

    An automatic one goes on where it was; for that the API is needed: UsageError without a token.
    """
    if not _is_automatic(configuration):
        return rotation.resume(configuration, reporter=reporter)
    project = hosted.of(configuration)
    entry = _taken_over(configuration)
    if entry is None:
        return Result("nothing")
    with journal.kept_alive(configuration, entry.token):
        _require_same(project, entry)
        if entry.subject == store.CRON_SECRET:
            return automatic_secret.resume(project, entry, reporter)
        return automatic.resume(project, entry, reporter)


def abort(configuration: Configuration) -> Result:
    """Put back what an interrupted rotation kept, without any call.

    What an automatic one made is deleted again. Where the API cannot be asked it stays, and `left_to_do` says so. What
    is proven stays active, and nothing is deleted then; in a copy nothing is, as its project may use it. Where nothing
    is to be put back, a cron secret that waits to be activated is deleted. Raises ConflictError while a rotation is
    under way.
    """
    if not _is_automatic(configuration):
        result = rotation.abort(configuration)
        return _without_next(configuration) if result.outcome == "nothing" else result
    entry = _taken_over(configuration)
    if entry is None:
        return Result("nothing")
    kind = automatic_secret if entry.subject == store.CRON_SECRET else automatic
    with journal.kept_alive(configuration, entry.token):
        if copy := _copy(configuration):
            result = rotation.abort(configuration)
            _forget(configuration, entry)
            note = f"nothing was changed at the platform: this database is {copy.sentence}"
            return replace(result, outcome="put back" if result.changes else "finished", note=note)
        if _is_proven(configuration, entry):
            _forget(configuration, entry)
            return Result("finished", made=entry.made, left_to_do=kind.left_of_old(entry))
        result = replace(rotation.abort(configuration), outcome="undone")
        try:
            project = hosted.of(configuration)
            _require_same(project, entry)
            kind.undo(project, entry)
        except (UsageError, ManagementError) as lacking:
            _forget(configuration, entry)
            return replace(result, made=entry.made, left_to_do=f"{kind.left_of_new(entry)} ({lacking.message})")
    return result


def _without_next(configuration: Configuration) -> Result:
    with connect(configuration.target.database_url) as connection, store.changing(connection):
        lease.stand_alone(connection)
        journal.require_none(connection)
        lease.require_idle(connection)
        waiting = store.look(connection, [store.CRON_SECRET_NEXT])[store.CRON_SECRET_NEXT]
        if waiting is None:
            return Result("nothing")
        store.delete(connection, store.CRON_SECRET_NEXT)
        return Result("abandoned", (Replacement(store.CRON_SECRET_NEXT, waiting, None),))


def _is_automatic(configuration: Configuration) -> bool:
    with connect(configuration.target.database_url) as connection:
        store.require_history(connection)
        return journal.find(connection) is not None


def _taken_over(configuration: Configuration) -> Entry | None:
    with connect(configuration.target.database_url) as connection:
        return journal.take_over(connection)


def _copy(configuration: Configuration) -> Inherited | None:
    with connect(configuration.target.database_url) as connection:
        return binding.notice(connection, configuration)


def _require_same(project: Hosted, entry: Entry) -> None:
    if project.ref != entry.project_ref:
        raise UsageError(
            f"the rotation was begun for the project {entry.project_ref}, not for {project.ref}",
            hint="choose that project's target, or undo it, then correct what is stored: autosync-db rotate --abort",
        )


def _is_proven(configuration: Configuration, entry: Entry) -> bool:
    """Return whether the new value is active and proven, as the database alone has it."""
    found = journal.state_of(configuration, entry.subject)
    return entry.new_fingerprint is not None and found.active == entry.new_fingerprint and not found.is_open


def _forget(configuration: Configuration, entry: Entry) -> None:
    with connect(configuration.target.database_url) as connection, store.changing(connection):
        if entry.subject == store.CRON_SECRET:
            lease.stand_alone(connection)
            store.delete(connection, store.CRON_SECRET_NEXT)
        journal.end(connection, entry.token)
