"""The Management API, where the environment has an access token for it."""

import os
from typing import TYPE_CHECKING

from autosync_db.secret import Secret
from autosync_db.supabase.management_request import DEFAULT_URL, TOKEN_VARIABLE, URL_VARIABLE, Access

if TYPE_CHECKING:
    from autosync_db.supabase.management import Management


_PATIENCE_SECONDS = 30


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
