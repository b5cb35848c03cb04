"""Where settings come from, and which wins.

A settings file never holds a secret: a value in it that looks like one is refused.
"""

import os
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from autosync_db import user_files
from autosync_db.config import jobs, secret_text
from autosync_db.config.folder import nearest
from autosync_db.config.section import AT_KEY
from autosync_db.config.settings import IsolationSettings, Settings
from autosync_db.config.target import (
    DATABASE_VARIABLES,
    FILE_NAME,
    Flags,
    Target,
    known_targets,
    no_target,
    resolve,
    target_name,
)
from autosync_db.errors import UsageError, closest
from autosync_db.remedies import Aim

# tables of tables
_TABLES_BY_NAME = ("jobs", "targets")
# every variable that is read, with its meaning; the README's table is generated from it
ENVIRONMENT = {
    "AUTOSYNC_DATABASE_URL": "the database: any libpq URL or keyword string",
    "SUPABASE_DB_URL": "the database, when the one above is not set",
    "DATABASE_URL": "the database, when neither of the two above is set",
    "SUPABASE_DB_PASSWORD": "the database password of the project that `supabase link` chose: it completes the address"
    " in supabase/.temp/pooler-url if no other variable names the database",
    "AUTOSYNC_TARGET": "the target to use, as --target",
    "AUTOSYNC_CONFIG": "the settings file to use, as --config",
    "AUTOSYNC_JOB__SCHEDULE": "any setting of autosync.toml: AUTOSYNC_<TABLE>__<KEY>, here [job] schedule;"
    " for [jobs.NAME] AUTOSYNC_JOBS__<NAME>__<KEY>",
    "SUPABASE_SERVICES_HOSTNAME": "the host of the ports of `supabase start`, as for the CLI; 127.0.0.1 without it",
    "SUPABASE_SERVICE_ROLE_KEY": "the service key that `setup` reads unless a flag names another source",
    "SUPABASE_ANON_KEY": "the project's public key, which `verify --probe` sends to check that the function refuses it",
    "SUPABASE_ACCESS_TOKEN": "an access token of Supabase's Management API: commands then read what you do not pass;"
    " nothing needs it",
    "AUTOSYNC_SUPABASE_API_URL": "another address of that API: https, or http on this machine",
    "GITHUB_STEP_SUMMARY": "the file to which `verify --format github` adds its summary; GitHub sets it",
    "AUTOSYNC_ALERT_URL": "the address for messages of `verify --notify`: a webhook of Slack, or any other (a secret)",
    "XDG_STATE_HOME": "the folder for the last state that `verify --notify` sent, if the database cannot keep it;"
    " ~/.local/state without it",
    "NO_COLOR": "any value: plain output",
}


@dataclass(frozen=True, slots=True)
class Configuration:
    """The active settings, the target they apply to, and the options that chose both."""

    settings: Settings
    target: Target
    source: Path | None
    options: tuple[tuple[str, str], ...] = ()

    @property
    def aim(self) -> Aim:
        """Return how a command is printed that is to act on the same database."""
        return Aim(self.options, self.target.project_url is not None)

    @property
    def isolation(self) -> IsolationSettings | None:
        """Return the isolation mode if somebody chose one; None leaves the database as it is."""
        return self.settings.isolation if "mode" in self.settings.isolation.model_fields_set else None


def load(flags: Flags | None = None) -> Configuration:
    """Return the active settings. Raises UsageError for anything that cannot be understood; contacts nothing."""
    flags = flags or Flags()
    settings, source = read(flags)
    target = resolve(flags, settings)
    if any(job.targets for job in settings.jobs.values()):
        settings = settings.at(target.name if target.is_named else None)
    return Configuration(settings, target, source, _options(flags))


def read(flags: Flags) -> tuple[Settings, Path | None]:
    """Return the settings and the file that they are from, whether or not a database of theirs is known here."""
    source = _find_file(flags.config)
    values = _read_file(source) if source else {}
    try:
        settings = _validated(values)
    except ValidationError as error:
        raise _explain(error, source) from None
    _require_known(settings, source)
    return settings, source


def _validated(values: dict[str, Any]) -> Settings:
    """Return the settings of a file's content and of the environment, which wins."""
    if not any(map(_is_setting, os.environ)):
        return Settings.model_validate(values)
    from autosync_db.config import from_environment

    return from_environment.read(values)


def _is_setting(variable: str) -> bool:
    """Return whether a variable says a setting, in capitals or not."""
    prefix, _, rest = variable.lower().partition("_")
    return prefix == "autosync" and rest.partition("__")[0] in Settings.model_fields


def _require_known(settings: Settings, source: Path | None) -> None:
    """Raise UsageError for a job that names a target which nothing knows: it would run nowhere."""
    if not any(job.targets for job in settings.jobs.values()):
        return
    known = known_targets(settings)
    for name, job in settings.jobs.items():
        for one in job.targets or ():
            if one not in known:
                raise UsageError(
                    f"{source or 'the environment'}: jobs.{name}.targets: {no_target(one, known)}",
                    hint=f"known targets: {', '.join(sorted(known))}",
                )


