"""The project URL answers pg_net over the network."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="net",
    scope="call",
    claim="the project URL answers pg_net over the network",
    remedy="autosync-db setup --project-url URL",
    remedies={
        "redirected": (
            "autosync-db setup --project-url URL  # the address that it leads to; a job's own `url` is in autosync.toml"
        ),
        "redirected_with_key": (
            "autosync-db setup --project-url URL  # the address that it should go to; then replace the key,"
            " which another host has seen: autosync-db rotate"
        ),
    },
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
