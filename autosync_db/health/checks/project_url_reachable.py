"""The project URL answers pg_net over the network."""

from collections.abc import Mapping, Sequence
from typing import Any

from autosync_db.health import served_here
from autosync_db.health.model import Check
from autosync_db.remedies import ByYou


def _tell(findings: Sequence[Mapping[str, Any]]) -> str:
    reason = next((str(facts["reason"]) for facts in findings if facts.get("reason")), "")
    return served_here.tell(findings) or reason


CHECK = Check(
    layer="net",
    scope="call",
    claim="the project URL answers pg_net over the network",
    remedy="autosync-db setup --project-url URL",
    remedies={
        "redirected": "autosync-db setup --project-url URL  # the address that it leads to",
        "redirected_with_key": (
            "autosync-db setup --project-url URL  # the address that it should go to; then replace the key,"
            " which another host has seen: autosync-db rotate"
        ),
        "wants_https": "autosync-db setup --project-url URL  # the same with https://",
        "reached_since": "autosync-db jobs trigger {job}",
        "own_url": ByYou(
            "start what answers at the `url` of the job {job}, or correct it in autosync.toml", then="autosync-db setup"
        ),
        "own_url_with_secret": ByYou(
            "correct `url` of the job {job} in autosync.toml; then replace the secret, which another host has seen:"
            " autosync-db secrets set {secret} --from-file PATH",
            then="autosync-db setup",
        ),
        "local": "autosync-db local up",
        "this_machine": ByYou(
            "start the service for functions at that address (for example: supabase start), or store another address",
            then="autosync-db jobs trigger {job}",
        ),
    },
    tell=_tell,
    needs=(
        "pg_net_worker_running",
        "pg_net_queue_drains",
        "secrets_present",
        "job_scheduled",
        "job_active",
        "pg_cron_scheduler_running",
        "job_runs_succeed",
        "head_applied",
        "privileges_sufficient",
    ),
    causes=("project_url_resolves", "project_url_valid"),
)
