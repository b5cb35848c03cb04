"""A target: the database to work on, and the project that it belongs to.

It is named by --target or AUTOSYNC_TARGET. Where nobody names one, it is the only target of the settings file, or else
the project that `supabase link` chose; neither when a flag or a variable names another database than theirs.
"""

import json
import os
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from autosync_db.config.folder import LOCAL_FOLDER, local_folder, nearest
from autosync_db.config.settings import Settings, TargetSettings
from autosync_db.errors import UsageError, closest
from autosync_db.secret import Secret
from autosync_db.supabase import address
from autosync_db.supabase import folder as supabase
from autosync_db.supabase.folder import PASSWORD_VARIABLE
from autosync_db.supabase.stack import Stack
from autosync_db.supabase.stack import read as read_stack

FILE_NAME = "autosync.toml"
LOCAL_TARGET = "local"
LINKED_TARGET = "linked"
STACK_TARGET = "supabase"
DATABASE_VARIABLES = ("AUTOSYNC_DATABASE_URL", "SUPABASE_DB_URL", "DATABASE_URL")


@dataclass(frozen=True, slots=True)
class Flags:
    """What the command line said; None where it said nothing."""

    database_url: Secret | None = None
    target: str | None = None
    config: Path | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """The database to work on, and what is known of its project.

    `database` is the error to raise where the target says which database it is and that is not known: commands that
    need none work all the same.
    """

    name: str
    database: Secret | UsageError | None
    project_url: str | None
    service_role_key_file: Path | None
    stack: Stack | None = None  # of `supabase start`
    is_named: bool = field(default=True, compare=False)  # somebody named it, or there is no other

    @property
    def database_url(self) -> Secret | None:
        """The database's address, None where nobody named one. Raises UsageError where the target's is not known."""
        if isinstance(self.database, UsageError):
            raise self.database
        return self.database

    def reachable(self, project_url: str) -> str:
        """Return where this machine reaches a project that the database calls at `project_url`.

        The two differ for the stack of `supabase start`: the database is in a container, where names are others.
        """
        return self.stack.url if self.stack and project_url in self.stack.candidates() else project_url

    @property
    def project_ref(self) -> str | None:
        """The ref of a hosted project, None elsewhere."""
        return address.ref_of(self.project_url) if self.project_url else None


def resolve(flags: Flags, settings: Settings) -> Target:
    """Return the target. Raises UsageError for one that is not known, or whose database is not."""
    name = target_name(flags)
    if name is not None:
        return _named(name, flags, settings)
    if len(settings.targets) > 1:
        found = None
    elif settings.targets:
        found = _unnamed(*next(iter(settings.targets.items())), flags)
    else:
        link = _link()
        found = _unnamed(LINKED_TARGET, TargetSettings(project_ref=link.project_ref), flags, link) if link else None
    return found or Target("default", flags.database_url or _of_environment(), None, None, is_named=False)


def target_name(flags: Flags) -> str | None:
    """Return the target that was named, by a flag or a variable."""
    return flags.target or os.environ.get("AUTOSYNC_TARGET") or None


def known_targets(settings: Settings) -> set[str]:
    """Return every name that --target takes here, and those that it takes elsewhere without an entry in the file."""
    return {*settings.targets, LOCAL_TARGET, STACK_TARGET, LINKED_TARGET, *_supabase_targets()}


def environment_secret(variable: str) -> Secret | None:
    """Return the value of an environment variable that holds a secret, or None when it is unset or empty."""
    value = os.environ.get(variable)
    return Secret(value) if value else None


def _trimmed(variable: str) -> Secret | None:
    """Return the address or the password in a variable, without the line break that a file and a CI system leave."""
    value = os.environ.get(variable, "").strip()
    return Secret(value) if value else None


def no_database() -> UsageError:
    """Return the error where nobody named a database, with what there is instead."""
    others = sorted(
        name
        for name, value in os.environ.items()
        if name not in DATABASE_VARIABLES and re.match(r"postgres(ql)?://", value.strip())
    )
    hint = "pass --database-url, or set AUTOSYNC_DATABASE_URL, or choose a --target"
    if others:
        hint = f'{others[0]} may hold one, but is not read: export AUTOSYNC_DATABASE_URL="${others[0]}"'
    if nearest(FILE_NAME) is None:
        hint += f"; there is no {FILE_NAME} here or in a folder above: go to its folder, or make one: autosync-db init"
    return UsageError("no database was named", hint=hint)


def _named(name: str, flags: Flags, settings: Settings) -> Target:
    chosen = settings.targets.get(name)
    if chosen is None and name == LOCAL_TARGET:
        chosen = _local_target()
    if chosen is not None:
        own = flags.database_url or _own(name, chosen)
        target = Target(name, own or _of_environment(), _project_url(name, chosen), chosen.service_role_key_file)
        _ = target.database_url
        return target
    if name == STACK_TARGET:
        stack = _stack()
        return Target(name, flags.database_url or stack.database_url, None, None, stack)
    refs = _supabase_targets()
    if name not in refs:
        raise _unknown(name, {*settings.targets, *({LOCAL_TARGET} if _local_target() else ()), *refs})
    # a project that supabase/ alone names has no say in which variable holds its database: only its own will do
    database = flags.database_url or _completed(refs[name])
    if database is None and (other := _of_environment()) and address.ref_of_database(other) == refs[name]:
        database = other
    if database is None:
        raise _no_password(name, refs[name])
    return Target(name, database, address.url_of(refs[name]), None)


