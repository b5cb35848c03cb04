"""The project that a database is bound to, so that a copy of it does not call that project's functions unseen.

A binding is a row of autosync.setting: the project's ref, and which server it was on when it was bound. `inherited_by`
in it says in which other project a copy was found, and `proving` that it gets that project's secrets just now. What
follows from it is decided in SQL, autosync.binding_findings(), because dispatch() must know it as well.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import psycopg

from autosync_db.config import LOCAL_TARGET, Configuration, Target
from autosync_db.connection import Connection, exists, setting, value
from autosync_db.errors import AutosyncError, CheckFailedError, UsageError
from autosync_db.jobs import readers
from autosync_db.supabase import address

SETTING = "binding"
# what autosync.stored_secrets() raises where the vault cannot be read
_UNREADABLE = "AS003"
OFF = "off on purpose"
_SILENCING = """
    insert into autosync.setting as s (name, value)
    values ('binding', jsonb_build_object('project_ref', %(project)s::text, 'inherited_by', %(here)s::text))
    on conflict (name) do update set value = s.value || excluded.value
    where coalesce(s.value ->> 'project_ref', %(project)s) = %(project)s
"""


@dataclass(frozen=True, slots=True)
class Inherited:
    """A database that is the copy of another project's.

    `here` is what it is now: a project's ref, or the name of a target on this machine. `is_silent`: its jobs call
    nobody, which the database decides itself. `came_back`: a copy that was restored into the project it came from.
    """

    project: str
    here: str
    is_silent: bool
    came_back: bool = False
    is_certain: bool = True  # that it is a copy, and no target that names the wrong database

    @property
    def sentence(self) -> str:
        """Return what it is, in a few words."""
        if self.came_back:
            return f"inherited from {self.here}, {OFF}: a copy that came back to {self.project}"
        return f"inherited from {self.project}, " + (OFF if self.is_silent else "and calls it from here")

    @property
    def ref(self) -> str | None:
        """Return the ref of the project that it belongs to now, None on this machine."""
        belongs = self.project if self.came_back else self.here
        return belongs if address.is_ref(belongs) else None

    @property
    def next(self) -> str:
        """Return the command that gives it calls of its own."""
        ref = f" --project-ref {self.ref}" if self.ref else ""
        return f"autosync-db setup --rebind{ref} --service-role-key-file PATH"


def stored(connection: Connection) -> dict[str, Any] | None:
    """Return the binding of a database, None when it was never bound or never migrated."""
    if not exists(connection, "autosync.setting"):
        return None
    found = setting.get(connection, SETTING)
    return None if found is None else dict(found)


def here(connection: Connection, project_ref: str | None) -> dict[str, Any]:
    """Return the binding of this database, on this server, to a project; to none with None."""
    return {"project_ref": project_ref, **value(connection, "select autosync.server_identity()")}


def require_same(bound: Mapping[str, Any] | None, project_ref: str | None) -> None:
    """Return if a database with this binding may be set up for a project; raise UsageError if it is another's."""
    found = bound and bound["project_ref"]
    if found and project_ref and found != project_ref:
        raise UsageError(
            f"this database is bound to the project {found}, not to {project_ref}",
            hint="is it the right database? If it is, bind it again: autosync-db setup --rebind ...",
        )


def require_own(found: Inherited | None, error: type[AutosyncError] = CheckFailedError) -> None:
    """Return unless a database is another project's copy, from which nothing is called. Raises `error`."""
    if found:
        raise error(f"no call is made: this database is {found.sentence}", hint=_hint(found))


def refused(found: Inherited) -> UsageError:
    """Return the refusal to set up a copy as if it were the project's own database."""
    bound = "" if found.came_back else f" is bound to the project {found.project}, not to {found.here}: it"
    return UsageError(f"this database{bound} is {found.sentence}; nothing was changed", hint=_hint(found))


def _hint(found: Inherited) -> str:
    return f"to give it calls of its own: {found.next}"


def bind(connection: Connection, project_ref: str | None) -> None:
    """Bind the database, on this server, to a project."""
    connection.execute(
        "insert into autosync.setting as s (name, value)"
        " values (%(name)s, jsonb_build_object('project_ref', %(ref)s::text) || autosync.server_identity())"
        " on conflict (name) do update set value = excluded.value, updated_at = clock_timestamp()"
        " where s.value <> excluded.value",
        {"name": SETTING, "ref": project_ref},
    )


