"""The function refuses callers who have no credential."""

import re
import secrets

from autosync_db import config
from autosync_db.config import Configuration
from autosync_db.connection import Connection
from autosync_db.credentials import store
from autosync_db.health.model import Check, Row
from autosync_db.remedies import ByYou
from autosync_db.supabase import function as probe
from autosync_db.supabase import key as credential
from autosync_db.supabase.function import Finding, Verdict

PUBLIC_KEY_VARIABLE = "SUPABASE_ANON_KEY"


def _look(connection: Connection, configuration: Configuration, job: str | None) -> list[Row]:
    address = store.project_url(connection)
    found = connection.execute(
        "select j.function, make_interval(secs => j.timeout_milliseconds / 1000.0), j.auth from autosync.job as j"
        " where j.name = %s",
        [job],
    ).fetchone()
    if address is None or found is None:
        missing = "secret project_url" if address is None else f"job {job}"
        return [Row("unknown", missing, "is not stored", {"reason": "missing"})]
    function, timeout, auth = found
    object = f"function {function}"
    if auth == "none":
        return [Row("ok", object, "is called without a credential, as autosync.toml says", {"function": function})]
    callers = _callers()
    key = config.environment_secret(PUBLIC_KEY_VARIABLE)
    if key is not None:
        if not credential.is_public(key):
            return [
                Row("unknown", f"variable {PUBLIC_KEY_VARIABLE}", "holds no public key", {"reason": "no_public_key"})
            ]
        callers["the project's public key"] = credential.headers(key)
    here = configuration.target.reachable(address)
    findings = {
        who: probe.call_without_credential(here, function, headers, timeout) for who, headers in callers.items()
    }
    rows = [_row(function, who, finding) for who, finding in findings.items() if finding.verdict is not Verdict.REFUSED]
    if not rows and key is None and all(finding.by_gateway for finding in findings.values()):
        detail = "was shielded by the gateway, which lets the public key through: it was not called with that one"
        facts = {"reason": "gateway", "function": function}
        rows = [Row("unknown", object, f"{detail} (set {PUBLIC_KEY_VARIABLE})", facts)]
    refused = ", ".join(f"{who} ({finding.summary})" for who, finding in findings.items())
    return rows or [Row("ok", object, f"refused a call with {refused}", {"function": function})]


def _callers() -> dict[str, dict[str, str]]:
    """Return the headers of unauthenticated callers; what a function compares with may be empty or missing."""
    import jwt

    anon = jwt.encode({"iss": "supabase", "role": "anon"}, secrets.token_urlsafe(32), algorithm="HS256")
    return {
        "no credential": {},
        "a made-up anon key": {"authorization": f"Bearer {anon}", "apikey": anon},
        "a made-up publishable key": {"apikey": f"sb_publishable_{secrets.token_urlsafe(23)}"},
        "undefined as its key": {"authorization": "Bearer undefined", "apikey": "undefined"},
    }


def _row(function: str, who: str, finding: Finding) -> Row:
    # as it is deployed: a sub-path and a query may follow
    facts = {"function": re.split(r"[/?]", function)[0], "caller": who}
    if finding.verdict is Verdict.ACCEPTED:
        return Row(
            "critical",
            f"function {function}",
            f"answered {finding.summary} to a call with {who}: anybody can run it",
            {**facts, "reason": "accepted"},
        )
    return Row(
        "unknown",
        f"function {function}",
        f"answered {finding.summary} to a call with {who}, which does not show whether it needs a credential",
        {**facts, "reason": "unclear"},
    )


CHECK = Check(
    layer="function",
    scope="function",
    claim="the function refuses callers who have no credential",
    remedy=ByYou(
        "let it check who calls it, as the function of autosync-db scaffold function does, and deploy it:"
        " supabase functions deploy {function}",
        then="autosync-db verify --probe",
    ),
    needs=("head_applied", "secrets_present", "project_url_valid", "function_deployed", "privileges_sufficient"),
    look=_look,
    probes=True,
)