def _unnamed(name: str, chosen: TargetSettings, flags: Flags, link: supabase.Link | None = None) -> Target | None:
    """Return the target to use where none was named; None where another database than its own was named."""
    url = _project_url(name, chosen)
    ref = address.ref_of(url) if url else None
    own = _own(name, chosen)
    database: Secret | UsageError | None = own
    # a link says less than any address that somebody wrote down
    named = flags.database_url or (_of_environment() if link else _trimmed(DATABASE_VARIABLES[0]))
    if named:
        if named != own and (ref is None or address.ref_of_database(named) != ref):
            return None
        database = named
    elif not isinstance(own, Secret) and (other := _of_environment()):
        its_ref = address.ref_of_database(other)
        # a target that says nothing of its database leaves that to the environment
        is_left_open = own is None and its_ref is None
        if not is_left_open and (its_ref is None or its_ref != ref):
            return None
        database = other
    if database is None and link:
        database = _no_password(name, link.project_ref)
    return Target(name, database, url, chosen.service_role_key_file)


def _project_url(name: str, chosen: TargetSettings) -> str | None:
    if chosen.project_ref and chosen.project_url:
        raise UsageError(
            f"target {name!r} has both project_ref and project_url",
            hint="keep one of them in the settings file",
        )
    key = "project_ref" if chosen.project_ref else "project_url"
    try:
        url = chosen.project_url and address.check_url(chosen.project_url)
        return address.url_of(chosen.project_ref) if chosen.project_ref else url
    except UsageError as error:
        hint = re.sub(r"^(pass|use) ", "write ", error.hint)
        raise UsageError(f"targets.{name}.{key} of {FILE_NAME}: {error.message}", hint=hint) from None


def _own(name: str, chosen: TargetSettings) -> Secret | UsageError | None:
    """Return the database that a target says it has, an error where that is not known, None where it says nothing."""
    found = _trimmed(chosen.database_url_env) if chosen.database_url_env else None
    if found is None and chosen.database_url and not chosen.database_url_env:
        found = Secret(chosen.database_url)
    found = found or (_completed(chosen.project_ref) if chosen.project_ref else None)
    variable = chosen.database_url_env
    if found or not variable:
        return found
    link = _link()
    is_linked = link is not None and link.project_ref == chosen.project_ref
    return UsageError(
        f"target {name!r} takes its database from "
        + (f"{variable}, which is {_lack(variable)}" if is_name(variable) else "what is no name of a variable"),
        hint="export that variable; its value is the database's URL: postgresql://..."
        + (f"; or {PASSWORD_VARIABLE}: supabase link has stored the rest" if is_linked else ""),
    )


def _lack(variable: str) -> str:
    return "set, and empty" if variable in os.environ else "not set"


def _completed(project_ref: str) -> Secret | None:
    """Return a project's address with the password of SUPABASE_DB_PASSWORD, None where it is not that project's."""
    password = _trimmed(PASSWORD_VARIABLE)
    link = _link()
    if password is None or (link and link.project_ref != project_ref):
        return None
    return (link or supabase.Link(project_ref)).database_url(password)


def _no_password(name: str, project_ref: str) -> UsageError:
    link = _link()
    if link and link.project_ref != project_ref:
        hint = f"pass --database-url, or add [targets.{name}] with project_ref and database_url_env to {FILE_NAME}"
    else:
        hint = f"export {PASSWORD_VARIABLE}, or AUTOSYNC_DATABASE_URL with the address of that project's database"
    return UsageError(f"target {name!r} is the project {project_ref}, whose database is not known", hint=hint)


def _unknown(name: str, known: set[str]) -> UsageError:
    return UsageError(
        no_target(name, known),
        hint="start the local stack first: autosync-db local up"
        if name == LOCAL_TARGET
        else f"known targets: {', '.join(sorted(known))}"
        if known
        else f"add a [targets.{name if is_name(name) else 'NAME'}] table to {FILE_NAME}",
    )


def no_target(name: str, known: Collection[str]) -> str:
    """Return the words for a target that is not known, with the known one that is closest."""
    if not is_name(name):
        return "there is no target of that name"
    near = closest(name, known)
    return f"there is no target {name!r}" + (f"; did you mean {near}?" if near else "")


def is_name(text: str) -> bool:
    """Return whether a message may quote a name: a database URL may have been given in its place."""
    return re.fullmatch(r"[\w.-]+", text) is not None


def _of_environment() -> Secret | None:
    return next((found for name in DATABASE_VARIABLES if (found := _trimmed(name))), None)


def _link() -> supabase.Link | None:
    folder = supabase.find(Path.cwd())
    return supabase.link(folder) if folder else None


def _stack() -> Stack:
    folder = supabase.find(Path.cwd())
    if folder is None:
        raise UsageError(
            "there is no supabase/config.toml here or in a folder above", hint="make one with: supabase init"
        )
    return read_stack(folder, os.environ)


def _supabase_targets() -> dict[str, str]:
    """Return the refs of the projects that supabase/ names, by the names of its remotes or `linked`."""
    folder = supabase.find(Path.cwd())
    if folder is None:
        return {}
    link = supabase.link(folder)
    return ({LINKED_TARGET: link.project_ref} if link else {}) | supabase.remotes(folder)


def local_port() -> int | None:
    """Return the port at which the local stack of this folder serves functions, None where there is none."""
    found = _local_target()
    try:
        return urlsplit(found.project_url).port if found and found.project_url else None
    except ValueError:
        return None


def _local_target() -> TargetSettings | None:
    if nearest(LOCAL_FOLDER) is None:
        return None
    path = local_folder() / "target.json"
    try:
        return TargetSettings(**cast("dict[str, Any]", json.loads(path.read_text(encoding="utf-8"))))
    except (OSError, ValueError, TypeError):
        return None
