"""Every cron job of a database: what it calls, whether its runs and their answers are good, and why not.

Nothing of ours needs to be installed, and nothing is left: one read-only transaction of a few bounded queries.
"""

from autosync_db.health.audit.judge import run

__all__ = ["run"]
