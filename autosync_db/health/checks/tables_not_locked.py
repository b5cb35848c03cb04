"""Nobody keeps everybody from reading what is looked at here, or calls from being written down."""

from autosync_db.health.model import Check
from autosync_db.remedies import ByYou

PREPARED = ByYou(
    "rollback prepared '{gid}'; or, to keep its changes: commit prepared '{gid}'",
    where="in this database, as the role {role} or a superuser",
)

CHECK = Check(
    layer="server",
    claim="no lock blocks all reads of the tables that the checks read, or the recording of calls",
    remedy=ByYou(
        "wait until it commits, or end it with pg_terminate_backend(pid); to find it: select distinct a.pid, a.usename,"
        " a.application_name, a.xact_start, a.query from pg_locks as l join pg_stat_activity as a on a.pid = l.pid"
        " where l.granted and l.mode in ('AccessExclusiveLock', 'ExclusiveLock', 'ShareRowExclusiveLock', 'ShareLock')"
    ),
    remedies={"prepared": PREPARED},
)
