"""No session keeps everybody from reading what is looked at here."""

from autosync_db.checks.model import Check

CHECK = Check(
    layer="server",
    claim="no session keeps everybody from reading the tables that are looked at",
    remedy="select pg_terminate_backend(<pid>); -- of the process named above, or wait until it commits",
)
