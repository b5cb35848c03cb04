"""What a repair is, and what it is drafted from."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from psycopg import sql

from autosync_db.config import Configuration
from autosync_db.connection import Connection
from autosync_db.health.model import CheckResult

Parameters = Sequence[Any] | Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Repair:
    """Statements that mend a fault, in one transaction, and what they do in one plain sentence.

    A `destructive` one deletes rows, or drops or overwrites something that is not ours: it needs consent by name.
    With `in_batches` the statements run again and again, each time in a transaction of its own, until the last one
    answers 0. They act as the owner of the schema autosync, unless not `as_owner`. No statement holds a secret.
    """

    sentence: str
    statements: Sequence[sql.Composable]
    destructive: bool = False
    in_batches: bool = False
    as_owner: bool = True


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why something is not mended, and what can be done instead."""

    reason: str
    hint: str


class Scene:
    """What a repair is drafted from: the findings, and whom this session may act as. Reads only."""

    def __init__(self, connection: Connection, configuration: Configuration, result: CheckResult) -> None:
        self.connection = connection
        self.configuration = configuration
        self.result = result

    @property
    def job(self) -> str:
        """Return the name of the scheduled job."""
        return self.configuration.settings.job.name

    @property
    def findings(self) -> str:
        """Return all that the check said, for repairs that differ by it."""
        return "; ".join(f"{item.object}: {item.detail}" for item in self.result.verdict.evidence)

    @cached_property
    def me(self) -> str:
        """Return the role that this session works as."""
        return str(self.value("select current_user"))

    @cached_property
    def is_superuser(self) -> bool:
        """Return whether this session's role is a superuser."""
        return bool(self.value("select rolsuper from pg_catalog.pg_roles where rolname = current_user"))

    @cached_property
    def owner(self) -> str | None:
        """Return the role that owns the schema autosync; None before the first migration."""
        name = self.value("select pg_get_userbyid(nspowner) from pg_catalog.pg_namespace where nspname = 'autosync'")
        return None if name is None else str(name)

    @property
    def acts_as_owner(self) -> bool:
        """Return whether a repair of things that are not ours is made as the owner: a superuser may do more as such."""
        return not self.is_superuser

    def named_jobs(self) -> list[tuple[int, str | None, str, bool]]:
        """Return number, name and role of the cron jobs that the findings name, and whether autosync.job knows them."""
        found = [re.match(r"(?:the text of )?job (\d+) ", item.detail) for item in self.result.verdict.evidence]
        rows = self.rows(
            "select c.jobid, c.jobname::text, c.username,"
            " exists (select from autosync.job as j where j.name = c.jobname)"
            " from cron.job as c where c.jobid = any(%s::bigint[]) order by c.jobid",
            [[match[1] for match in found if match]],
        )
        return [(number, name, role, is_registered) for number, name, role, is_registered in rows]

    def may_act_as(self, role: str) -> bool:
        """Return whether `set role` to this role is allowed."""
        kind = "set" if self.connection.info.server_version >= 160000 else "member"
        return role == self.me or bool(
            self.value(
                "select r.rolsuper or exists ("
                "select from pg_catalog.pg_roles as o where o.rolname = %s and pg_has_role(r.oid, o.oid, %s))"
                " from pg_catalog.pg_roles as r where r.rolname = current_user",
                [role, kind],
            )
        )

    def rows(self, query: str, parameters: Parameters = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        return self.connection.execute(query, parameters or None).fetchall()

    def value(self, query: str, parameters: Parameters = ()) -> Any:
        """Return the first value of a query, None where there is none."""
        found = self.rows(query, parameters)
        return found[0][0] if found else None


Draft = Callable[[Scene], Iterable[Repair | Refusal]]
