"""The function and the gateway before it accept the stored key."""

from autosync_db.health.model import Check
from autosync_db.remedies import ByYou

CHECK = Check(
    layer="function",
    scope="call",
    claim="the function and the gateway before it accept the stored key",
    remedy="autosync-db setup --service-role-key-file PATH",
    remedies={
        "legacy_disabled": "autosync-db rotate --from-file PATH  # a secret key of the kind sb_secret_",
        "gateway_key": "autosync-db secrets set gateway_key --from-file PATH",
        "cron_secret": ByYou(
            "give the function its secret: autosync-db secrets env PATH && supabase secrets set --env-file PATH",
            then="autosync-db jobs trigger {job}",
        ),
        "default_key": (
            "autosync-db rotate --from-file PATH"
            "  # the secret key named default, or let the function accept the name of yours"
        ),
        "verify_jwt": ByYou(
            "the gateway wants a JWT, and the key is none: write verify_jwt = false for the function in"
            " supabase/config.toml, and deploy it again (on this machine: start it again)",
            then="autosync-db jobs trigger {job}",
        ),
        "own_secret": "autosync-db secrets set {secret} --from-file PATH",
        "no_credential": ByYou(
            "say in autosync.toml which credential the job {job} sends (auth), or let the function take calls without",
            then="autosync-db setup",
        ),
        "untried": "autosync-db jobs trigger {job}",
    },
    needs=("head_applied", "function_deployed", "privileges_sufficient"),
    causes=("rotation_finished", "service_key_valid", "service_key_matches_project"),
)
