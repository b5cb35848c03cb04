"""Go back to an older revision, and say what that does to jobs that were taken over."""

from collections.abc import Callable
from dataclasses import replace

from autosync_db.config import Configuration
from autosync_db.connection import Connection
from autosync_db.credentials import unfinished
from autosync_db.jobs import references
from autosync_db.schema import migrate
from autosync_db.schema.revisions import MigrationResult

# going back over this revision restores the texts of jobs that were taken over
_RESTORES_TEXTS = "0005"
# what revision 0002 says of a job that reads a secret from the table that it drops
_LOSES_SECRET = "put its secret back into its text"  # noqa: S105 - a message


def run(
    configuration: Configuration,
    revision: str,
    *,
    drop_rows: bool = False,
    is_trial: bool = False,
    on_retry: Callable[[str], None] | None = None,
) -> MigrationResult:
    """Take the database back to `revision`, as migrate.downgrade() does.

    The warnings also name each job that comes back inactive because its text lacks its secret, and secrets that jobs
    read and that are deleted. Raises ConflictError where a rotation would be forgotten; nothing is changed then.
    """
    without_secret: list[str] = []

    def begins(connection: Connection) -> None:
        unfinished.require_none_lost(connection, revision=revision)
        without_secret[:] = [name for name, lacks in references.inactive(connection).items() if lacks]

    done = migrate.downgrade(
        configuration.target.database_url,
        revision,
        drop_rows=drop_rows,
        is_trial=is_trial,
        begins=begins,
        on_retry=on_retry,
    )
    warnings = list(done.warnings)
    if any(_LOSES_SECRET in warning for warning in warnings):
        were = "would be" if is_trial else "were"
        warnings.append(f"their secrets {were} deleted with public.pg_cron_secrets; autosync-db teardown keeps them")
    if _RESTORES_TEXTS in done.revisions:
        warnings += [f"the job {name} comes back inactive, with *** in place of its secret" for name in without_secret]
    return replace(done, warnings=warnings)
