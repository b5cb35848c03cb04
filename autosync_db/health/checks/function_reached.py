"""The calls reach the function, and nothing before it answers in its place."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="function",
    scope="call",
    claim="the calls reach the function, and no gateway, firewall or web page answers in its place",
    remedy="# start what the gateway forwards functions to, then: autosync-db jobs trigger",
    remedies={
        "page": "autosync-db setup --project-url URL",
        "no_route": "autosync-db setup --project-url URL",
        "firewall": (
            "# by you, in the dashboard of the content network: let the database's requests pass,"
            " then: autosync-db jobs trigger"
        ),
        "paused": "# by you, in the dashboard: restore the project, then: autosync-db jobs trigger",
    },
    needs=("head_applied", "function_answers_in_time", "privileges_sufficient"),
    causes=("project_url_valid",),
)
