"""`rotate --auto` where the calls carry a cron secret: the function gets both values over the Management API.

    journal -> store the next one -> the function's variable has both -> it accepts the next one -> store and prove
    (rotation.py) -> the variable has the new one alone -> journal

The function accepts a list, so that at each of these moments the active secret is one that it knows.
"""

from dataclasses import dataclass, replace
from functools import partial
from uuid import UUID

from autosync_db.config import Configuration
from autosync_db.connection import Connection, connect
from autosync_db.credentials import cron_secret, journal, lease, rotation, store
from autosync_db.credentials import hosted as hosting
from autosync_db.credentials.hosted import Hosted
from autosync_db.credentials.journal import Entry, Old
from autosync_db.credentials.rotation import Result, Subject
from autosync_db.errors import AutosyncError, SecretError
from autosync_db.progress import SILENT, Reporter, Step
from autosync_db.secret import Secret
from autosync_db.supabase import key
from autosync_db.supabase.function import Verdict

_RESUME = "finish it with autosync-db rotate --resume"


@dataclass(frozen=True, slots=True)
class _Work:
    """What every step has at hand; `token` is the journal's."""

    hosted: Hosted
    token: UUID
    old: str | None
    subject: Subject
    reporter: Reporter
    preflight: bool = True

    @property
    def configuration(self) -> Configuration:
        return self.hosted.configuration


def rotate(hosted: Hosted, active: str, reporter: Reporter, *, preflight: bool = True) -> Result:
    """Replace the cron secret by one that is made here and handed to the function; `active` is its fingerprint.

    Raises what automatic.rotate() raises.
    """
    hosted.api.secrets()  # what is needed later is refused before anything is made
    with connect(hosted.configuration.target.database_url) as connection:
        token = journal.begin(connection, cron_secret.VARIABLE, store.CRON_SECRET, hosted.ref, Old(active))
    work = _Work(hosted, token, active, cron_secret.subject(hosted.configuration), reporter, preflight)
    with journal.kept_alive(hosted.configuration, token), hosting.settled(partial(_settle, work)):
        return _finish(work, _replaced(work))


def resume(hosted: Hosted, entry: Entry, reporter: Reporter) -> Result:
    """End a rotation of the cron secret that was interrupted and taken over."""
    work = _work_of(hosted, entry, reporter)
    with hosting.settled(partial(_settle, work)):
        is_active, is_open = _state(work, entry.new_fingerprint)
        if is_active and is_open:
            return _finish(work, rotation.resume(work.configuration, reporter=reporter, note=_note(work)))
        if is_active:
            return _finish(work, Result("finished"))
        return _finish(work, _replaced(work))


def undo(hosted: Hosted, entry: Entry) -> None:
    """Let the function know the active secret alone, when that is the old one again, and end the journal."""
    _tell_the_active_one(_work_of(hosted, entry, SILENT))


def left_of_new(entry: Entry) -> str:
    """Return what to do about the secret that was made and cannot be taken from the function."""
    return f"the function may also accept another secret in {entry.made}: set it again, see autosync-db secrets env"


def left_of_old(entry: Entry) -> str:
    """Return what to do about the old secret when the new one stays."""
    return f"the function may still accept the old secret: set {entry.made} again, see autosync-db secrets env"


def _work_of(hosted: Hosted, entry: Entry, reporter: Reporter) -> _Work:
    return _Work(hosted, entry.token, entry.old.fingerprint, cron_secret.subject(hosted.configuration), reporter)


def _replaced(work: _Work) -> Result:
    """Make the next secret, tell the function both, activate it and prove it."""
    work.hosted.still_ours(work.token)
    with connect(work.configuration.target.database_url) as connection:
        following = cron_secret.prepare_next(connection)
        both = cron_secret.known(connection)
        journal.note_key(connection, work.token, key.fingerprint(following))
    work.hosted.api.set_secrets({cron_secret.VARIABLE: cron_secret.listed(both)})
    given = f"its variable {cron_secret.VARIABLE} has the active secret and the new one"
    work.reporter.done(Step("function", given, True))
    if work.preflight:
        _wait_until_accepted(work, following)
    work.hosted.still_ours(work.token)
    return rotation.replace(
        work.configuration, work.subject, following, preflight=False, reporter=work.reporter,
        old=work.old, note=_note(work),
    )  # fmt: skip


def _wait_until_accepted(work: _Work, following: Secret) -> None:
    found = rotation.until_accepted(work.configuration, work.subject, following, work.reporter, "secret")
    if found.verdict is Verdict.ACCEPTED:
        return
    refused = found.verdict is Verdict.REFUSED
    raise SecretError(
        f"the function {'refused the new secret with' if refused else 'did not say whether it accepts the new secret:'}"
        f" {found.summary}",
        hint=f"let it accept each secret of the list in {cron_secret.VARIABLE}, as the functions of autosync-db"
        " scaffold do",
    )


def _note(work: _Work) -> rotation.Proven:
    def note(connection: Connection, proven: Result) -> None:
        journal.note_proven(connection, work.token, old_is_free=True)

    return note


def _finish(work: _Work, result: Result) -> Result:
    """Tell the function the new secret alone, so that the old one opens nothing any more."""
    _tell_the_active_one(work)
    work.reporter.done(Step("function", f"its variable {cron_secret.VARIABLE} has only the new secret", True))
    return replace(result, made=cron_secret.VARIABLE)


def _tell_the_active_one(work: _Work) -> None:
    work.hosted.still_ours(work.token)
    with connect(work.configuration.target.database_url) as connection:
        active = cron_secret.reveal(connection, store.CRON_SECRET)
    if active is not None:
        work.hosted.api.set_secrets({cron_secret.VARIABLE: cron_secret.listed([active])})
    with connect(work.configuration.target.database_url) as connection, store.changing(connection):
        lease.stand_alone(connection)
        store.delete(connection, store.CRON_SECRET_NEXT)
        journal.end(connection, work.token)


def _state(work: _Work, new: str | None) -> tuple[bool, bool]:
    """Return whether the new secret is active, and whether what is active is still to be proven."""
    found = journal.state_of(work.configuration, store.CRON_SECRET)
    new = found.entry.new_fingerprint if found.entry else new
    return new is not None and found.active == new, found.is_open


def _settle(work: _Work, _cause: BaseException) -> str:
    """Return in words how things stand after a failure, when everything that can be undone is undone."""
    try:
        is_active, is_open = _state(work, None)
        if is_active:
            proven = "unproven" if is_open else "proven; the function may still accept the old one"
            return f"the new secret is active and {proven}: {_RESUME}"
        _tell_the_active_one(work)
    except AutosyncError as failure:
        return f"the old secret is active, and the function may accept another one, too ({failure.message}): {_RESUME}"
    return "the old secret is active, and the function accepts it alone"
