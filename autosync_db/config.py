"""Settings: flags, then environment, then autosync.toml, then defaults; the only module that reads the environment.

A settings file never holds a secret: a value in it that looks like one is refused.
"""

import json
import os
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from autosync_db import duration
from autosync_db.errors import UsageError
from autosync_db.secret import Secret
from autosync_db.supabase import address
from autosync_db.supabase.key import LOOKS_SECRET

FILE_NAME = "autosync.toml"
LOCAL_FOLDER = ".autosync"
LOCAL_TARGET = "local"

# every variable that is read, with its meaning; the README's table is generated from it
ENVIRONMENT = {
    "AUTOSYNC_DATABASE_URL": "the database: any libpq URL or keyword string",
    "SUPABASE_DB_URL": "the database, when the one above is not set",
    "DATABASE_URL": "the database, when neither of the two above is set",
    "AUTOSYNC_TARGET": "the target to use, as --target",
    "AUTOSYNC_CONFIG": "the settings file to use, as --config",
    "AUTOSYNC_JOB__SCHEDULE": "any setting of autosync.toml: AUTOSYNC_<TABLE>__<KEY>, here [job] schedule",
    "SUPABASE_SERVICE_ROLE_KEY": "the service key that `setup` reads unless a flag names another source",
    "SUPABASE_ANON_KEY": "the project's public key, which `verify --probe` sends to see that the function refuses it",
    "GITHUB_STEP_SUMMARY": "the file to which `verify --format github` adds its summary; GitHub sets it",
    "NO_COLOR": "any value: plain output",
}
_DATABASE_VARIABLES = ("AUTOSYNC_DATABASE_URL", "SUPABASE_DB_URL", "DATABASE_URL")


def _duration(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("this is no duration; write it like 30s, 10m, 1h 30m or 7 days")
    return duration.parse(value) if isinstance(value, str) else value


Duration = Annotated[timedelta, BeforeValidator(_duration), Field(gt=timedelta())]
Slug = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$")]
Identifier = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_$]{0,62}$")]
Table = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_$]{0,62}\.[A-Za-z_][A-Za-z0-9_$]{0,62}$")]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class JobSettings(_Section):
    """The cron job and the call it makes."""

    name: Slug = "auto-sync-cron-job"
    schedule: Annotated[str, Field(min_length=1)] = "*/5 * * * *"
    function: Slug = "auto-sync-cron"
    timeout: Annotated[Duration, Field(ge=timedelta(seconds=1), le=timedelta(minutes=10))] = timedelta(seconds=30)
    invoke: Literal["always", "when_due"] = "always"
    batch_size: Annotated[int, Field(ge=1, le=1000)] = 50
    max_requests: Annotated[int, Field(ge=1, le=100)] = 4


class FunctionSettings(_Section):
    """How the function knows its caller."""

    auth: Literal["service_key", "cron_secret"] = "service_key"


class SecretsSettings(_Section):
    """Where the secrets are kept."""

    store: Literal["table", "vault"] = "table"


class IsolationSettings(_Section):
    """Which rows of auto_sync_schedules API users see and write.

    `none`: none. `owner`: those whose integration's owner column is auth.uid(). `organization`: those of the
    organizations that the membership table gives to auth.uid(). `custom`: the table's own policies decide.
    Tables are named with their schema.
    """

    mode: Literal["none", "owner", "organization", "custom"] = "none"
    integration_table: Table = "public.device_integrations"
    integration_id_column: Identifier = "id"
    owner_column: Identifier = "user_id"
    membership_table: Table = "public.users"
    membership_user_column: Identifier = "id"
    membership_organization_column: Identifier = "organization_id"


class RetentionSettings(_Section):
    """How long the durable ledger and pg_cron's own history are kept."""

    invocations: Duration = timedelta(days=30)
    job_run_details: Duration = timedelta(days=7)


class TargetSettings(_Section):
    """One database and the project it belongs to. `database_url` carries no password: use PGPASSWORD or a passfile."""

    project_ref: str | None = None
    project_url: str | None = None
    database_url: str | None = None
    database_url_env: str | None = None
    service_role_key_file: Path | None = None


