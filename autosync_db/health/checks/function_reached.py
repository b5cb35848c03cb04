"""The calls reach the function, and nothing before it answers in its place."""

from autosync_db.health.model import Check
from autosync_db.remedies import ByYou

CHECK = Check(
    layer="function",
    scope="call",
    claim="the calls reach the function, and no gateway, firewall or web page answers in its place",
    remedy=ByYou("start the service that the gateway forwards functions to", then="autosync-db jobs trigger {job}"),
    remedies={
        "page": "autosync-db setup --project-url URL",
        "no_route": "autosync-db setup --project-url URL",
        "own_url": ByYou("correct `url` of the job {job} in autosync.toml", then="autosync-db setup"),
        "firewall": ByYou(
            "let the database's requests pass",
            where="in the settings of the content network or firewall",
            then="autosync-db jobs trigger {job}",
        ),
        "refused": ByYou(
            "let the gateway take what the job sends: its address, the size of its headers and its body",
            then="autosync-db jobs trigger {job}",
        ),
        "paused": ByYou("restore the project", where="in the dashboard", then="autosync-db jobs trigger {job}"),
    },
    needs=("head_applied", "function_answers_in_time", "privileges_sufficient"),
    causes=("project_url_valid",),
)
