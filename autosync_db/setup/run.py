"""The one-time set-up of a project: every step checks first and changes only what is not yet so."""

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from autosync_db.config import Configuration
from autosync_db.connection import Connection, connect
from autosync_db.credentials import cron_secret, lease, store
from autosync_db.credentials import proof as proofs
from autosync_db.credentials.cron_secret import Auth
from autosync_db.credentials.lease import Rotation
from autosync_db.errors import SecretError, UsageError
from autosync_db.jobs import binding, calls, cron, registry
from autosync_db.jobs.calls import Cause, Invocation
from autosync_db.progress import Reporter, Step
from autosync_db.schema import migrate, preflight
from autosync_db.schema.environment import MigrationResult
from autosync_db.secret import Secret
from autosync_db.supabase import address as project
from autosync_db.supabase import function
from autosync_db.supabase import key as credential
from autosync_db.supabase.function import Verdict
from autosync_db.supabase.key import ServiceKey


def validate(project_url: str | None, key: Secret | None, configuration: Configuration) -> ServiceKey | None:
    """Judge address and key by their form, before anything is contacted.

    Raises UsageError for the address and SecretError for the key; None stands for one that is already stored.
    """
    bound = configuration.target.project_ref
    if project_url is not None:
        project.check_url(project_url)
        ref = project.ref_of(project_url)
        if bound and ref != bound:
            raise UsageError(
                f"target {configuration.target.name!r} is bound to the project {bound}, not to {project_url}",
                hint="choose the other target, or change project_ref in the settings file",
            )
        bound = ref
    return credential.inspect(key, project_ref=bound) if key is not None else None


def run(
    configuration: Configuration,
    project_url: str | None,
    key: Secret | None,
    *,
    wait: bool,
    reporter: Reporter,
    rebind: bool = False,
    own_secret: Secret | None = None,
) -> list[Invocation]:
    """Migrate, store the secrets, schedule the job, fire it once and return the function's real answers.

    No call is made when the last one succeeded with everything as it is now, so that a second run changes nothing.
    What can be refused without a call is refused before anything changes. What replaces a secret is a rotation: when
    the function refuses the new one, when it cannot be proven though the old one worked, or when the wait is
    interrupted, what was stored before is put back (SecretError). A database that is bound to another project is
    refused (UsageError), unless `rebind` asks to bind it to this one.

    Where the function knows its caller by a cron secret, that is `own_secret`, the stored one, or a new one. While the
    function does not know it, it is not called with it: a step `next` holds the command that tells it.
    """
    url, settings = configuration.target.database_url, configuration.settings
    reporter.doing("looking at the database")
    with connect(url) as connection:
        preflight.check(connection)
        cron.check(settings.job.schedule, preflight.pg_cron_version(connection))
        if _wanted_store(configuration, connection) == {"store": "vault"}:
            store.require_vault(connection)
        lease.require_idle(connection)
        auth = cron_secret.auth_wanted(connection, configuration)
        before = store.stored(connection)
        given = _given(project_url, before) | (
            _given_key(key, before) if auth == "service_key" else _given_secret(own_secret, before)
        )
        _refuse_what_another_job_shows(connection, configuration, auth, given, before)
        is_untold = store.CRON_SECRET in given and own_secret is None
        ref = _project_ref(connection, given, rebind=rebind)
        if not rebind:
            binding.check(connection, ref)
    reporter.doing("migrating")
    migrated = migrate.upgrade(url, isolation=configuration.isolation, on_retry=reporter.doing)
    reporter.done(Step("migrate", _describe(migrated), bool(migrated.revisions or migrated.objects)))
    for warning in migrated.warnings:
        reporter.done(Step("warning", warning, True))

    token = uuid4()
    with connect(url) as connection:
        worked = _worked(connection, settings.job.name)
        proof = None
        with lease.undone_when_interrupted(configuration, token):
            bound = binding.stored(connection)
            # a new binding is put back with the secrets if they turn out wrong
            new_binding = binding.here(connection, ref) if rebind and bound and ref else None
            new_auth, is_untold = _switch(connection, configuration, auth, given, is_untold, reporter)
            begun = _store(connection, configuration, given, token, reporter, new_binding, new_auth)

            scheduled = registry.configure(connection, settings)
            description = f"{settings.job.name} ({registry.find(connection, settings.job.name).schedule}) {scheduled}"
            reporter.done(Step("job", description, scheduled != "unchanged"))
            if begun and wait:
                prove = proofs.by_dispatch(configuration, reporter.doing)
                proof = prove(connection, lease.keeper(connection, token))
        if not wait or (is_untold and proof is None):
            if begun:
                lease.release(connection, token)
            _bind(connection, bound, ref, reporter)
            why = "the function does not know the cron secret yet" if is_untold else "--no-wait"
            reporter.done(Step("call", f"not made ({why})", False))
            if is_untold:
                reporter.done(_next(configuration))
            return []
        if proof:
            noun = "cron secret" if auth == "cron_secret" else "key"
            # what did not work before either stays open, and verify tells why
            proofs.conclude(connection, token, proof, noun, leave_unclear=not worked)
            answers = list(proof.answers)
        elif _proven(connection, settings.job.name):
            _bind(connection, bound, ref, reporter)
            reporter.done(Step("call", "not repeated: the last one succeeded with these settings", False))
            return []
        else:
            _, answers = calls.trigger_and_wait(connection, settings.job.name, settings.job.timeout, reporter.doing)
        _bind(connection, bound, ref, reporter)
        reporter.done(Step("call", "; ".join(sorted({answer.summary for answer in answers})) or "none made", True))
        if is_untold or (auth == "cron_secret" and any(answer.cause is Cause.KEY for answer in answers)):
            reporter.done(_next(configuration))
        return answers