class Settings(BaseSettings):
    """Everything that can be configured, with the database still unresolved; see `target()`."""

    model_config = SettingsConfigDict(env_prefix="AUTOSYNC_", env_nested_delimiter="__", extra="forbid", frozen=True)

    job: JobSettings = JobSettings()
    function: FunctionSettings = FunctionSettings()
    secrets: SecretsSettings = SecretsSettings()
    isolation: IsolationSettings = IsolationSettings()
    retention: RetentionSettings = RetentionSettings()
    targets: dict[str, TargetSettings] = {}

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment win over the file, whose content is passed as init values."""
        return env_settings, init_settings


@dataclass(frozen=True, slots=True)
class Flags:
    """What the command line said; None where it said nothing."""

    database_url: Secret | None = None
    target: str | None = None
    config: Path | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """The database to work on, and what is known of its project."""

    name: str
    database_url: Secret | None
    project_url: str | None
    service_role_key_file: Path | None

    @property
    def project_ref(self) -> str | None:
        """The ref of a hosted project, None elsewhere."""
        return address.ref_of(self.project_url) if self.project_url else None


@dataclass(frozen=True, slots=True)
class Configuration:
    """The active settings and the target they apply to."""

    settings: Settings
    target: Target
    source: Path | None

    @property
    def isolation(self) -> IsolationSettings | None:
        """Return the isolation mode if somebody chose one; None leaves the database as it is."""
        return self.settings.isolation if "mode" in self.settings.isolation.model_fields_set else None


def load(flags: Flags | None = None) -> Configuration:
    """Return the active settings. Raises UsageError for whatever cannot be understood; contacts nothing."""
    flags = flags or Flags()
    source = _find_file(flags.config)
    values = _read_file(source) if source else {}
    try:
        settings = Settings(**values)
    except ValidationError as error:
        raise _explain(error, source) from None
    except SettingsError as error:
        # it names the setting and quotes no value
        raise UsageError(
            f"the environment cannot be read: {error}", hint="set single values, like AUTOSYNC_JOB__SCHEDULE"
        ) from None
    return Configuration(settings, _target(flags, settings), source)


def environment_secret(variable: str) -> Secret | None:
    """Return the value of an environment variable that holds a secret, or None when it is unset or empty."""
    value = os.environ.get(variable)
    return Secret(value) if value else None


def environment_of_children() -> dict[str, str]:
    """Return the environment for a program that is started and needs neither a database nor a key."""
    return {
        name: value
        for name, value in os.environ.items()
        if name not in _DATABASE_VARIABLES and not name.startswith(("AUTOSYNC_", "SUPABASE_", "PG"))
    }


def github_step_summary() -> Path | None:
    """Return the file that GitHub Actions shows on the run's page, None elsewhere."""
    path = os.environ.get("GITHUB_STEP_SUMMARY")
    return Path(path) if path else None


def local_folder() -> Path:
    """Return the folder of the local stack: the nearest `.autosync` up the tree, else one in the current folder.

    Raises UsageError when it belongs to somebody else: its files say what is started, deleted and sent.
    """
    found = _nearest(LOCAL_FOLDER)
    if found is None:
        return Path.cwd() / LOCAL_FOLDER
    status = found.lstat()
    if status.st_uid != os.geteuid() or status.st_mode & 0o022:
        raise UsageError(
            f"{found} belongs to another user or can be written by one",
            hint="work elsewhere, or remove it",
        )
    return found


