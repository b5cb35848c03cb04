"""Settings: flags, then environment, then autosync.toml, then defaults; the only folder that reads the environment."""

from autosync_db.config.access import has_access_token, management_of, why_gone
from autosync_db.config.folder import LOCAL_FOLDER, local_folder, make_local_folder
from autosync_db.config.jobs import (
    GUIDE_JOB,
    HOUSEKEEPING_JOB,
    ExpectSettings,
    JobSettings,
    RetrySettings,
    SecretAuth,
    ShortJob,
)
from autosync_db.config.reading import (
    ENVIRONMENT,
    Configuration,
    environment_of_children,
    github_step_summary,
    load,
    read,
    state_folder,
    target_name,
)
from autosync_db.config.settings import (
    FunctionSettings,
    IsolationSettings,
    LimitsSettings,
    RetentionSettings,
    SecretsSettings,
    Settings,
    TargetSettings,
)
from autosync_db.config.target import (
    FILE_NAME,
    LOCAL_TARGET,
    STACK_TARGET,
    Flags,
    Target,
    environment_secret,
    local_port,
)

__all__ = [
    "ENVIRONMENT",
    "FILE_NAME",
    "GUIDE_JOB",
    "HOUSEKEEPING_JOB",
    "LOCAL_FOLDER",
    "LOCAL_TARGET",
    "STACK_TARGET",
    "Configuration",
    "ExpectSettings",
    "Flags",
    "FunctionSettings",
    "IsolationSettings",
    "JobSettings",
    "LimitsSettings",
    "RetentionSettings",
    "RetrySettings",
    "SecretAuth",
    "SecretsSettings",
    "Settings",
    "ShortJob",
    "Target",
    "TargetSettings",
    "environment_of_children",
    "environment_secret",
    "github_step_summary",
    "has_access_token",
    "load",
    "local_folder",
    "local_port",
    "make_local_folder",
    "management_of",
    "read",
    "state_folder",
    "target_name",
    "why_gone",
]
