"""The Management API, where the environment has an access token for it."""

import os

from autosync_db.secret import Secret
from autosync_db.supabase.management import Management
from autosync_db.supabase.management_request import DEFAULT_URL, TOKEN_VARIABLE, URL_VARIABLE, Access


def access_token() -> Access | None:
    """Return the token of the environment and where it goes, None where none is set. Raises UsageError.

    The address is the environment's alone: a settings file is shared, and could send everybody's token elsewhere.
    """
    token = os.environ.get(TOKEN_VARIABLE, "").strip()
    return Access(Secret(token), os.environ.get(URL_VARIABLE) or DEFAULT_URL) if token else None


def management_of(project_ref: str | None) -> Management | None:
    """Return the project's Management API, None without a token or for a project that is not a hosted one."""
    found = access_token() if project_ref else None
    return Management(project_ref, found) if project_ref and found else None
