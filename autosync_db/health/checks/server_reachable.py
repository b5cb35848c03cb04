"""The database server can be reached and lets this role in."""

from autosync_db.health.model import Check

# whoever can run the query has reached the server; runner.unreachable() speaks for the others
CHECK = Check(
    layer="server",
    claim="the database server can be reached and lets this role in",
    remedy='psql "$AUTOSYNC_DATABASE_URL" -c "select 1"',
)
