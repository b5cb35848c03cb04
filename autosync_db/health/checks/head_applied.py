"""The schema is at the newest revision of this version."""

from autosync_db.health.model import Check
from autosync_db.remedies import ByYou

CHECK = Check(
    layer="migrations",
    claim="the schema is at the newest revision of this version",
    remedy="autosync-db migrate",
    remedies={
        "newer": ByYou(
            "install the version of autosync-db that brought the schema there, or a later one: pip install --upgrade"
            " autosync-db",
            then="autosync-db verify",
        ),
        # of a revision that was older, objects_current names what is missing
        "forgotten": (
            "create table if not exists autosync.alembic_version (version_num varchar(32) primary key);"
            " insert into autosync.alembic_version values ('{head}')"
        ),
        "several": ByYou(
            "delete from autosync.alembic_version where version_num != '{revision}'", then="autosync-db migrate"
        ),
    },
    needs=("privileges_sufficient",),
    causes=("cron_database_matches",),
)
