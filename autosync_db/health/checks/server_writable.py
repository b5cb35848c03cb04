"""The server lets pg_cron and pg_net write."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="server",
    claim="the server lets its processes write",
    remedy="alter system set default_transaction_read_only = off; select pg_reload_conf(); -- as a superuser",
    remedies={
        "database": (
            "set default_transaction_read_only = off; alter database {database} reset default_transaction_read_only;"
            " -- as its owner or a superuser; on Supabase first make room on the disk"
        ),
        "role": (
            "set default_transaction_read_only = off; alter role {role} reset default_transaction_read_only;"
            " -- as a superuser"
        ),
        "role_in_database": (
            "set default_transaction_read_only = off;"
            " alter role {role} in database {database} reset default_transaction_read_only; -- as a superuser"
        ),
        "all_roles": (
            "set default_transaction_read_only = off; alter role all reset default_transaction_read_only;"
            " -- as a superuser"
        ),
    },
)
