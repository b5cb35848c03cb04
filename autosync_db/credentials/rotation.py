"""Replace a secret so that one that works is active at every moment, whoever is killed in between.

lease.py keeps the previous value, proof.py makes the real call; what is here puts both together.
"""

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from uuid import uuid4

from autosync_db.config import Configuration, SecretAuth
from autosync_db.connection import Connection, connect, exists
from autosync_db.credentials import holders, journal, lease, proof, store
from autosync_db.credentials.holders import Holder, Look, Unseen
from autosync_db.credentials.lease import Replacement, Rotation
from autosync_db.credentials.proof import Proof, Prove
from autosync_db.errors import SecretError, UsageError
from autosync_db.jobs import registry
from autosync_db.progress import Reporter, Step
from autosync_db.secret import Secret
from autosync_db.supabase import address as addresses
from autosync_db.supabase import function, key
from autosync_db.supabase.function import Finding, Verdict

# the platform hands a new key or value to its functions after a while
SPREAD_SECONDS = 60.0
PAUSE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Subject:
    """A secret that can be rotated: its name in the store, its name in messages, the headers that carry it.

    `check` judges a value by its form, for the project ref that the stored address names, and raises SecretError.
    `advice` is what to do when the function refuses it.
    """

    name: str
    noun: str
    headers: Callable[[Secret], dict[str, str]]
    check: Callable[[Secret, str | None], object] = lambda value, project_ref: None
    advice: str = proof.CHECK_KEY


SERVICE_KEY = Subject(
    store.SERVICE_KEY,
    "service key",
    key.headers,
    lambda value, project_ref: key.inspect(value, project_ref=project_ref),
)


@dataclass(frozen=True, slots=True)
class Result:
    """How a rotation ended: `rotated`, `unchanged`, `finished`, `put back`, or `nothing` when none was unfinished.

    `replaced since`: the new value was proven, and somebody stored another one before the old key was deleted.
    `generated`: a new cron secret is stored beside the active one, and nothing is rotated yet; `abandoned`: that one is
    deleted again. `still_held_by`: who else holds the old value; None where nothing was replaced. Nobody holds it only
    if `not_looked_at` is empty, too.
    `made` and `deleted` are the names of keys at the platform; `left_to_do` says why the old one is still there.
    """

    outcome: str
    changes: tuple[Replacement, ...] = ()
    preflight: str | None = None
    proof: str | None = None
    note: str | None = None
    still_held_by: tuple[Holder, ...] | None = None
    not_looked_at: tuple[Unseen, ...] = ()
    made: str | None = None
    deleted: str | None = None
    left_to_do: str | None = None


# what is to be noted of a proven rotation before it is finished, which deletes the old value
Proven = Callable[[Connection, Result], None]


def _note_nothing(connection: Connection, proven: Result) -> None: ...


def replace(
    configuration: Configuration,
    subject: Subject,
    value: Secret,
    *,
    preflight: bool = True,
    prove: Prove | None = None,
    reporter: Reporter,
    old: str | None = None,
    note: Proven = _note_nothing,
) -> Result:
    """Activate `value` and prove it; a value that is wrong by its form is refused before the function is called.

    `old` is the fingerprint of the one to replace, that which is active when it is not given.

    Raises SecretError when the function does not accept it, or when there is none to replace; the previous one is
    active then. ConflictError: somebody else replaces it, or did since it was looked at. What an earlier rotation left
    unproven is replaced with it, and what that one kept is what is put back.
    """
    token = uuid4()
    with connect(configuration.target.database_url) as connection:
        # what the server refuses to begin leaves nothing behind, but an interrupt may come while it commits
        new, on = {subject.name: value}, (KeyboardInterrupt, SystemExit)
        with lease.undone_when_interrupted(configuration, token, new, interrupts=on):
            reporter.doing("looking at what is stored")
            configuration = carrying(connection, configuration, subject.name)
            active = old or fingerprint_to_replace(connection, configuration, subject)
            unchanged = Result("unchanged", (Replacement(subject.name, active, active),))
            if active == key.fingerprint(value) and not lease.unfinished(connection):
                return unchanged
            address = stored_address(connection)
            subject.check(value, addresses.ref_of(address))
            answered = _preflight(configuration, address, subject, value, reporter) if preflight else None

            reporter.doing("storing the new one beside the old one")
            begun = lease.begin(connection, new, token=token, seen={subject.name: active})
            if begun is None:
                return dataclasses.replace(unchanged, preflight=answered)
            with lease.undone_when_interrupted(configuration, token, new):
                stored = f"{_shown(begun)}; the old one is kept until the new one is proven"
                reporter.done(Step("store", stored, True))
                proven = _prove(connection, configuration, begun, prove, reporter)
                result = _result("rotated", begun, answered, proven, _look(connection, begun, proven))
                _note(connection, proven, result, note)
            proof.conclude(connection, token, proven, f"new {subject.noun}")
        reporter.done(Step("prove", f"{proven.summary}: the new {subject.noun} works and is active", True))
        return result


