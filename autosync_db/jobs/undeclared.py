"""Whether a project's declarative schemas would take the jobs away: what their files do not have, `db diff` drops."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from autosync_db.config import HOUSEKEEPING_JOB, Configuration
from autosync_db.supabase import declared

_SCHEMA = "autosync"


@dataclass(frozen=True, slots=True)
class Undeclared:
    """What the schema files of a project lack: the whole schema, or these jobs."""

    folder: Path
    files: int
    schema: bool
    jobs: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """Return what would happen, in a sentence."""
        drops = f"drop the schema {_SCHEMA} and " if self.schema else ""
        return f"the next `supabase db diff` would {drops}unschedule {', '.join(self.jobs) or 'what it lacks'}"


def look(configuration: Configuration, jobs: Collection[str] = ()) -> Undeclared | None:
    """Return what the schema files beside the settings file, or in the current folder, lack of these jobs.

    None where they lack nothing, where there are no such files, or more of them than are read. Raises UsageError when
    one cannot be read.
    """
    names = [*(jobs or _scheduled(configuration)), HOUSEKEEPING_JOB]
    places = [configuration.source.parent] if configuration.source else []
    for place in dict.fromkeys([*places, Path.cwd()]):
        if (found := declared.read(place)) is None:
            continue
        is_missing, missing = bool(found.lacks([_SCHEMA])), found.lacks(list(dict.fromkeys(names)))
        if not found.is_whole or not (is_missing or missing):
            return None
        return Undeclared(found.folder, len(found.files), is_missing, tuple(missing))
    return None


def _scheduled(configuration: Configuration) -> list[str]:
    return [name for name, job in configuration.settings.jobs.items() if not job.watch]
