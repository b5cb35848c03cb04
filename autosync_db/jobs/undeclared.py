"""Whether a project's declarative schemas would take the jobs away: what their files do not have, `db diff` drops."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

from autosync_db.config import HOUSEKEEPING_JOB, Configuration
from autosync_db.errors import UsageError
from autosync_db.supabase import declared
from autosync_db.supabase.declared import Declared

SCHEMA = "autosync"
# of the files that `export supabase --schemas` writes
_OURS = "zz_autosync_"


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
        drops = f"drop the schema {SCHEMA} and " if self.schema else ""
        return f"the next `supabase db diff` would {drops}unschedule {', '.join(self.jobs) or 'what it lacks'}"


def look(configuration: Configuration, jobs: Collection[str] = ()) -> Undeclared | None:
    """Return what the schema files beside the settings file, or in the current folder, lack of these jobs.

    None where they lack nothing, where there are no such files, or more of them than are read. Raises UsageError when
    one cannot be read.
    """
    # files are the same on all targets, so a job that runs on some is in none
    of_some = {name for name, job in configuration.settings.jobs.items() if job.targets}
    of_some |= configuration.settings.elsewhere.keys()
    names = [*(name for name in jobs or _scheduled(configuration) if name not in of_some), HOUSEKEEPING_JOB]
    found = files_of(configuration)
    if found is None or not found.is_whole:
        return None
    is_missing, missing = bool(found.lacks([SCHEMA])), found.lacks(list(dict.fromkeys(names)))
    return Undeclared(found.folder, len(found.files), is_missing, tuple(missing)) if is_missing or missing else None


def declared_jobs(configuration: Configuration) -> list[str]:
    """Return the jobs of the settings that our own schema files make; none where the files cannot be read."""
    try:
        found = files_of(configuration)
        if found is None:
            return []
        ours = [path.read_text("utf-8", errors="replace") for path in found.files if path.name.startswith(_OURS)]
    except (UsageError, OSError):
        return []
    names = list(configuration.settings.jobs)
    missing = replace(found, text="\n".join(ours)).lacks(names)
    return [name for name in names if name not in missing]


def files_of(configuration: Configuration) -> Declared | None:
    """Return the schema files beside the settings file, or in the current folder; None where there are none.

    Raises UsageError when one cannot be read.
    """
    places = [configuration.source.parent] if configuration.source else []
    found = (declared.read(place) for place in dict.fromkeys([*places, Path.cwd()]))
    return next((one for one in found if one is not None), None)


def _scheduled(configuration: Configuration) -> list[str]:
    return [name for name, job in configuration.settings.jobs.items() if not job.watch]
