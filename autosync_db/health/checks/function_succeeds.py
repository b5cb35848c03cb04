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
        "quota": ByYou(
            "raise the organization's quota (on Supabase: Organization > Billing) or wait for its next cycle; where the"
            " function itself answers 402, its log says whom it owes",
            then="autosync-db jobs trigger {job}",
        ),
        "boot": ByYou(
            "start the function on your machine, such as by supabase functions serve, correct what keeps it from"
            " starting, and deploy it again",
            then="autosync-db jobs trigger {job}",
        ),
        "limits": ByYou(
            "let the function do less in one call: a smaller batch_size in autosync.toml for a job that drains"
            " schedules, or parts of the work in calls of their own",
            then="autosync-db setup",
        ),
        "schema_cache": "notify pgrst, 'reload schema'; -- then: autosync-db jobs trigger {job}",
    },
    needs=("head_applied", "function_accepts_key", "privileges_sufficient"),
    causes=("service_role_can_use_schedules",),
)
