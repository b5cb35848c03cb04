"""The one-time set-up of a project: every step checks first and changes only what is not yet so."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from urllib.parse import urlsplit
from uuid import UUID, uuid4

from autosync_db.config import Configuration, JobSettings, SecretAuth, Settings
from autosync_db.connection import Connection, connect, exists, rows
from autosync_db.credentials import cron_secret, journal, known, lease, store
from autosync_db.credentials import proof as proofs
from autosync_db.credentials.lease import Rotation
from autosync_db.credentials.proof import Proof
from autosync_db.errors import ConflictError, SecretError, UnreachableError
from autosync_db.jobs import binding, calls, registry
from autosync_db.jobs import plan as jobs_plan
from autosync_db.jobs.calls import Cause, Invocation
from autosync_db.plain import counted
from autosync_db.progress import Reporter, Step
from autosync_db.schema import revisions
from autosync_db.schema.revisions import MigrationResult
from autosync_db.setup import situation, takeover
from autosync_db.setup.decision import Given, Plan, Switch, decide
from autosync_db.supabase import function
from autosync_db.supabase.function import Verdict


@dataclass(frozen=True, slots=True)
class _Work:
    """What every step of one set-up has at hand; `token` names its rotation.

    `jobs_before` are the cron jobs that were there, `seen` is what it is to replace or to delete, `bound` the project
    that the database was bound to.
    """

    connection: Connection
    configuration: Configuration
    plan: Plan
    reporter: Reporter
    token: UUID
    seen: store.Seen
    bound: str | None
    jobs_before: frozenset[str]

    @property
    def settings(self) -> Settings:
        return self.configuration.settings

    @property
    def job_name(self) -> str:
        return self.settings.main.name


def run(configuration: Configuration, given: Given, reporter: Reporter) -> list[Invocation]:
    """Migrate, store the secrets, schedule the job, fire it once and return the function's real answers.

    No call is made when the last one succeeded with everything as it is now, so that a second run changes nothing.
    What can be refused without a call is refused before anything changes (see decide()). What replaces a secret is a
    rotation: when the function refuses the new one, when it cannot be proven though the old one worked, or when the
    wait is interrupted, what was stored before is put back (SecretError).

    Jobs that the settings do not name are kept. Where a function knows its caller by a cron secret, that is the given
    one, the stored one, or a new one. While the function does not know it, it is not called with it: a step `next`
    holds the command that hands it over.
    """
    new_secret = cron_secret.generate()
    reporter.begins("database")
    reporter.doing("looking at the database")
    with connect(configuration.target.database_url) as connection:
        binding.notice(connection, configuration)
        takeover.require_possible(configuration, given.secrets)
        wanted = registry.speaking(connection, configuration)
        first = situation.read(connection, wanted, given.rebind_to)
        plan = decide(first, wanted, given, new_secret)
        _require_no_automatic(connection, plan)
        if plan.leaves:
            # from here on nothing of that project is used, whatever happens
            binding.silence(connection, plan.leaves, plan.project_ref or _host(plan))
        jobs_before = _cron_jobs(connection)
        reporter.done(Step("database", situation.describe(connection), False))
        was_there = revisions.current(connection) is not None
    reporter.begins("migrate")
    reporter.doing("migrating")
    is_changed = _migrate(configuration, given, reporter, was_there=was_there)
    with connect(configuration.target.database_url) as connection:
        latest = first
        # of a copy another set-up may have made the project's own meanwhile
        if is_changed or plan.moves:
            wanted = registry.speaking(connection, configuration)
            latest = situation.read(connection, wanted, given.rebind_to)
            plan = decide(latest, wanted, given, new_secret)
        seen = situation.seen(first, latest, {*plan.all_secrets, *first.stored})
        bound = (latest.binding or {}).get("project_ref")
        work = _Work(connection, wanted, plan, reporter, uuid4(), seen, bound, jobs_before)
        return _carry_out(work, wait=given.wait)


def _require_no_automatic(connection: Connection, plan: Plan) -> None:
    """Return unless a rotate --auto is unfinished: it deletes keys at the platform. A copy has that of its source."""
    if not plan.moves:
        journal.require_none(connection)


def _cron_jobs(connection: Connection) -> frozenset[str]:
    if not exists(connection, "cron.job"):
        return frozenset()
    return frozenset(name for (name,) in rows(connection, "select c.jobname from cron.job as c") if name)


def _migrate(configuration: Configuration, given: Given, reporter: Reporter, *, was_there: bool) -> bool:
    """Bring the schema to head, take over the guide's job where one works, and return whether that changed anything."""
    begins = _require_still_there if was_there else None
    migrated = takeover.upgrade(configuration, reporter=reporter, given=given.secrets, begins=begins)
    is_changed = bool(migrated.revisions or migrated.objects)
    reporter.done(Step("migrate", _describe(migrated), is_changed))
    for warning in migrated.warnings:
        reporter.done(Step("warning", warning, True))
    return is_changed