def make_local_folder(folder: Path) -> None:
    """Create the folder of the local stack if it is not there, and let git ignore all that is in it: keys are."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    ignore = folder / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n", encoding="utf-8")


def _nearest(name: str) -> Path | None:
    here = Path.cwd()
    return next((folder / name for folder in (here, *here.parents) if (folder / name).exists()), None)


def _find_file(flag: Path | None) -> Path | None:
    chosen = flag or (Path(os.environ["AUTOSYNC_CONFIG"]) if os.environ.get("AUTOSYNC_CONFIG") else None)
    if chosen is None:
        return _nearest(FILE_NAME)
    if not chosen.is_file():
        raise UsageError(f"there is no settings file {chosen}", hint="create one with: autosync-db init")
    return chosen


def _read_file(path: Path) -> dict[str, Any]:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}", hint="check the file's permissions") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not UTF-8 text", hint="save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        # the parser's message names line and column and quotes no value
        raise UsageError(f"{path} is not valid TOML: {error}", hint="correct the line it names") from None
    for where, text in _strings(values):
        if LOOKS_SECRET.search(text) or re.search(r"://[^/@\s:]*:.*@|\bpassword\s*=", text, re.IGNORECASE):
            raise UsageError(
                f"{path}: {where} holds a secret",
                hint="remove it from the file (and from version control), rotate it, and pass it by "
                "environment, file or standard input: see autosync-db setup --help",
            )
    return values


def _strings(value: Any, where: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _strings(inner, f"{where}.{key}" if where else str(key))
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner, where)
    elif isinstance(value, str):
        yield where, value


def _explain(error: ValidationError, source: Path | None) -> UsageError:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    if first["type"] == "extra_forbidden":
        message = "is not a setting"
    variable = "AUTOSYNC_" + "__".join(str(part) for part in first["loc"]).upper()
    return UsageError(
        f"{f'the variable {variable}' if variable in os.environ else source or 'the environment'}: {where}: {message}",
        hint="the settings are listed in docs/reference/settings.md; autosync-db init writes a file with all of them",
    )


def _target(flags: Flags, settings: Settings) -> Target:
    name = flags.target or os.environ.get("AUTOSYNC_TARGET") or None
    chosen = TargetSettings()
    if name is not None:
        known = dict(settings.targets)
        local = _local_target()
        if local is not None:
            known.setdefault(LOCAL_TARGET, local)
        if name not in known:
            raise UsageError(
                f"there is no target {name!r}" if _is_name(name) else "there is no target of that name",
                hint="start the local stack first: autosync-db local up"
                if name == LOCAL_TARGET
                else f"known targets: {', '.join(sorted(known))}"
                if known
                else f"add a [targets.{name if _is_name(name) else 'NAME'}] table to {FILE_NAME}",
            )
        chosen = known[name]
    if chosen.project_ref and chosen.project_url:
        raise UsageError(
            f"target {name!r} has both project_ref and project_url",
            hint="keep one of them in the settings file",
        )
    url = chosen.project_url and address.check_url(chosen.project_url)
    return Target(
        name=name or "default",
        database_url=flags.database_url or _database_of(name, chosen) or _database_of_environment(),
        project_url=address.url_of(chosen.project_ref) if chosen.project_ref else url,
        service_role_key_file=chosen.service_role_key_file,
    )


def _is_name(text: str) -> bool:
    """Return whether a message may quote a name: a database URL may have been given in its place."""
    return re.fullmatch(r"[\w.-]+", text) is not None


def _database_of(name: str | None, chosen: TargetSettings) -> Secret | None:
    if variable := chosen.database_url_env:
        found = environment_secret(variable)
        if found is None:
            raise UsageError(
                f"target {name!r} takes its database from "
                + (f"{variable}, which is not set" if _is_name(variable) else "what is no name of a variable"),
                hint="export that variable; its value is the database's URL: postgresql://...",
            )
        return found
    return Secret(chosen.database_url) if chosen.database_url else None


def _database_of_environment() -> Secret | None:
    return next((found for name in _DATABASE_VARIABLES if (found := environment_secret(name))), None)


def _local_target() -> TargetSettings | None:
    if _nearest(LOCAL_FOLDER) is None:
        return None
    path = local_folder() / "target.json"
    try:
        return TargetSettings(**cast("dict[str, Any]", json.loads(path.read_text(encoding="utf-8"))))
    except (OSError, ValueError, TypeError):
        return None
