"""The function answers without an error."""

from autosync_db.health.model import Check
from autosync_db.remedies import ByYou

CHECK = Check(
    layer="function",
    scope="call",
    claim="the function answers without an error",
    remedy=ByYou(
        "read the function's log (on Supabase: Edge Functions > Logs) and fix it", then="autosync-db jobs trigger {job}"
    ),
    remedies={
        "expect": ByYou(
            "let the function answer what the job's `expect` in autosync.toml says, or change `expect`",
            then="autosync-db setup",
        ),
        "overload": ByYou(
            "drop the function that has the name of another one and other arguments; one beside ours is named by"
            " autosync-db verify --only private_schema_is_ours",
            then="autosync-db jobs trigger {job}",
        ),
        "schema_cache": "notify pgrst, 'reload schema'; -- then: autosync-db jobs trigger {job}",
    },
    needs=("head_applied", "function_accepts_key", "privileges_sufficient"),
    causes=("service_role_can_use_schedules",),
)
