"""The one-time set-up of a project: every step checks first and changes only what is not yet so."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from autosync_db import credential, cron, job, migrate, outcome, preflight, project, secret_store
from autosync_db.config import Configuration
from autosync_db.connection import Connection, connect
from autosync_db.credential import ServiceKey
from autosync_db.errors import SecretError, UsageError
from autosync_db.outcome import Cause, Invocation
from autosync_db.secret import Secret

# how long after the call's own timeout an answer may still be on its way through pg_net
GRACE = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class Step:
    """One step and what came of it; `changed` is false when the project was already so."""

    name: str
    result: str
    changed: bool


@dataclass(frozen=True, slots=True)
class Reporter:
    """Who is told about progress: `done` of every finished step, `doing` of what is under way."""

    done: Callable[[Step], None]
    doing: Callable[[str], None]


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
) -> list[Invocation]:
    """Migrate, store the secrets, schedule the job, fire it once and return the function's real answers.

    No call is made when the last one succeeded with everything as it is now, so that a second run changes nothing.
    What can be refused without a call is refused before anything changes. When the function refuses the key
    (SecretError), or the wait for its answer is interrupted, what was stored before is put back, if anything was.
    """
    url, settings = configuration.target.database_url, configuration.settings
    reporter.doing("looking at the database")
    with connect(url) as connection:
        preflight.check(connection)
        cron.check(settings.job.schedule, preflight.pg_cron_version(connection))
        given = _given(project_url, key, secret_store.stored(connection))
    reporter.doing("migrating")
    migrated = migrate.upgrade(url, isolation=configuration.isolation, on_retry=reporter.doing)
    reporter.done(Step("migrate", _describe(migrated), bool(migrated.revisions or migrated.objects)))

    with connect(url) as connection:
        previous = {name: value for name in given if (value := secret_store.read(connection, name)) is not None}
        changed = secret_store.store(connection, given)
        reporter.done(Step("secrets", f"stored {' and '.join(changed)}" if changed else "unchanged", bool(changed)))

        scheduled = job.configure(connection, settings)
        description = f"{settings.job.name} ({settings.job.schedule}) {scheduled}"
        reporter.done(Step("job", description, scheduled != "unchanged"))

        if not wait:
            reporter.done(Step("call", "not made (--no-wait)", False))
            return []
        if _proven(connection, settings.job.name):
            reporter.done(Step("call", "not repeated: the last one succeeded with these settings", False))
            return []
        try:
            answers = _call(connection, configuration, reporter.doing)
        except BaseException:
            # interrupted or failed before there was proof: what worked before is back in force
            if secret_store.SERVICE_KEY in previous and changed:
                _put_back(configuration, previous)
            raise
        refused = [answer for answer in answers if answer.cause is Cause.KEY]
        if refused and secret_store.SERVICE_KEY in previous and changed:
            secret_store.store(connection, previous)
            raise SecretError(
                f"the function refused the key with {refused[0].summary}; what was stored before is back in force",
                hint="check that the key belongs to this project and is enabled",
            )
        reporter.done(Step("call", "; ".join(sorted({answer.summary for answer in answers})) or "none made", True))
        return answers


def _put_back(configuration: Configuration, previous: dict[str, Secret]) -> None:
    # the interrupted connection may be in the middle of a statement
    with connect(configuration.target.database_url) as connection:
        secret_store.store(connection, previous)


def _given(
    project_url: str | None, key: Secret | None, before: dict[str, secret_store.StoredSecret]
) -> dict[str, Secret]:
    if project_url is None and secret_store.PROJECT_URL not in before:
        raise UsageError(
            "the project's URL is not known",
            hint="pass --project-ref REF or --project-url URL, or put project_ref into autosync.toml",
        )
    if key is None and secret_store.SERVICE_KEY not in before:
        raise SecretError(
            "no service key was given and none is stored",
            hint="pass --service-role-key-file PATH (- reads standard input), or set SUPABASE_SERVICE_ROLE_KEY",
        )
    given = {secret_store.PROJECT_URL: Secret(project_url)} if project_url else {}
    return given | ({secret_store.SERVICE_KEY: key} if key else {})


def _proven(connection: Connection, name: str) -> bool:
    last = next(iter(outcome.recent(connection, name, 1)), None)
    if last is None or last.cause is not Cause.OK:
        return False
    row = connection.execute(
        "select greatest((select max(updated_at) from public.pg_cron_secrets),"
        " (select updated_at from autosync.job where name = %s))",
        [name],
    ).fetchone()
    assert row is not None
    changed_at: datetime = row[0]
    return last.queued_at > changed_at


def _call(connection: Connection, configuration: Configuration, say: Callable[[str], None]) -> list[Invocation]:
    name, timeout = configuration.settings.job.name, configuration.settings.job.timeout
    tick_id = job.trigger(connection, name)
    return outcome.wait(
        connection,
        name,
        tick_id,
        timeout + GRACE,
        lambda waited: say(f"waiting for the function's answer ({waited.total_seconds():.0f} s)"),
    )


def _describe(migrated: migrate.Outcome) -> str:
    parts = []
    if migrated.revisions:
        parts.append(f"{migrated.before or 'empty'} -> {migrated.after}")
    if migrated.objects:
        parts.append(f"{len(migrated.objects)} objects applied")
    return ", ".join(parts) or f"at head ({migrated.after})"
