"""What a test writes into a database past the product: runs, schedules, roles."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import psycopg

from autosync_db.local.cluster import Cluster
from tests.support import clusters


@dataclass
class Records(ABC):
    """A database that a test writes into."""

    cluster: Cluster

    @property
    @abstractmethod
    def owner(self) -> psycopg.Connection[clusters.Row]:
        """Return a session of the role that ran the migrations."""

    @property
    @abstractmethod
    def admin(self) -> psycopg.Connection[clusters.Row]:
        """Return a session of a superuser."""

    @property
    @abstractmethod
    def job_name(self) -> str:
        """Return the name of the scheduled job."""

    def record_run(self, status: str, message: str, *, ended: str | None = "clock_timestamp()") -> None:
        """Write a run of the job into pg_cron's history; `ended` None is a run that never began."""
        moment = ended or "null"
        self.admin.execute(
            f"""
            insert into cron.job_run_details
                (jobid, runid, job_pid, database, username, command, status, return_message,
                start_time, end_time)
            select c.jobid, nextval('cron.runid_seq'), 0, c.database, c.username, c.command, %s, %s,
                {moment}, {moment}
            from cron.job as c where c.jobname = %s
            """.encode(),
            [status, message, self.job_name],
        )

    def record_run_that_waited(self) -> None:
        """Write two runs down of which the second could only start when the first, of 100 s, had ended."""
        for start, end in (("08:00:00", "08:01:40"), ("08:01:40", "08:01:41")):
            self.record_run("succeeded", "1 row")
            self.admin.execute(
                "update cron.job_run_details set start_time = %s, end_time = %s"
                " where runid = (select max(runid) from cron.job_run_details)",
                [f"2026-01-05 {start}+00", f"2026-01-05 {end}+00"],
            )

    def add_schedule(self, **columns: object) -> None:
        """Insert an enabled schedule as it is, past the trigger; a text that starts with `now()` is SQL."""
        values = {"enabled": True, **columns}
        given = values.values()
        shown = [v if isinstance(v, str) and v.startswith(("now()", "(now()")) else "%s" for v in given]
        with self.admin.transaction():
            self.admin.execute("set local session_replication_role = replica")
            self.admin.execute(
                "insert into public.auto_sync_schedules (integration_id, organization_id,"
                f" {', '.join(values)}) values (gen_random_uuid(), gen_random_uuid(),"
                f" {', '.join(shown)})".encode(),
                [v for v, mark in zip(given, shown, strict=True) if mark == "%s"],
            )
            self.admin.execute("set local session_replication_role = origin")

    def create_role(self, name: str, *, grants: str = "") -> None:
        """Create a login role that a test can act as."""
        password = f"{name}-{self.cluster.port}"
        self.admin.execute(f"create role {name} login password '{password}'".encode())
        if grants:
            self.admin.execute(grants.encode())
        self.cluster.passwords[name] = password
