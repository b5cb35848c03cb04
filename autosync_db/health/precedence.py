"""Which of several root causes of one severity is named first: the one nearest to the beginning of the chain."""

# a call comes from one end to the other, and so does a look for what broke it
_CHAIN = (
    "server", "cron", "migrations", "job", "secrets", "net", "function", "schedules", "security", "retention",
    "neighbours",
)  # fmt: skip
# pg_cron's process may die of several things at once: what keeps it from starting comes first
_OF_CRON = (
    "pg_cron_preloaded", "cron_database_matches", "pg_cron_installed", "cron_job_roles_exist",
    "cron_run_sequence_ahead", "no_triggers_on_cron_tables", "pg_cron_not_blocked",
)  # fmt: skip
# no call depends on these
_BESIDE = ("maintenance_possible", "alerts_delivered")


def place(id: str, layer: str) -> tuple[int, int]:
    """Return where in the chain a check of a layer looks."""
    if id in _BESIDE:
        return len(_CHAIN), 0
    return _CHAIN.index(layer), _OF_CRON.index(id) if id in _OF_CRON else len(_OF_CRON)
