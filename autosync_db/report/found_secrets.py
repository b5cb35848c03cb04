"""What `secrets scan` found, in words and as SARIF."""

from typing import Any

from autosync_db.credentials.scan import Finding, Scan
from autosync_db.report import as_sarif
from autosync_db.report.as_sarif import Place, Result, Rule
from autosync_db.supabase.judge import Kind

_NAMES = {
    Kind.LEGACY: "service_role key",
    Kind.SECRET: "secret key",
    Kind.ACCESS_TOKEN: "access token of a Supabase account",
    Kind.DATABASE_PASSWORD: "password of a database",
    Kind.ANON: "anon key (public)",
    Kind.PUBLISHABLE: "publishable key (public)",
    Kind.SAMPLE: "sample value of local development (public)",
}
_KEY = "Take it out of the file and replace it: autosync-db rotate. The old one stays in the history of the repository."
_HELP = {
    Kind.LEGACY: f"It reads and writes every row of the project. {_KEY}",
    Kind.SECRET: f"It reads and writes every row of the project. {_KEY}",
    Kind.ACCESS_TOKEN: "It manages every project of the account. Revoke it in the dashboard, under Access Tokens.",
    Kind.DATABASE_PASSWORD: "Whoever reaches the server logs in with it. Reset it in the dashboard, under Database,"
    " and pass the new one by the environment.",
}
_RULES = tuple(
    Rule(
        f"secret-in-file/{kind.value}",
        f"{name} in a file",
        _HELP.get(kind, "Everybody may know it: nothing is to be done."),
        "note" if kind.is_public else "error",
        None if kind.is_public else "9.0",
    )
    for kind, name in _NAMES.items()
)


def line(finding: Finding) -> str:
    """Return a finding as a line of text."""
    return f"{finding.path}:{finding.line}: {_words(finding)}"


def sarif(found: Scan) -> dict[str, Any]:
    """Return all findings as SARIF."""
    results = [
        Result(
            f"secret-in-file/{one.kind.value}",
            _words(one),
            Place(one.path, one.line),
            identity=one.fingerprint,
        )
        for one in found.findings
    ]
    return as_sarif.document(_RULES, results, category="secrets-scan", unread=found.unread)


def _words(finding: Finding) -> str:
    project = f" of the project {finding.project_ref}" if finding.project_ref else ""
    return f"{_NAMES[finding.kind]}{project}, fingerprint {finding.fingerprint}"