def resume(
    configuration: Configuration, *, prove: Prove | None = None, reporter: Reporter, note: Proven = _note_nothing
) -> Result:
    """Prove what an unfinished rotation activated and finish it, or put back what it kept and raise SecretError."""
    with connect(configuration.target.database_url) as connection:
        store.require_history(connection)
        taken = lease.take_over(connection)
        if taken is None:
            return Result("nothing")
        since, begun = taken
        for change in begun.changes:
            configuration = carrying(connection, configuration, change.name)
        with lease.released_when_interrupted(configuration, begun.token):
            reporter.done(Step("resume", f"{_shown(begun)}, not proven since {since:%Y-%m-%d %H:%M:%S} UTC", False))
            proven = _prove(connection, configuration, begun, prove, reporter)
            result = _result("finished", begun, None, proven, _look(connection, begun, proven))
            _note(connection, proven, result, note)
        noun = "new value of " + " and ".join(change.name for change in begun.changes)
        proof.conclude(connection, begun.token, proven, noun)
        return result


def abort(configuration: Configuration) -> Result:
    """Put back what an unfinished rotation kept, without any call."""
    with connect(configuration.target.database_url) as connection:
        store.require_history(connection)
        taken = lease.take_over(connection)
        if taken is None:
            return Result("nothing")
        lease.put_back(connection, taken[1].token)
        return Result("put back", taken[1].changes)


def stored_address(connection: Connection) -> str:
    """Return the project's address. Raises SecretError when none is stored."""
    address = store.project_url(connection)
    if address is None:
        raise SecretError("no project URL is stored", hint="store it with: autosync-db setup")
    return address


def carrying(connection: Connection, configuration: Configuration, name: str) -> Configuration:
    """Return the configuration with a job as its main one whose calls carry a secret; as it is where there is none."""
    settings = configuration.settings
    if not exists(connection, "autosync.job"):
        return configuration
    calling = {job.name for job in registry.all_jobs(connection) if job.kind == "function"}
    carriers = [
        job
        for job in settings.jobs.values()
        if job.kind == "function" and job.name in calling and name in store.needed(connection, job.name)
    ]
    if not carriers or settings.main in carriers:
        return configuration
    # one that is on, and that shows the secret as all do
    chosen = min(carriers, key=lambda job: (not job.enabled, isinstance(job.auth, SecretAuth)))
    return dataclasses.replace(configuration, settings=settings.only([chosen.name]))


def fingerprint_to_replace(connection: Connection, configuration: Configuration, subject: Subject) -> str:
    """Return the fingerprint of the active value. Raises when there is none, or no call could prove another one."""
    configuration = carrying(connection, configuration, subject.name)
    job_name = configuration.settings.main.name
    store.require_history(connection)
    store.require_chosen(connection, configuration)
    registry.find(connection, job_name)
    journal.require_none(connection)
    lease.require_idle(connection)
    needed = store.needed(connection, job_name)
    if subject.name not in needed:
        is_carried = subject.name in store.needed(connection)
        raise _not_carried(configuration, subject, needed if is_carried else None)
    active = store.stored(connection).get(subject.name)
    if active is None:
        raise SecretError(
            f"no {subject.noun} is stored, so there is none to replace",
            hint="store the first one with: autosync-db setup",
        )
    return active.fingerprint


