"""`rotate --auto`: a new secret key is made at the platform, activated, proven, and the old one deleted there.

Each step leaves a chain that works, and the journal says what there may be at the platform (journal.py), so that
whoever is killed can be followed by resume(): it looks at the platform's list and at what is active, and goes on from
there. The old key is deleted last, and only when a call has proven the new one.

    journal -> make the key -> the function accepts it -> store and prove (rotation.py) -> delete the old key -> journal
"""

import secrets
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

from autosync_db.config import Configuration
from autosync_db.connection import Connection, connect
from autosync_db.credentials import automatic_secret, cron_secret, journal, lease, rotation, store
from autosync_db.credentials import hosted as hosting
from autosync_db.credentials.hosted import Hosted
from autosync_db.credentials.journal import Entry, Old
from autosync_db.credentials.rotation import SERVICE_KEY, Result
from autosync_db.errors import AutosyncError, ConflictError, SecretError, UsageError
from autosync_db.progress import SILENT, Reporter, Step
from autosync_db.secret import Secret
from autosync_db.supabase import key
from autosync_db.supabase.function import Verdict
from autosync_db.supabase.management import LEGACY, ApiKey
from autosync_db.supabase.management_request import ManagementError

_PREFIX = "autosync_"
_DEFAULT = "default"  # functions that were not made for autosync-db check for this one
_LEGACY = "legacy "
_DESCRIPTION = "made by autosync-db rotate --auto"
_LOOKS_AGAIN = 3
_REPLACED_SINCE = "another key was stored after the new one was proven, see autosync-db secrets history"
# recorded text of the past, by which nobody calls
_HARMLESS = {"migration"}


@dataclass(frozen=True, slots=True)
class _Work:
    """What every step has at hand; `entry` is that of the journal."""

    hosted: Hosted
    entry: Entry
    reporter: Reporter
    preflight: bool

    @property
    def configuration(self) -> Configuration:
        return self.hosted.configuration


def rotate(
    configuration: Configuration, reporter: Reporter, *, preflight: bool = True, keep_old: bool = False
) -> Result:
    """Replace the service key by one that is made here, and delete the old one at the platform unless `keep_old`.

    Where the calls carry a cron secret it is that which is replaced (automatic_secret.py).

    Raises ConflictError while another rotation is under way or unfinished, ManagementError for what the API refuses,
    SecretError when the function does not accept the new key: it is deleted again then, and the old one active.
    """
    with connect(configuration.target.database_url) as connection:
        require_none(connection)
        by_secret = cron_secret.active_auth(connection, configuration.settings.main.name) == "cron_secret"
        subject = cron_secret.subject(configuration) if by_secret else SERVICE_KEY
        active = rotation.fingerprint_to_replace(connection, configuration, subject)
    if by_secret and keep_old:
        raise UsageError(
            "--keep-old is for a key of the platform: the calls carry a cron secret", hint="leave --keep-old out"
        )
    hosted = hosting.of(configuration)
    if by_secret:
        return automatic_secret.rotate(hosted, active, reporter, preflight=preflight)
    reporter.doing("reading the project's keys")
    old = _old(hosted.api.api_keys(reveal=True), active)
    old = replace(old, key_id=None) if keep_old else old
    hosted.api.secrets()  # what is needed later is refused before anything is made
    made = f"{_PREFIX}{datetime.now(UTC):%Y%m%d}_{secrets.token_hex(3)}"
    with connect(configuration.target.database_url) as connection:
        token = journal.begin(connection, made, store.SERVICE_KEY, hosted.ref, old)
        entry = journal.find(connection)
    if entry is None or entry.token != token:
        raise ConflictError("another command took over this rotation", hint="run: autosync-db rotate --resume")
    work = _Work(hosted, entry, reporter, preflight)
    with journal.kept_alive(configuration, token), hosting.settled(partial(_settle, work)):
        return _finish(work, _replaced(work, _make(work)))


def resume(hosted: Hosted, entry: Entry, reporter: Reporter) -> Result:
    """End an automatic rotation that was interrupted and taken over: go on where it was, or undo it."""
    work = _Work(hosted, entry, reporter, preflight=True)
    with hosting.settled(partial(_settle, work)):
        state = _state(work)
        since = f"{entry.made}, begun at {entry.started_at:%Y-%m-%d %H:%M:%S} UTC"
        reporter.done(Step("resume", since + (", is active" if state.new_is_active else ""), False))
        if state.is_proven:
            return _finish(work, Result("finished"))
        if state.new_is_active:
            return _finish(work, rotation.resume(work.configuration, reporter=reporter, note=_noting(work)))
        if not state.old_is_active:
            # somebody stored another one since
            _undo(work)
            return Result("undone")
        return _finish(work, _replaced(work, state.made or _make(work)))


def undo(hosted: Hosted, entry: Entry) -> None:
    """Delete the key that was made, when the old one is active again, and end the journal."""
    _undo(_Work(hosted, entry, SILENT, preflight=False))


