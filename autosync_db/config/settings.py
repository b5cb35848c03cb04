"""Everything that can be configured, as the settings file has it."""

from collections.abc import Collection, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, PrivateAttr, ValidationInfo, field_validator, model_validator

from autosync_db.config.jobs import GUIDE_JOB, NO_JOB, JobSettings, ShortJob, check_name, resolved
from autosync_db.config.section import Duration, Section, wrong

# whom alerts go to, each with one address for all jobs or for one
RECEIVERS = ("slack", "webhook", "heartbeat")
# tables of which the database keeps what it has, where the file does not have them
_KEPT = {"secrets", "isolation", "limits", "alerts", "retention"}
Identifier = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_$]{0,62}$")]
Table = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_$]{0,62}\.[A-Za-z_][A-Za-z0-9_$]{0,62}$")]


class FunctionSettings(Section):
    """How the function of [job] knows its caller; a job of [jobs.NAME] has `auth` for that."""

    auth: Literal["service_key", "cron_secret"] = "service_key"


class SecretsSettings(Section):
    """Where the secrets are kept."""

    store: Literal["table", "vault"] = "table"


class IsolationSettings(Section):
    """Which rows of auto_sync_schedules API users see and write.

    `none`: none. `owner`: those whose integration's owner column is auth.uid(). `organization`: those of the
    organizations that the membership table gives to auth.uid(). `custom`: the table's own policies decide.
    Tables are named with their schema.
    """

    mode: Literal["none", "owner", "organization", "custom"] = "none"
    integration_table: Table = "public.device_integrations"
    integration_id_column: Identifier = "id"
    integration_organization_column: Identifier = "organization_id"
    owner_column: Identifier = "user_id"
    membership_table: Table = "public.users"
    membership_user_column: Identifier = "id"
    membership_organization_column: Identifier = "organization_id"


class LimitsSettings(Section):
    """How much API users may create; the service role is not bound."""

    schedules_per_organization: Annotated[int, Field(ge=1, le=1_000_000)] = 100


class AlertsSettings(Section):
    """When somebody is notified. Who is notified is no setting: addresses are secrets, see `autosync-db alerts set`."""

    after: Annotated[int, Field(ge=1, le=100)] = 2

    @model_validator(mode="before")
    @classmethod
    def _hold_no_address(cls, values: Any) -> Any:
        for name, given in values.items() if isinstance(values, dict) else ():
            if name in RECEIVERS or (isinstance(given, str) and "://" in given):
                word = name if name in RECEIVERS else "webhook"
                raise wrong(name, f"addresses are secrets and belong into no file; run: autosync-db alerts set {word}")
        return values


class RetentionSettings(Section):
    """How long the durable ledger and pg_cron's own history are kept."""

    invocations: Duration = timedelta(days=30)
    job_run_details: Duration = timedelta(days=7)


class TargetSettings(Section):
    """One database and the project it belongs to. `database_url` carries no password: use PGPASSWORD or a passfile."""

    project_ref: str | None = None
    project_url: str | None = None
    database_url: str | None = None
    database_url_env: str | None = None
    service_role_key_file: Path | None = None


class Settings(Section):
    """Everything that can be configured, with the database still unresolved; see `reading.load()`.

    `jobs` are all jobs by name, in whichever form the file has them: [jobs.NAME], [job], or the guide's job where it
    names none.
    """

    function: FunctionSettings | None = None
    job: ShortJob | None = None
    jobs: dict[Annotated[str, AfterValidator(check_name)], JobSettings] = Field(
        default_factory=dict, validate_default=True
    )
    secrets: SecretsSettings = SecretsSettings()
    isolation: IsolationSettings = IsolationSettings()
    limits: LimitsSettings = LimitsSettings()
    alerts: AlertsSettings = AlertsSettings()
    retention: RetentionSettings = RetentionSettings()
    targets: dict[str, TargetSettings] = Field(default_factory=dict)
    _elsewhere: dict[str, JobSettings] = PrivateAttr(default_factory=dict)
    _knows_target: bool = PrivateAttr(default=True)

    @model_validator(mode="before")
    @classmethod
    def _pass_over_headers(cls, values: Any) -> Any:
        # a header without a key chooses nothing: what the database has is kept
        return {k: v for k, v in values.items() if v != {} or k not in _KEPT} if isinstance(values, dict) else values

    @field_validator("jobs")
    @classmethod
    def _resolve(cls, tables: dict[str, JobSettings], info: ValidationInfo) -> dict[str, JobSettings]:
        if not {"job", "function"} <= info.data.keys():
            return tables  # one of them is wrong, and that is what is said
        short: ShortJob | None = info.data["job"]
        function: FunctionSettings | None = info.data["function"]
        for name, job in tables.items():
            if "name" in job.model_fields_set:
                raise wrong(f"{name}.name", "the table's name is the job's name; leave this key out")
        if short and short.name in tables:
            raise wrong(short.name, f"this job is named twice: [job] is {short.name}, too; keep one of the two tables")
        if function and tables and not short:
            raise wrong("", "[function] speaks of [job], which is not there; say auth in [jobs.NAME] instead")
        auth = function.auth if function and "auth" in function.model_fields_set else None
        if auth and short and "auth" in short.model_fields_set:
            raise wrong("", "[function] auth and [job] auth say the same thing; keep [job] auth")
        if short is None and not tables:
            short = ShortJob()
        found = {short.name: resolved(short, short.name, auth)} if short else {}
        return found | {name: resolved(job, name) for name, job in tables.items()}

    @property
    def names_jobs(self) -> bool:
        """Whether the settings name a job; if not, commands speak of those that the database has."""
        return bool(self.model_fields_set & {"job", "jobs", "function"})

    @property
    def main(self) -> JobSettings:
        """The job of which commands speak that need one: [job], the guide's, the first that drains or that calls."""
        if self.job:
            return self.jobs[self.job.name]
        if GUIDE_JOB in self.jobs:
            return self.jobs[GUIDE_JOB]
        first = next(iter(self.jobs.values()), NO_JOB)
        calling = [job for job in self.jobs.values() if job.kind == "function"]
        return next((job for job in calling if job.drains), next(iter(calling), first))

    @property
    def elsewhere(self) -> Mapping[str, JobSettings]:
        """The jobs of the file that run on other targets, and not on the chosen one."""
        return self._elsewhere

    @property
    def paused_here(self) -> list[str]:
        """The names of those that setup pauses if the database has them; none where nobody named the target."""
        return [name for name, job in self._elsewhere.items() if not job.watch] if self._knows_target else []

    @property
    def kept_here(self) -> list[str]:
        """The names of those that stay as they are if the database has them, because nobody named the target."""
        return [] if self._knows_target else list(self._elsewhere)

    def at(self, target: str | None) -> "Settings":
        """Return the settings with the jobs that run on a target; None where none is named."""
        here = [name for name, job in self.jobs.items() if job.targets is None or target in job.targets]
        found = self.only(here)
        found._elsewhere = {name: job for name, job in self.jobs.items() if name not in here}
        found._knows_target = target is not None
        return found

    def only(self, names: Collection[str]) -> "Settings":
        """Return the settings with these of its jobs alone, so that `main` is one of them."""
        jobs = {name: job for name, job in self.jobs.items() if name in names}
        return self.model_copy(update={"jobs": jobs, "job": self.job if self.job and self.job.name in jobs else None})