def _require_still_there(connection: Connection) -> None:
    """Refuse to make again what was torn down since it was looked at: its secrets and jobs would be missing."""
    if revisions.current(connection) is None:
        raise ConflictError(
            "autosync-db was torn down while this command was at work; nothing was changed",
            hint="if it is to be set up again, run the same command",
        )


def _carry_out(work: _Work, *, wait: bool) -> list[Invocation]:
    has_worked = situation.has_worked(work.connection, work.job_name)
    if work.plan.moves:
        _forget_others(work)
    proof = None
    work.reporter.begins("secrets")
    with lease.undone_when_interrupted(work.configuration, work.token, work.plan.all_secrets):
        is_known = _introduce(work)
        begun = _activate(work, is_known=is_known, wait=wait)
        work.reporter.begins("job")
        _schedule(work)
        _switch_others(work)
        work.reporter.begins("call")
        for configuration in _provers(work, begun) if begun and wait and (is_known or not work.plan.moves) else ():
            prove = proofs.by_dispatch(configuration, work.reporter.doing)
            proof = prove(work.connection, lease.keeper(work.connection, work.token))
            if proof.verdict is not Verdict.ACCEPTED:
                break
    if proof:
        noun = "cron secret" if work.plan.auth == "cron_secret" else "key"
        # what did not work before either stays open, and verify says why
        # of a copy what was there before is another project's, and with it the copy is silent again
        leave_unclear = not has_worked and not work.plan.moves
        proofs.conclude(work.connection, work.token, proof, noun, leave_unclear=leave_unclear)
    elif begun and work.plan.moves:
        lease.finish(work.connection, work.token)
    elif begun:
        lease.release(work.connection, work.token)
    answers = _answers(work, proof, is_known=is_known, wait=wait)
    if not is_known or (work.plan.auth == "cron_secret" and any(answer.cause is Cause.KEY for answer in answers)):
        hand_over = cron_secret.hand_over(work.configuration)
        work.reporter.done(Step("next", f"{hand_over}; then this command again", False))
    return answers


def _forget_others(work: _Work) -> None:
    """Delete another project's keys that a copy gets no own ones for, and its receivers; say which secrets it keeps.

    All of it, or none of it when somebody has changed it since it was looked at: it may be the project's own by now.
    """
    connection, leaves = work.connection, work.plan.leaves
    replaced = {*work.plan.secrets, *({store.CRON_SECRET} if work.plan.beside else ())}
    keys = {store.SERVICE_KEY, store.CRON_SECRET, store.CRON_SECRET_NEXT, store.GATEWAY_KEY}
    with store.changing(connection):
        # another set-up binds the database under this lock
        lease.stand_alone(connection)
        lease.require_idle(connection)
        _require_bound_as_seen(work)
        theirs = {name for name in store.stored(connection) if work.seen.get(name) is not None}
        forgotten = sorted(keys & theirs - replaced)
        # their messages and heartbeats would speak for that project
        receivers = sorted(filter(store.is_address, theirs))
        store.send(connection, {})
        store.require_as_seen(connection, _seen_of(work, [*forgotten, *receivers]))
        connection.execute("delete from autosync.alert_receiver as r where r.secret_name = any(%s)", [receivers])
        for name in (*forgotten, *receivers):
            store.delete(connection, name)
        journal.forget_others(connection, work.plan.project_ref)
    for name in forgotten:
        work.reporter.done(Step("secrets", f"deleted {name}, which belongs to {leaves}", True))
    for name in receivers:
        work.reporter.done(Step("alerts", f"deleted the receiver {name}, which belongs to {leaves}", True))
    for name in sorted(theirs - keys - {store.PROJECT_URL, *receivers}):
        work.reporter.done(Step("warning", _kept(work, name), False))


def _require_bound_as_seen(work: _Work) -> None:
    bound = (binding.stored(work.connection) or {}).get("project_ref")
    if bound != work.bound:
        raise ConflictError(
            f"this database was bound to {bound or 'no hosted project'} while this command was at work; nothing was"
            " deleted",
            hint="see what it is now with: autosync-db status; if it is still to be bound again, run the same command",
        )


