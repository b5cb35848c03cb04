"""A project that the toolkit has never seen, with cron jobs of its owner's."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autosync_db.local.cluster import Cluster
from autosync_db.secret import Secret
from tests.support import clusters, command, keys
from tests.support.command import Result
from tests.support.http_stub import Request, Stub

TOKEN = "t0ken-of-nobody-in-particular"
RARELY = "59 23 31 12 *"


@dataclass
class Project:
    """A database with cron jobs of somebody's, whose calls reach a stub that knows one key."""

    cluster: Cluster
    stub: Stub
    key: Secret = field(default_factory=keys.secret)

    def __post_init__(self) -> None:
        self.stub.judge = lambda request: 200 if self.accepts(request) else 401

    def accepts(self, request: Request) -> bool:
        shown = {
            request.headers.get(name, "").removeprefix("Bearer ") for name in ("apikey", "authorization", "x-token")
        }
        return bool({self.key.reveal(), TOKEN} & shown)

    def schedule(self, text: str, name: str | None = "report") -> None:
        """Schedule a job, None for one without a name; {url} and {key} in its text are those of the project."""
        text = text.replace("{url}", self.stub.url).replace("{key}", self.key.reveal())
        if name is None:
            self.execute("select cron.schedule(%s, %s)", [RARELY, text])
        else:
            self.execute("select cron.schedule(%s, %s, %s)", [name, RARELY, text])

    def execute(self, query: str, parameters: list[Any] | None = None) -> list[tuple[Any, ...]]:
        """Run a statement as the owner and return its rows."""
        with clusters.connect(self.cluster) as owner:
            cursor = owner.execute(query.encode(), parameters)
            return cursor.fetchall() if cursor.description else []

    def admin(self, query: str) -> None:
        """Run statements as the superuser."""
        with clusters.connect(self.cluster, "supabase_admin") as admin:
            admin.execute(query.encode())

    def cron(self) -> list[tuple[Any, ...]]:
        """Return what pg_cron has, besides housekeeping."""
        return self.execute(
            "select jobname, schedule, command, active from cron.job where jobname is distinct from"
            " 'autosync-keep-house' order by 1, 3"
        )

    def run(self, *arguments: str) -> Result:
        """Run a command."""
        return command.run(*arguments, database=self.cluster.url())

    def write(self, tables: str) -> None:
        """Write the settings file of the current folder."""
        Path("autosync.toml").write_text(tables)

    def imported(self) -> None:
        """Let the settings file be what `jobs import --write` makes of an empty one."""
        self.write("")
        command.succeeds(self.run("jobs", "import", "--write"))