def _options(flags: Flags) -> tuple[tuple[str, str], ...]:
    """Return the options that choose what was chosen, also by a variable: where a command is pasted it may be unset."""
    target = target_name(flags)
    config = flags.config or os.environ.get("AUTOSYNC_CONFIG")
    given = {"--target": target, "--config": str(config) if config else None}
    return tuple((option, value) for option, value in given.items() if value)


def environment_of_children() -> dict[str, str]:
    """Return the environment for a program that is started and needs neither a database nor a key."""
    return {
        name: value
        for name, value in os.environ.items()
        if name not in DATABASE_VARIABLES and not name.startswith(("AUTOSYNC_", "SUPABASE_", "PG"))
    }


def github_step_summary() -> Path | None:
    """Return the file that GitHub Actions shows on the run's page, None elsewhere."""
    path = os.environ.get("GITHUB_STEP_SUMMARY")
    return Path(path) if path else None


def state_folder() -> Path:
    """Return the folder of what is to be known at the next run on this machine."""
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "autosync-db"


def _find_file(flag: Path | None) -> Path | None:
    chosen = flag or (Path(os.environ["AUTOSYNC_CONFIG"]) if os.environ.get("AUTOSYNC_CONFIG") else None)
    if chosen is None:
        return nearest(FILE_NAME)
    if not chosen.is_file():
        raise UsageError(f"there is no settings file {chosen}", hint="create one with: autosync-db init")
    return chosen


def _read_file(path: Path) -> dict[str, Any]:
    with user_files.toml_refusals(path):
        # editors of Windows write a mark before the text
        values = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        _check_texts(path, values)
    return values


def _check_texts(path: Path, values: dict[str, Any]) -> None:
    """Raise UsageError for a text in the file that no database keeps, or that holds a secret."""
    for where, text in secret_text.strings(values):
        if "\0" in text:
            raise UsageError(f"{path}: {where} holds a NUL character, which no database keeps", hint="remove it")
        # what a job runs may compare a column of that name: that text has a judge of its own
        is_sql = re.fullmatch(r"jobs?(\..*)?\.sql", where) is not None
        if not is_sql and secret_text.holds_secret(text):
            raise UsageError(
                f"{path}: {where} holds a secret",
                hint="remove it from the file (and from version control), rotate it, and pass it by "
                "environment, file or standard input: see autosync-db setup --help",
            )


def fault_of(error: ValidationError) -> tuple[tuple[str, ...], str]:
    """Return the place of the first fault of settings, and what it is; quotes no value."""
    first = error.errors(include_url=False, include_input=False)[0]
    place = tuple(str(part) for part in first["loc"] if part not in {jobs.WORD, jobs.TABLE, "[key]"})
    if first["type"] == AT_KEY:
        place += tuple(filter(None, first["ctx"]["key"].split(".")))
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] not in {AT_KEY, "value_error"}:  # our own are written for this place
        message = message[:1].lower() + message[1:]
    return place, message


def _explain(error: ValidationError, source: Path | None) -> UsageError:
    first = error.errors(include_url=False, include_input=False)[0]
    place, message = fault_of(error)
    if first["type"] == "extra_forbidden":
        near = closest(place[-1], _keys_of(place[:-1]))
        home = _home_of(place, is_table=isinstance(error.errors(include_url=False)[0]["input"], dict))
        message = "is not a setting" + (
            f"; did you mean {near}?" if near else f": it belongs in {home}" if home else ""
        )
    elif first["type"] in {"model_type", "dict_type", "model_attributes_type"}:
        message = "this is to be a table"
        if len(place) == 2 and place[0] in _TABLES_BY_NAME:
            message += f" with a name of its own: [{place[0]}.NAME]"
    variable = "AUTOSYNC_" + "__".join(place).upper()
    return UsageError(
        f"{f'the variable {variable}' if variable in os.environ else source or 'the environment'}: "
        f"{'.'.join(place)}: {message}",
        hint="list them with: autosync-db explain settings; a file with all of them is written by: autosync-db init",
    )


def _home_of(place: tuple[str, ...], *, is_table: bool) -> str | None:
    """Return the table that has the last key of a place, None where none or several have it."""
    if is_table:
        return f"[jobs.{place[1]}]" if place[0] == "job" and len(place) == 2 else None
    tables = {f"[{name}]": _keys_of((name,)) for name in Settings.model_fields if name not in _TABLES_BY_NAME}
    tables |= {f"[{name}.NAME]": _keys_of((name, "NAME")) for name in _TABLES_BY_NAME}
    found = [name for name, keys in tables.items() if place[-1] in keys and name not in {"[job]", "[function]"}]
    return found[0] if len(found) == 1 else None


def _keys_of(place: tuple[str, ...]) -> list[str]:
    """Return the keys that the table at a place of the file may have."""
    tables: list[type[BaseModel]] = [Settings]
    is_names = False
    for part in place:
        if is_names:  # the keys of such a table are names of jobs or targets
            is_names = False
            continue
        annotations = [table.model_fields[part].annotation for table in tables if part in table.model_fields]
        is_names = any(get_origin(annotation) is dict for annotation in annotations)
        tables = [found for annotation in annotations for found in _tables_in(annotation)]
    return [] if is_names else [field.alias or name for table in tables for name, field in table.model_fields.items()]


def _tables_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _tables_in(inner)