def _kept(work: _Work, name: str) -> str:
    """Say of a secret with a name of its own whose it is, who sends it, and what to do about it."""
    query = "select j.name from autosync.job as j where %s = any(autosync.needed_secrets(j.name)) order by j.id"
    senders = ", ".join(job for (job,) in rows(work.connection, query, [name]))
    whose = f"the secret {name} is still that of {work.plan.leaves}, and "
    if not senders:
        return f"{whose}no job sends it; delete it with: autosync-db secrets delete {name}"
    return f"{whose}{senders} sends it; replace it with: autosync-db secrets set {name} --from-file PATH"


def _host(plan: Plan) -> str:
    """Return the host that a plan's address names."""
    url = plan.secrets.get(store.PROJECT_URL)
    return urlsplit(url.reveal()).hostname or "another project" if url else "another project"


def _provers(work: _Work, begun: Rotation) -> list[Configuration]:
    """Return the configurations whose main job proves what was replaced: that of all, and one that carries the key."""
    settings, main = work.settings, work.settings.main
    carriers = [name for name, job in settings.jobs.items() if job.sends_service_key]
    is_key_new = any(change.name == store.SERVICE_KEY for change in begun.changes)
    found = [work.configuration] if main.calls else []
    is_of_main = main.name in carriers and (work.plan.auth == "service_key" or isinstance(main.auth, SecretAuth))
    if is_key_new and carriers and not is_of_main:
        found.append(replace(work.configuration, settings=settings.only(carriers)))
    return found


def _introduce(work: _Work) -> bool:
    """Return whether the function may know the cron secret, if it needs one.

    One that is to take the service key's place is stored beside it, and shown to the function by a call of our own.
    """
    plan = work.plan
    if plan.switch is not Switch.WHEN_ACCEPTED:
        return plan.auth != "cron_secret" or not plan.is_secret_new
    if plan.beside is not None:
        store.store(work.connection, {store.CRON_SECRET: plan.beside}, seen=_seen_of(work, [store.CRON_SECRET]))
    is_known = not plan.is_secret_new and not _refuses(work, work.settings.main)
    if not is_known:
        work.reporter.done(Step("auth", "the calls go on with the service key", False))
    return is_known


def _refuses(work: _Work, settings: JobSettings) -> bool:
    """Return whether the job's function refuses the cron secret; False when it cannot be reached from here."""
    given = work.plan.secrets.get(store.PROJECT_URL)
    url = given.reveal() if given else store.project_url(work.connection)
    secret = work.plan.beside or cron_secret.reveal(work.connection, store.CRON_SECRET)
    if url is None or secret is None:
        raise SecretError("a secret was deleted in the meantime", hint="run it again")
    assert settings.function is not None  # only calls of a function carry the project's own credentials
    work.reporter.doing("calling the function directly")
    headers = cron_secret.call_headers(work.connection, secret)
    try:
        here = work.configuration.target.reachable(url)
        return function.preflight(here, settings.function, headers, settings.timeout).verdict is Verdict.REFUSED
    except UnreachableError:
        return False


def _activate(work: _Work, *, is_known: bool, wait: bool) -> Rotation | None:
    """Activate secrets and settings, where the settings want them; return the rotation that must be proven, if any."""
    plan, connection = work.plan, work.connection
    switches = plan.switch is Switch.AT_ONCE or (plan.switch is Switch.WHEN_ACCEPTED and is_known)
    settings: dict[str, dict[str, object]] = {}
    if plan.move_to:
        settings["secrets"] = {"store": plan.move_to}
    if plan.rebinds:
        was_proving = "proving" in (binding.stored(connection) or {})
        is_proving = (plan.moves or was_proving) and wait and work.settings.main.calls
        proving = {"proving": True} if is_proving else {}
        settings[binding.SETTING] = binding.here(connection, plan.project_ref) | proving
    with store.changing(connection):
        # one that begins at the same time sees what is activated here, or its journal is seen here
        lease.stand_alone(connection)
        _require_no_automatic(connection, plan)
        if switches:
            settings[cron_secret.SETTING] = cron_secret.new_setting(connection, work.job_name, plan.auth)
        rotation = lease.begin(connection, plan.secrets, settings, token=work.token, seen=_seen_of(work, plan.secrets))
        if rotation and not plan.must_be_proven:
            # nothing can have worked before, so there is nothing to go back to
            lease.finish(connection, work.token)
    changed = [change.name for change in rotation.changes] if rotation else []
    secrets = [name for name in changed if not name.startswith("setting:")]
    parts = [f"stored {' and '.join(secrets)}"] if secrets else []
    parts += [f"moved to the {plan.move_to}"] if plan.move_to else []
    parts += [f"bound to {plan.project_ref or 'no hosted project'}"] if plan.rebinds else []
    parts += [f"the calls show the {plan.auth.replace('_', ' ')}"] if switches else []
    begun = rotation if plan.must_be_proven else None
    kept = "; what was there before is kept until this is proven" if begun else ""
    work.reporter.done(Step("secrets", (", ".join(parts) or "unchanged") + kept, bool(changed)))
    return begun