def inherited(connection: Connection, target: Target, given: str | None = None) -> Inherited | None:
    """Return what a database is a copy of; None where nothing says that it is one, or who looks may not see it.

    `given` is the project that somebody says it belongs to. Reads only.
    """
    try:
        bound, called = stored(connection), called_ref(connection)
        found = judge(bound, called, ref_of_database(connection), given or own(target))
        if found is None or found.is_certain or bound is None:
            return found
        moved = here(connection, bound["project_ref"]) != _place(bound)
        return Inherited(found.project, found.here, found.is_silent, found.came_back, is_certain=moved)
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedFunction, psycopg.errors.UndefinedTable):
        return None
    except psycopg.DatabaseError as error:
        if error.sqlstate != _UNREADABLE:
            raise
        return None


def judge(
    bound: Mapping[str, Any] | None, called: str | None, of_database: str | None, of_target: str | None
) -> Inherited | None:
    """Return what a database is a copy of: by its binding or else its stored address, and by what it is said to be.

    The database's own address says more than a target: a target may name the wrong database.
    """
    source = (bound or {}).get("project_ref") or called
    if source is None:
        return None
    belongs = of_database or of_target
    marked = (bound or {}).get("inherited_by")
    if marked and marked != source:
        came_back = belongs == source
        return Inherited(source, marked if came_back else belongs or marked, True, came_back)
    if belongs is None or belongs == source:
        return None
    is_refused = bool(bound and bound.get("project_ref") and called and called != bound["project_ref"])
    is_certain = of_database is not None or not address.is_ref(belongs)
    return Inherited(source, belongs, is_refused, is_certain=is_certain)


def own(target: Target) -> str | None:
    """Return which project a target's database belongs to, by its ref, or that it is one of this machine, by its name.

    None where that is not known: an address that is no hosted project's may be a domain of the same project.
    """
    if target.project_ref:
        return target.project_ref
    host = urlsplit(target.project_url or "").hostname
    is_local = target.stack is not None or target.name == LOCAL_TARGET or host in {"127.0.0.1", "localhost", "::1"}
    return target.name if is_local else None


def silence(connection: Connection, project: str, here: str) -> None:
    """Let a copy of a project call nobody from now on, and take back what it has queued, before any of it is sent.

    Who changed the binding meanwhile knows better.
    """
    connection.execute(_SILENCING, {"project": project, "here": here})
    readers.wait(connection)
    with (
        suppress(
            psycopg.errors.InsufficientPrivilege,
            psycopg.errors.UndefinedTable,
            # somebody's trigger would run with our rights
            psycopg.errors.ObjectNotInPrerequisiteState,
        ),
        connection.transaction(),
    ):
        if exists(connection, "autosync.begin_epoch()"):
            connection.execute("select autosync.begin_epoch()")
        # their outcome is then `lost`
        connection.execute("delete from net.http_request_queue as q where q.headers ? 'x-autosync-job'")


def notice(connection: Connection, configuration: Configuration) -> Inherited | None:
    """Return what a database is a copy of, after seeing to it that a certain one calls nobody."""
    found = inherited(connection, configuration.target)
    if found is None or found.is_silent or not found.is_certain or not exists(connection, "autosync.setting"):
        return found
    silence(connection, found.project, found.here)
    return inherited(connection, configuration.target)


def is_elsewhere(target: Target, stored_url: str) -> bool:
    """Return whether the stored address is another one than a target's in the settings file.

    It says nothing where the target is a stack of this machine: its database has other names for the same gateway.
    """
    if target.project_url is None or target.stack is not None or target.name == LOCAL_TARGET:
        return False
    return _origin(stored_url) != _origin(target.project_url)


def _origin(url: str) -> str:
    return url.strip().rstrip("/").lower()


def called_ref(connection: Connection) -> str | None:
    """Return the ref in the stored address, None when there is none or it is not that of a hosted project."""
    return address.ref_in(called_url(connection))


def called_url(connection: Connection) -> str | None:
    """Return the stored address, None when there is none."""
    if not exists(connection, "public.pg_cron_secrets"):
        return None
    source = (
        "autosync.stored_secrets()" if exists(connection, "autosync.stored_secrets()") else "public.pg_cron_secrets"
    )
    statement = f"select s.secret from {source} as s where s.name = 'project_url'"  # noqa: S608 - one of two constants
    found: str | None = value(connection, statement.encode())
    return found


def ref_of_database(connection: Connection) -> str | None:
    """Return the ref in the address of a hosted database, direct or pooled; None for any other."""
    direct = re.fullmatch(r"db\.([a-z]{20})\.supabase\.(co|in)", connection.info.host)
    pooled = re.fullmatch(r"[^.]+\.([a-z]{20})", connection.info.user)
    if direct:
        return direct[1]
    return pooled[1] if pooled and connection.info.host.endswith(".pooler.supabase.com") else None


def _place(bound: Mapping[str, Any]) -> dict[str, Any]:
    """Return a binding without what became of it since."""
    return {key: found for key, found in bound.items() if key not in {"inherited_by", "proving"}}