def _next(configuration: Configuration) -> Step:
    return Step("next", f"{cron_secret.hand_over(configuration)}; then this command again", False)


def _store(
    connection: Connection,
    configuration: Configuration,
    given: dict[str, Secret],
    token: UUID,
    reporter: Reporter,
    new_binding: dict[str, Any] | None,
    new_auth: dict[str, Any] | None,
) -> Rotation | None:
    """Put the given secrets in force, where the settings want them; return the rotation that must be proven, if any."""
    wanted = _wanted_store(configuration, connection)
    new_settings = {"secrets": wanted} if wanted else {}
    new_settings |= {binding.SETTING: new_binding} if new_binding else {}
    new_settings |= {cron_secret.SETTING: new_auth} if new_auth else {}
    replaced = given.keys() & store.stored(connection).keys()
    if not _is_complete(connection, configuration) and not replaced & _needed_by_others(connection, configuration):
        # nothing can have worked before, so there is nothing to go back to
        with connection.transaction():
            first = lease.begin(connection, given, new_settings, token=token)
            if first:
                lease.finish(connection, token)
        begun, changed = None, [change.name for change in first.changes] if first else []
    else:
        begun = lease.begin(connection, given, new_settings, token=token)
        changed = [change.name for change in begun.changes] if begun else []
    secrets = [name for name in changed if not name.startswith("setting:")]
    parts = [f"stored {' and '.join(secrets)}"] if secrets else []
    parts += [f"moved to the {wanted['store']}"] if wanted else []
    parts += [f"bound to {new_binding['project_ref']}"] if new_binding else []
    parts += [f"the calls show the {new_auth[configuration.settings.job.name].replace('_', ' ')}"] if new_auth else []
    kept = "; what was there before is kept until this is proven" if begun else ""
    reporter.done(Step("secrets", (", ".join(parts) or "unchanged") + kept, bool(changed)))
    return begun


def _switch(
    connection: Connection,
    configuration: Configuration,
    auth: Auth,
    given: dict[str, Secret],
    is_untold: bool,
    reporter: Reporter,
) -> tuple[dict[str, Any] | None, bool]:
    """Return the setting that changes how the function knows its caller, None when it stays; and who is still untold.

    Calls that are made with the service key go on so until the function accepts the cron secret, which is stored
    beside it and taken out of `given`.
    """
    name = configuration.settings.job.name
    if cron_secret.active_auth(connection, name) == auth:
        # a first secret is lacking, or a deleted one: nothing is called with it before the function knows it
        return None, is_untold
    row = cron_secret.new_setting(connection, name, auth)
    if auth == "service_key" or not _is_complete(connection, configuration):
        return row, is_untold
    value = given.pop(store.CRON_SECRET, None)
    if value is not None:
        store.store(connection, {store.CRON_SECRET: value})
    else:
        value = cron_secret.reveal(connection, store.CRON_SECRET)
    assert value is not None
    if not is_untold:
        is_untold = _refuses(connection, configuration, given, value, reporter)
    if is_untold:
        reporter.done(Step("auth", "the calls go on with the service key", False))
    return None if is_untold else row, is_untold


def _refuses(
    connection: Connection, configuration: Configuration, given: dict[str, Secret], value: Secret, reporter: Reporter
) -> bool:
    """Return whether the function refuses the cron secret when it is asked directly; who cannot ask does not know."""
    settings = configuration.settings.job
    address = given.get(store.PROJECT_URL)
    url = address.reveal() if address else store.project_url(connection)
    assert url is not None
    reporter.doing("asking the function directly")
    headers = cron_secret.call_headers(connection, value)
    try:
        return function.ask(url, settings.function, headers, settings.timeout).verdict is Verdict.REFUSED
    except SecretError:
        return False


