"""The Management API, where the environment has an access token for it."""

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from autosync_db.errors import AutosyncError
from autosync_db.secret import Secret
from autosync_db.supabase.management_request import (
    DEFAULT_URL,
    TOKEN_VARIABLE,
    URL_VARIABLE,
    Access,
    Kind,
    ManagementError,
)

if TYPE_CHECKING:
    from autosync_db.supabase.management import Management


_PATIENCE_SECONDS = 30
# of a question that only completes an error message
_SHORT_SECONDS = 5
_RESTORE = "restore it in the dashboard, then run this again: https://supabase.com/dashboard/project/{ref}"
_WAIT = "wait until the dashboard shows it as healthy, then run this again"
# the API's word for a project without a database that answers, ours, and what to do
_STATES = {
    "INACTIVE": ("is paused", _RESTORE),
    "PAUSING": ("is being paused", _RESTORE),
    "PAUSE_FAILED": ("was to be paused, which failed", _RESTORE),
    "GOING_DOWN": ("is going down", _RESTORE),
    "REMOVED": ("is deleted", "name the address of another project"),
    "COMING_UP": ("is starting", _WAIT),
    "RESTORING": ("is being restored", _WAIT),
    "RESTARTING": ("is restarting", _WAIT),
    "RESIZING": ("is being resized", _WAIT),
    "UPGRADING": ("is being upgraded", _WAIT),
    "INIT_FAILED": ("failed to start", "see the dashboard: https://supabase.com/dashboard/project/{ref}"),
    "RESTORE_FAILED": ("could not be restored", "see the dashboard: https://supabase.com/dashboard/project/{ref}"),
}


@dataclass(frozen=True, slots=True)
class Gone:
    """Why nothing of a project answers, and what to do."""

    reason: str
    hint: str


def has_access_token() -> bool:
    """Return whether the environment has a token."""
    return bool(os.environ.get(TOKEN_VARIABLE, "").strip())


def management_of(project_ref: str | None, patience: float = _PATIENCE_SECONDS) -> "Management | None":
    """Return the project's Management API, None without a token or for a project that is not a hosted one.

    `patience` is how many seconds one request may take. Raises UsageError for what can be no token, or no address of
    the API. The address is the environment's alone: a settings file is shared, and could send everybody's token
    elsewhere.
    """
    if project_ref is None or not has_access_token():
        return None
    from autosync_db.supabase.management import Management

    token = Secret(os.environ[TOKEN_VARIABLE].strip())
    return Management(project_ref, Access(token, os.environ.get(URL_VARIABLE) or DEFAULT_URL, patience))


def why_gone(project_ref: str) -> Gone | None:
    """Return why nothing of a project answers; None where the API says that it runs, or cannot be asked."""
    try:
        management = management_of(project_ref, _SHORT_SECONDS)
        state = _STATES.get(management.state()) if management else None
    except ManagementError as error:
        if error.kind is not Kind.MISSING:
            return None
        return Gone(
            f"there is no project {project_ref} for this access token",
            "it is deleted, or its ref is mistyped, or it is another account's: see https://supabase.com/dashboard",
        )
    except AutosyncError:  # of the token or its address; what failed is the database
        return None
    if state is None:
        return None
    reason, hint = state
    return Gone(f"the project {project_ref} {reason}", hint.format(ref=project_ref))