def left_of_new(entry: Entry) -> str:
    """Return what to do about the key that was made and cannot be deleted."""
    return f"the key {entry.made} may be left at the platform: delete it in the dashboard, under Settings > API Keys"


def left_of_old(entry: Entry) -> str:
    """Return what to do about the old key when the new one stays."""
    return _left(entry.old, "nothing that is proven is undone, and --abort deletes nothing")


def require_none(connection: Connection) -> None:
    """Return if no rotation of either kind is under way or unfinished. Raises ConflictError that says which."""
    store.require_history(connection)
    journal.require_none(connection)
    lease.require_idle(connection)
    for one in lease.unfinished(connection):
        raise ConflictError(
            f'a rotation of "{one.name}" is not finished since {one.started_at:%Y-%m-%d %H:%M:%S} UTC',
            hint="finish it with: autosync-db rotate --resume",
        )


def _old(found: list[ApiKey], fingerprint: str) -> Old:
    """Return which key of the project is replaced; with an id only if it may be deleted."""
    for one in found:
        if one.fingerprint == fingerprint:
            is_ours_to_delete = one.is_secret and one.name != _DEFAULT
            name = f"{_LEGACY}{one.name}" if one.kind == LEGACY else one.name
            return Old(fingerprint, one.id if is_ours_to_delete else None, name)
    return Old(fingerprint)


def _make(work: _Work) -> ApiKey:
    """Make the key that the journal names and return it; of two that make it at once the name lets only one."""
    work.hosted.still_ours(work.entry.token)
    work.reporter.doing(f"making the key {work.entry.made}")
    try:
        made = work.hosted.api.create_secret_key(work.entry.made, _DESCRIPTION)
    except ManagementError as error:
        # its answer may be what was lost
        found = _look_for(work) if error.is_unclear else None
        if found is None:
            raise
        made = found
    work.reporter.done(Step("make", f"the secret key {made.name} of the project {work.hosted.ref}", True))
    return made


def _look_for(work: _Work) -> ApiKey | None:
    for _ in range(_LOOKS_AGAIN):
        time.sleep(rotation.PAUSE_SECONDS)
        if found := _named(work.hosted.api.api_keys(reveal=True), work.entry.made):
            return found
    return None


def _named(found: list[ApiKey], name: str) -> ApiKey | None:
    return next((one for one in found if one.is_secret and one.name == name and one.value), None)


def _replaced(work: _Work, made: ApiKey) -> Result:
    """Let the calls carry the new key and prove it."""
    assert made.value is not None  # create_secret_key() and _named() return none without
    token, new = work.entry.token, made.value
    with connect(work.configuration.target.database_url) as connection:
        journal.note_key(connection, token, key.fingerprint(new))
    answered = _wait_until_accepted(work, new) if work.preflight else None
    work.hosted.still_ours(token)
    result = rotation.replace(
        work.configuration, SERVICE_KEY, new, preflight=False, reporter=work.reporter,
        old=work.entry.old.fingerprint, note=_noting(work),
    )  # fmt: skip
    return replace(result, preflight=answered)


def _wait_until_accepted(work: _Work, new: Secret) -> str:
    """Return the function's answer once it accepts the new key. Raises SecretError when it still does not."""
    found = rotation.until_accepted(work.configuration, SERVICE_KEY, new, work.reporter, "key")
    if found.verdict is Verdict.ACCEPTED:
        return found.summary
    if found.verdict is Verdict.REFUSED:
        knows = work.hosted.variables_with(work.entry.old.fingerprint)
        raise SecretError(
            f"the function refused the new key with {found.summary}",
            hint=(f"it knows one key, in its variable {' and '.join(knows)}: " if knows else "")
            + "let it accept every key of SUPABASE_SECRET_KEYS, as the functions of autosync-db scaffold do",
        )
    raise SecretError(
        f"the function did not say whether it accepts the new key: {found.summary}",
        hint="find the cause with autosync-db verify, or pass --no-preflight",
    )


def _noting(work: _Work) -> rotation.Proven:
    """Return what writes down whether the old key may be deleted, while that can still be looked for."""

    def note(connection: Connection, proven: Result) -> None:
        holders = [one for one in proven.still_held_by or () if one.place not in _HARMLESS]
        journal.note_proven(
            connection, work.entry.token, old_is_free=not holders and not proven.not_looked_at and not proven.note
        )

    return note


