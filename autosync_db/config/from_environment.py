"""Settings that variables of the environment set in part; loaded only where there is such a variable."""

from collections.abc import Mapping
from typing import Any

from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from autosync_db.config.settings import Settings
from autosync_db.errors import UsageError


class _Settings(Settings, BaseSettings):
    """The settings with the environment as a second source."""

    model_config = SettingsConfigDict(env_prefix="AUTOSYNC_", env_nested_delimiter="__", extra="forbid", frozen=True)

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


def read(values: Mapping[str, Any]) -> Settings:
    """Return the settings of the environment, and for the rest those of the file, whose content is `values`.

    Raises pydantic's ValidationError for invalid values, and UsageError for a variable that is no JSON.
    """
    try:
        found = _Settings(**values)
    except SettingsError as error:
        # it names the setting and quotes no value
        raise UsageError(
            f"the environment cannot be read: {error}", hint="set single values, like AUTOSYNC_JOB__SCHEDULE"
        ) from None
    return Settings.model_construct(
        found.model_fields_set, **{name: getattr(found, name) for name in Settings.model_fields}
    )
