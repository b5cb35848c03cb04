"""The mode that decides which schedules API users see was chosen."""

from autosync_db.health.model import Check
from autosync_db.remedies import ByYou

CHECK = Check(
    layer="security",
    claim="the mode that decides which schedules API users see was chosen",
    remedy=ByYou("choose [isolation] mode in autosync.toml", then="autosync-db migrate"),
    needs=("head_applied",),
    causes=("head_applied",),
)
