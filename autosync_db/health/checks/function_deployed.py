"""The function is deployed under its name."""

from autosync_db.health import served_here
from autosync_db.health.model import Check
from autosync_db.remedies import ByYou

CHECK = Check(
    layer="function",
    scope="call",
    claim="the function is deployed under its name",
    remedy=ByYou("supabase functions deploy {function}", then="autosync-db jobs trigger {job}"),
    remedies={
        "local": ByYou(
            "put {function} into the folder of the local stack's functions (see: autosync-db local status)",
            then="autosync-db jobs trigger {job}",
        ),
        "this_machine": ByYou(
            "put {function} into the folder that functions are served from on this machine"
            " (supabase/functions, for supabase start)",
            then="autosync-db jobs trigger {job}",
        ),
    },
    tell=served_here.tell,
    needs=("head_applied", "function_reached", "privileges_sufficient"),
    causes=("project_url_valid",),
)
