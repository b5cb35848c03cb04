"""The function refuses callers who have no credential."""

import secrets

import jwt

from autosync_db import config
from autosync_db.config import Configuration
from autosync_db.connection import Connection
from autosync_db.credentials import store
from autosync_db.health.model import Check, Row
from autosync_db.supabase import function as probe
from autosync_db.supabase import key as credential
from autosync_db.supabase.function import Finding, Verdict

PUBLIC_KEY_VARIABLE = "SUPABASE_ANON_KEY"


def _look(connection: Connection, configuration: Configuration) -> list[Row]:
    address = store.project_url(connection)
    found = connection.execute(
        "select j.function, make_interval(secs => j.timeout_milliseconds / 1000.0) from autosync.job as j"
        " where j.name = %s",
        [configuration.settings.job.name],
    ).fetchone()
    if address is None or found is None:
        missing = "secret project_url" if address is None else f"job {configuration.settings.job.name}"
        return [Row("unknown", missing, "is not stored")]
    function, timeout = found
    object = f"function {function}"
    strangers = _strangers()
    key = config.environment_secret(PUBLIC_KEY_VARIABLE)
    if key is not None:
        if not credential.is_public(key):
            return [Row("unknown", f"variable {PUBLIC_KEY_VARIABLE}", "holds no public key")]
        strangers["the project's public key"] = credential.headers(key)
    findings = {who: probe.ask_as_stranger(address, function, headers, timeout) for who, headers in strangers.items()}
    rows = [_row(object, who, finding) for who, finding in findings.items() if finding.verdict is not Verdict.REFUSED]
    if not rows and key is None and all(finding.by_gateway for finding in findings.values()):
        detail = "was shielded by the gateway, which lets the public key through: with that one it was not asked"
        rows = [Row("unknown", object, f"{detail} (set {PUBLIC_KEY_VARIABLE})")]
    told = ", ".join(f"{who} ({finding.summary})" for who, finding in findings.items())
    return rows or [Row("ok", object, f"refused a call with {told}")]


def _strangers() -> dict[str, dict[str, str]]:
    """Return the headers of callers that nobody knows; what a function compares with may be empty or missing."""
    anon = jwt.encode({"iss": "supabase", "role": "anon"}, secrets.token_urlsafe(32), algorithm="HS256")
    return {
        "no credential": {},
        "a made-up anon key": {"authorization": f"Bearer {anon}", "apikey": anon},
        "a made-up publishable key": {"apikey": f"sb_publishable_{secrets.token_urlsafe(23)}"},
        "undefined as its key": {"authorization": "Bearer undefined", "apikey": "undefined"},
    }


def _row(object: str, who: str, finding: Finding) -> Row:
    if finding.verdict is Verdict.ACCEPTED:
        return Row("critical", object, f"answered {finding.summary} to a call with {who}: anybody can run it")
    return Row("unknown", object, f"answered {finding.summary} to a call with {who}, which does not say who is let in")


CHECK = Check(
    layer="function",
    claim="the function refuses callers who have no credential",
    remedy="autosync-db scaffold function --force  # then: supabase functions deploy auto-sync-cron",
    needs=("head_applied", "secrets_present", "project_url_valid", "function_deployed", "privileges_sufficient"),
    look=_look,
    probes=True,
)