def _finish(work: _Work, result: Result) -> Result:
    """Delete the old key where nobody else holds it, and end the journal; the new one is active and proven."""
    with connect(work.configuration.target.database_url) as connection:
        entry = journal.find(connection)
    if entry is None or entry.token != work.entry.token:
        raise ConflictError("another command took over this rotation", hint="run: autosync-db rotate --resume")
    keys = work.hosted.api.api_keys(reveal=True)
    made = _named(keys, entry.made)
    if made is None or made.value is None:
        gone = f"the new key {entry.made} no longer exists in the project"
        return _ended(work, replace(result, left_to_do=_left(entry.old, gone)))
    result = replace(result, made=entry.made)
    work.hosted.still_ours(entry.token)
    for name in work.hosted.renew_variables(entry.old.fingerprint, made.value):
        work.reporter.done(Step("function", f"its variable {name} has the new key", True))
    if (kept := _why_kept(entry, keys)) is not None:
        return _ended(work, replace(result, left_to_do=kept))
    if not _state(work).is_proven:
        # the calls may carry the old one again
        return _ended(work, replace(result, outcome="replaced since", left_to_do=_left(entry.old, _REPLACED_SINCE)))
    assert entry.old.key_id is not None
    if any(one.id == entry.old.key_id for one in keys):
        work.hosted.api.delete_key(entry.old.key_id, reason=f"replaced by {entry.made}")
    work.reporter.done(Step("delete", f"the old key {entry.old.key_name}, which is no longer used", True))
    return _ended(work, replace(result, deleted=entry.old.key_name))


def _why_kept(entry: Entry, keys: list[ApiKey]) -> str | None:
    """Return why the old key is not deleted, and what is left to do; None when it may be."""
    old = entry.old
    if old.key_name is None:
        return "the old key is none of the keys that the platform lists for the project, so there was none to delete"
    if old.key_name == _DEFAULT:
        return _left(old, "functions that never heard of this one may check for the key named default")
    if old.key_name.startswith(_LEGACY):
        return (
            f"the old key is the {old.key_name} key, which is still valid: when nothing uses the legacy keys,"
            " switch them off in the dashboard, under Settings > API Keys"
        )
    if old.key_id is None:
        return _left(old, "it was to be kept")
    if not entry.old_is_free:
        return _left(old, "who else holds it is not known" if entry.old_is_free is None else "others may still use it")
    there = next((one for one in keys if one.id == old.key_id), None)
    if there is not None and (there.fingerprint != old.fingerprint or there.name == _DEFAULT or not there.is_secret):
        return _left(old, "it is no longer the key that was replaced")
    return None


def _ended(work: _Work, result: Result) -> Result:
    with connect(work.configuration.target.database_url) as connection:
        journal.end(connection, work.entry.token)
    return result


def _left(old: Old, why: str) -> str:
    return (
        f"the old key {old.key_name or '(of unknown name)'} is still valid: {why};"
        " delete it in the dashboard, under Settings > API Keys, when nothing needs it"
    )


@dataclass(frozen=True, slots=True)
class _State:
    """How things stand: the key that was made if the platform has it, and which one the calls carry."""

    made: ApiKey | None
    new_is_active: bool
    old_is_active: bool
    is_open: bool  # what is active is not proven

    @property
    def is_proven(self) -> bool:
        return self.new_is_active and not self.is_open


def _state(work: _Work) -> _State:
    made = _named(work.hosted.api.api_keys(reveal=True), work.entry.made)
    found = journal.state_of(work.configuration, store.SERVICE_KEY)
    entry = found.entry or work.entry
    new = {made.fingerprint if made else None, entry.new_fingerprint} - {None}
    return _State(made, found.active in new, found.active == entry.old.fingerprint, found.is_open)


def _settle(work: _Work, cause: BaseException) -> str:
    """Return in words how things stand after a failure, when everything that can be undone is undone."""
    resume_it = "finish it with autosync-db rotate --resume"
    try:
        state = _state(work)
        if state.new_is_active:
            proven = "active, and unproven" if state.is_open else "active and proven; the old one is not deleted yet"
            return f"the new key {work.entry.made} is {proven}: {resume_it}"
        if isinstance(cause, ManagementError) and cause.is_unclear:
            return f"the old key is active; whether {work.entry.made} was made is not known: {resume_it}"
        _undo(work)
    except AutosyncError as failure:
        return f"{_as_stored(work)} ({failure.message}): {resume_it}"
    return f"the old key is active, and {work.entry.made} does not exist (any more)"


def _as_stored(work: _Work) -> str:
    """Return in words how things stand by what the database knows alone; the platform does not answer."""
    try:
        found = journal.state_of(work.configuration, store.SERVICE_KEY)
    except AutosyncError:
        return f"the key {work.entry.made} may be left"
    entry = found.entry or work.entry
    if found.active is not None and found.active == entry.new_fingerprint:
        proven = "unproven" if found.is_open else "proven; whether the old one is deleted is not known"
        return f"the new key {entry.made} is active and {proven}"
    which = "the old key" if found.active == entry.old.fingerprint else "another key"
    return f"{which} is active, and the key {entry.made} may be left"


def _undo(work: _Work) -> None:
    """Delete the key that was made, unless it is active, and end the journal."""
    state = _state(work)
    if state.new_is_active:
        raise ConflictError(
            f"the key {work.entry.made} is active, so it is not deleted", hint="run: autosync-db rotate --resume"
        )
    if state.made is not None and state.made.id is not None:
        work.hosted.still_ours(work.entry.token)
        work.hosted.api.delete_key(state.made.id, reason="the rotation was undone")
    with connect(work.configuration.target.database_url) as connection:
        journal.end(connection, work.entry.token)