def _not_carried(configuration: Configuration, subject: Subject, needed: tuple[str, ...] | None) -> UsageError:
    """Return the refusal to replace what no call carries; `needed` by the main job, where others carry it."""
    name = configuration.settings.main.name
    if needed is None:
        return UsageError(
            f"no call carries the {subject.noun}, so none could prove a new one",
            hint="see auth in the job's table of autosync.toml, and what the job uses: autosync-db secrets list",
        )
    own = next((one for one in needed if one not in {store.PROJECT_URL, subject.name}), None)
    hint = "see which secret each job uses: autosync-db secrets list"
    if own in {store.SERVICE_KEY, store.CRON_SECRET}:
        hint = f"it sends the {own}: say so in auth of its settings, and run this again"
    elif own is not None:
        hint = f"it sends {own}; replace that with: autosync-db secrets set {own}"
    return UsageError(
        f"the job {name} does not send the {subject.noun}, so no call of it could prove a new one", hint=hint
    )


def ask(configuration: Configuration, address: str, subject: Subject, value: Secret) -> Finding:
    """Return whether the function at the project's `address` accepts `value`. Raises UnreachableError."""
    settings = configuration.settings.main
    assert settings.function is not None  # only calls of a function carry the project's own credentials
    here = configuration.target.reachable(address)
    headers, auth = subject.headers(value), settings.auth
    if isinstance(auth, SecretAuth) and auth.secret == subject.name:
        headers = {auth.header: auth.prefix + value.reveal()}
    return function.preflight(here, settings.function, headers, settings.timeout)


def until_accepted(
    configuration: Configuration, subject: Subject, value: Secret, reporter: Reporter, what: str
) -> Finding:
    """Return what the function says once it no longer refuses `value`, or still does after a minute."""
    with connect(configuration.target.database_url) as connection:
        address = stored_address(connection)
        configuration = carrying(connection, configuration, subject.name)
    deadline = time.monotonic() + SPREAD_SECONDS
    while True:
        reporter.doing(f"waiting until the function accepts the new {what}")
        found = ask(configuration, address, subject, value)
        if found.verdict is Verdict.ACCEPTED:
            reporter.done(Step("ask", f"the function accepts the new {what} ({found.summary})", False))
        if found.verdict is not Verdict.REFUSED or time.monotonic() > deadline:
            return found
        time.sleep(PAUSE_SECONDS)


def _preflight(configuration: Configuration, address: str, subject: Subject, value: Secret, reporter: Reporter) -> str:
    reporter.doing("calling the function directly")
    found = ask(configuration, address, subject, value)
    if found.verdict is Verdict.ACCEPTED:
        reporter.done(Step("ask", f"the function accepts the new {subject.noun} ({found.summary})", False))
        return found.summary
    if found.verdict is Verdict.REFUSED:
        raise SecretError(
            f"the function refused the new {subject.noun} with {found.summary}; nothing was changed",
            hint=proof.advice({found.error_code}, subject.advice),
        )
    raise SecretError(
        f"the function did not say whether it accepts the new {subject.noun}: {found.summary}; nothing was changed",
        hint="find the cause with autosync-db verify, or pass --no-preflight",
    )


def _prove(
    connection: Connection, configuration: Configuration, begun: Rotation, prove: Prove | None, reporter: Reporter
) -> Proof:
    reporter.doing("making a real call through pg_net")
    prove = prove or proof.by_dispatch(configuration, reporter.doing)
    return prove(connection, lease.keeper(connection, begun.token))


def _look(connection: Connection, begun: Rotation, proven: Proof) -> Look:
    """Return who else holds the old value, as long as that is there: when the rotation is finished it is deleted."""
    return holders.of_replaced(connection, begun) if proven.verdict is Verdict.ACCEPTED else Look()


def _note(connection: Connection, proven: Proof, result: Result, note: Proven) -> None:
    if proven.verdict is Verdict.ACCEPTED:
        note(connection, result)


def _result(outcome: str, begun: Rotation, answered: str | None, proven: Proof, look: Look) -> Result:
    return Result(outcome, begun.changes, answered, proven.summary, proven.note, look.still_held_by, look.not_looked_at)


def _shown(begun: Rotation) -> str:
    return ", ".join(
        f"{change.name} {change.fingerprint_before or '(none)'} -> {change.fingerprint_after}"
        for change in begun.changes
    )