def _refuse_what_another_job_shows(
    connection: Connection,
    configuration: Configuration,
    auth: Auth,
    given: dict[str, Secret],
    before: dict[str, store.StoredSecret],
) -> None:
    """Raise UsageError when the change to a cron secret would take another job's away, for which no call is proof."""
    name = store.CRON_SECRET
    if name not in given or name not in before or before[name].fingerprint == credential.fingerprint(given[name]):
        return
    if cron_secret.active_auth(connection, configuration.settings.job.name) == auth:
        return  # it is replaced by a rotation
    if name in _needed_by_others(connection, configuration):
        raise UsageError(
            "another job's calls show the cron secret that is stored",
            hint="leave --cron-secret-file out, and replace it afterwards with: autosync-db rotate",
        )


def _needed_by_others(connection: Connection, configuration: Configuration) -> set[str]:
    """Return the names that the ticks of other jobs read."""
    if connection.execute("select to_regprocedure('autosync.needed_secrets(text)') is null").fetchone() == (True,):
        return set()
    rows = connection.execute(
        "select distinct n.name from autosync.job as j cross join unnest(autosync.needed_secrets(j.name)) as n (name)"
        " where j.name <> %s",
        [configuration.settings.job.name],
    ).fetchall()
    return {row[0] for row in rows}


def _is_complete(connection: Connection, configuration: Configuration) -> bool:
    """Return whether everything is stored that a call is made with."""
    return set(store.needed(connection, configuration.settings.job.name)) <= store.stored(connection).keys()


def _project_ref(connection: Connection, given: dict[str, Secret], *, rebind: bool) -> str | None:
    """Return the ref of the project that this database is to call, None when nobody has named it.

    What is stored names it only if it is confirmed, by `rebind` or by the database's own address: it may be a copy's.
    """
    address = given.get(store.PROJECT_URL)
    if address is not None:
        return project.ref_of(address.reveal())
    ref = binding.called_ref(connection)
    if rebind and ref is None:
        raise UsageError(
            "the stored project URL names no hosted project to bind to", hint="pass --project-ref REF with --rebind"
        )
    return ref if rebind or ref == binding.ref_of_database(connection) else None


def _bind(connection: Connection, bound: dict[str, Any] | None, ref: str | None, reporter: Reporter) -> None:
    """Bind a database that was not bound, now that everything else is done."""
    if bound is None and ref is not None:
        binding.bind(connection, ref)
        reporter.done(Step("binding", f"to the project {ref}", True))


def _wanted_store(configuration: Configuration, connection: Connection) -> dict[str, Any] | None:
    """Return the setting that the database shall have, None when it has it or nobody chose one."""
    settings = configuration.settings
    if "secrets" not in settings.model_fields_set or settings.secrets.store == store.store_of(connection):
        return None
    return {"store": settings.secrets.store}


def _worked(connection: Connection, name: str) -> bool:
    """Return whether the newest answered call was a success."""
    if connection.execute("select to_regclass('autosync.invocation') is null").fetchone() == (True,):
        return False
    answered = (call for call in calls.recent(connection, name, 50) if call.cause not in {Cause.PENDING, Cause.LOST})
    return any(call.cause is Cause.OK for call in list(answered)[:1])


def _given(project_url: str | None, before: dict[str, store.StoredSecret]) -> dict[str, Secret]:
    if project_url is None and store.PROJECT_URL not in before:
        raise UsageError(
            "the project's URL is not known",
            hint="pass --project-ref REF or --project-url URL, or put project_ref into autosync.toml",
        )
    return {store.PROJECT_URL: Secret(project_url)} if project_url else {}


def _given_key(key: Secret | None, before: dict[str, store.StoredSecret]) -> dict[str, Secret]:
    if key is None and store.SERVICE_KEY not in before:
        raise SecretError(
            "no service key was given and none is stored",
            hint="pass --service-role-key-file PATH (- reads standard input), or set SUPABASE_SERVICE_ROLE_KEY",
        )
    return {store.SERVICE_KEY: key} if key else {}


def _given_secret(own_secret: Secret | None, before: dict[str, store.StoredSecret]) -> dict[str, Secret]:
    if own_secret is not None:
        cron_secret.inspect(own_secret)
        return {store.CRON_SECRET: own_secret}
    return {} if store.CRON_SECRET in before else {store.CRON_SECRET: cron_secret.generate()}


def _proven(connection: Connection, name: str) -> bool:
    last = next(iter(calls.recent(connection, name, 1)), None)
    if last is None or last.cause is not Cause.OK:
        return False
    row = connection.execute(
        "select greatest((select max(f.changed_at) from autosync.secret_facts() as f where f.name = any(%s)),"
        " (select updated_at from autosync.job where name = %s),"
        " (select updated_at from autosync.setting where name = %s))",
        [list(store.needed(connection, name)), name, cron_secret.SETTING],
    ).fetchone()
    assert row is not None
    changed_at: datetime = row[0]
    return last.queued_at > changed_at


def _describe(migrated: MigrationResult) -> str:
    parts = []
    if migrated.revisions:
        parts.append(f"{migrated.before or 'empty'} -> {migrated.after}")
    if migrated.objects:
        parts.append(f"{len(migrated.objects)} objects applied")
    return ", ".join(parts) or f"at head ({migrated.after})"