def _seen_of(work: _Work, names: Iterable[str]) -> dict[str, str | None]:
    return {name: work.seen[name] for name in names}


def _schedule(work: _Work) -> None:
    settings = work.settings
    for one in jobs_plan.apply(work.connection, settings):
        when = registry.find(work.connection, one.job).schedule or "only watched"
        # the migration made it a moment ago
        is_new = when != "only watched" and one.job not in work.jobs_before
        result = "created" if is_new else one.result + (f": {', '.join(one.changes)}" if one.changes else "")
        work.reporter.done(Step("job", f"{one.job} ({when}) {result}", result != "unchanged"))
    for name in jobs_plan.not_in_the_file(work.connection, settings):
        work.reporter.done(Step("job", f"{name} is not in the settings; kept", False))
    stored = store.stored(work.connection)
    for job in settings.jobs.values():
        if isinstance(job.auth, SecretAuth) and job.auth.secret not in stored:
            lacking = f"{job.name} sends a secret that is not stored yet: autosync-db secrets set {job.auth.secret}"
            work.reporter.done(Step("next", lacking, False))


def _switch_others(work: _Work) -> None:
    """Let the calls of the other jobs carry the credential of the settings, once their function knows it."""
    is_handed_over = True
    for name, job in work.settings.jobs.items():
        if name == work.job_name or job.kind != "function" or "auth" not in job.model_fields_set:
            continue
        wanted = job.auth
        if wanted != "service_key" and wanted != "cron_secret":
            continue
        if cron_secret.active_auth(work.connection, name) == wanted:
            continue
        if wanted == "cron_secret" and (work.plan.is_secret_new or _refuses(work, job)):
            work.reporter.done(Step("auth", f"the calls of {name} go on with the service key", False))
            is_handed_over = False
            continue
        cron_secret.activate(work.connection, name, wanted)
        work.reporter.done(Step("auth", f"the calls of {name} show the {wanted.replace('_', ' ')}", True))
    if not is_handed_over and work.plan.auth != "cron_secret":
        hand_over = cron_secret.hand_over(work.configuration)
        work.reporter.done(Step("next", f"{hand_over}; then this command again", False))


def _answers(work: _Work, proof: Proof | None, *, is_known: bool, wait: bool) -> list[Invocation]:
    """Bind the database and return the answers of the proof, or else of a call where one is to be made."""
    result, answers = "", list(proof.answers) if proof else []
    if proof is None and not work.settings.main.calls:
        result = "none to make: no job of the settings calls anything"
    elif proof is None and not is_known:
        result = "not made (the function does not know the cron secret yet)"
    elif proof is None and not wait:
        result = "not made (--no-wait)"
    elif proof is None and situation.is_proven(work.connection, work.job_name):
        result = "not repeated: the last one succeeded with these settings"
        # whoever made it may have been stopped before its outcome was written down
        work.connection.execute("select autosync.settle()")
    elif proof is None:
        patience = work.settings.main.patience
        _, answers = calls.trigger_and_wait(work.connection, work.job_name, patience, work.reporter.doing)
    _bind(work, is_proven=not wait or result.startswith("not repeated") or any(a.cause is Cause.OK for a in answers))
    known.keep_address(work.connection)
    made = "; ".join(sorted({answer.account for answer in answers})) or "none made"
    is_good = not answers or any(answer.cause is Cause.OK for answer in answers)
    work.reporter.done(Step("call", result or made, not result, is_good))
    return answers


def _bind(work: _Work, *, is_proven: bool) -> None:
    """Bind a database that is not bound, and let the jobs of one call that waited for a proof of its project."""
    bound, ref = binding.stored(work.connection) or {}, work.plan.project_ref
    if work.plan.binds and ref:
        binding.bind(work.connection, ref)
        work.reporter.done(Step("binding", f"to the project {ref}", True))
    elif "proving" in bound and is_proven:
        binding.bind(work.connection, bound["project_ref"])
        work.reporter.done(Step("binding", "proven: the jobs call the project now", True))


def _describe(migrated: MigrationResult) -> str:
    parts = []
    if migrated.revisions:
        parts.append(f"{migrated.before or 'empty'} -> {migrated.after}")
    if migrated.objects:
        parts.append(f"{counted(len(migrated.objects), 'object')} applied")
    return ", ".join(parts) or f"at head ({migrated.after})"
