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
        "behind": ByYou(
            "see in the content network's settings why it does not reach the server behind it, or store the project's"
            " own address: autosync-db setup --project-url URL",
            then="autosync-db jobs trigger {job}",
        ),
        "authorities": ByYou(
            "install the certificates of the authorities on the database's server (package ca-certificates)",
            then="autosync-db jobs trigger {job}",
        ),
        "certificate": ByYou(
            "give the address a certificate that has not expired, with its chain, of an authority that the database's"
            " server knows; or store another address: autosync-db setup --project-url URL",
            then="autosync-db jobs trigger {job}",
        ),
        "shut_out": ByYou(
            "let the database's server reach that address (firewall, route, IPv6), or store another address:"
            " autosync-db setup --project-url URL",
            then="autosync-db jobs trigger {job}",
        ),
        "broken_off": ByYou(
            "where it happens again, read the log of the gateway or proxy at that address",
            then="autosync-db jobs trigger {job}",
        ),
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
