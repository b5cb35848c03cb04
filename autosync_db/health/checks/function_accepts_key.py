"""The function and the gateway before it accept the stored key."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="function",
    scope="call",
    claim="the function and the gateway before it accept the stored key",
    remedy="autosync-db setup --service-role-key-file PATH",
    needs=("head_applied", "function_deployed", "privileges_sufficient"),
    causes=("rotation_finished", "service_key_valid", "service_key_matches_project"),
)
