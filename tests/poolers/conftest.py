"""The command line on a project behind each kind of pooler, and with none."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import cast

from autosync_db.local.cluster import Cluster
from autosync_db.secret import Secret
from tests.support import clusters, command, http_stub, keys, pooler
from tests.support.command import Result
from tests.support.http_stub import Stub

KEY_VARIABLE = "SUPABASE_SERVICE_ROLE_KEY"
# pg_cron must not tick on its own in the middle of a test
NEVER = "0 0 1 1 *"
SETTINGS = {"AUTOSYNC_JOB__SCHEDULE": NEVER}


@dataclass(frozen=True, slots=True)
class Way:
    """A cluster, and the address by which commands are to reach it."""

    name: str
    cluster: Cluster
    pooled: Cluster
    stub: Stub
    key: Secret

    def run(self, *arguments: str, variables: Mapping[str, str] | None = None) -> Result:
        """Run `autosync-db ARGUMENTS` on the project as it is reached this way."""
        return command.run(*arguments, database=self.pooled.url(), variables={**SETTINGS, **(variables or {})})

    def leftovers(self) -> list[str]:
        """Return what the commands left in the sessions of a transaction pooler; elsewhere sessions are their own."""
        return pooler.leftovers(self.pooled) if self.name == "transaction" else []


@contextmanager
def reached(template: Cluster, name: str) -> Iterator[Way]:
    """Yield a copy of a cluster, a stub for the project's functions, and the way to the cluster of that name."""
    with clusters.cloned(template) as cluster, http_stub.serve() as stub, ExitStack() as stack:
        pooled = cluster
        if name != "direct":
            pooled = stack.enter_context(pooler.before(cluster, cast("pooler.Mode", name)))
        yield Way(name, cluster, pooled, stub, keys.secret())
