"""What the tables of a settings file have in common."""

from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from autosync_db.config import duration

# errors of this type name a key themselves: see wrong()
AT_KEY = "at_key"


class Section(BaseModel):
    """A table of the settings file."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def wrong(key: str, message: str) -> PydanticCustomError:
    """Return the error of a table that speaks of one of its keys; `key` is empty where it is the table's own."""
    return PydanticCustomError(AT_KEY, "{message}", {"message": message, "key": key})


def _duration(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("this is not a duration; write it like 30s, 10m, 1h 30m or 7 days")
    return duration.parse(value) if isinstance(value, str) else value


Duration = Annotated[timedelta, BeforeValidator(_duration), Field(gt=timedelta())]
