"""No session keeps everybody from reading what is looked at here."""

from autosync_db.health.model import Check
from autosync_db.remedies import ByYou

CHECK = Check(
    layer="server",
    claim="no session blocks all reads of the tables that the checks read",
    remedy=ByYou(
        "wait until it commits, or end it with pg_terminate_backend(pid); to find it: select distinct a.pid, a.usename,"
        " a.application_name, a.xact_start, a.query from pg_locks as l join pg_stat_activity as a on a.pid = l.pid"
        " where l.granted and l.mode = 'AccessExclusiveLock'"
    ),
)
