"""Who can be notified: what an address must be, and in which form a heartbeat is expected there.

Decided when an address is set, by its host and path alone: later nobody but the database sees it. Forms and methods are
those of the services' own pages, seen in November 2026 (docs/guides/alerts.md).
"""

import ipaddress
import re
from typing import Literal
from urllib.parse import SplitResult, parse_qsl, urlsplit

from autosync_db.errors import SecretError
from autosync_db.secret import Secret

Kind = Literal["slack", "webhook", "heartbeat"]
Form = Literal["slack", "webhook", "healthchecks", "betterstack", "cronitor", "sentry", "get"]

_SENTRY = re.compile(r"/api/\d+/cron/[^/]+/[^/]+/?")
# the second is that of GovSlack
SLACK_HOSTS = frozenset({"hooks.slack.com", "hooks.slack-gov.com"})
_DISCORD = re.compile(r"(?:.*\.)?discord(?:app)?\.com")
# what these addresses say when they end so is no success
_NO_SUCCESS = {
    "healthchecks": re.compile(r"/(?:start|fail|log|\d{1,3})$"),
    "betterstack": re.compile(r"/(?:fail|\d{1,3})$"),
    # a service of one's own, healthchecks above all
    "get": re.compile(r"/(?:start|fail)$|/[0-9a-f]{8}-[0-9a-f-]{27}/(?:log|\d{1,3})$", re.IGNORECASE),
}
_OWN_STATE = {"cronitor": "state", "sentry": "status"}


def form_of(kind: Kind, address: Secret) -> Form:
    """Return in which form `address` is called. Raises SecretError that says why it cannot be, and shows nothing."""
    found = _split(address)
    host = (found.hostname or "").lower()
    if kind == "slack":
        if _DISCORD.fullmatch(host) and not found.path.endswith("/slack"):
            raise SecretError(
                "Discord takes Slack's form at another address", hint="add /slack to the end of the address"
            )
        return "slack"
    if kind == "webhook":
        if host in SLACK_HOSTS:
            raise SecretError("Slack accepts only its own format", hint="run: autosync-db alerts set slack")
        if _DISCORD.fullmatch(host):
            raise SecretError(
                "Discord accepts only its own format, and Slack's at the address that ends in /slack",
                hint="add /slack to the end of the address, and run: autosync-db alerts set slack",
            )
        return "webhook"
    form = _heartbeat(host, found.path)
    if (wrong := _NO_SUCCESS.get(form)) and wrong.search(found.path.rstrip("/")):
        raise SecretError(
            "the end of the address reports something other than success",
            hint="pass the address as the service shows it, without /start, /fail, /log or a number",
        )
    if (own := _OWN_STATE.get(form)) and any(name == own for name, _ in parse_qsl(found.query)):
        raise SecretError(f"the address has {own} already", hint=f"leave ?{own}=... out: it is added to each ping")
    return form


def takes_slack(host: str) -> bool:
    """Return whether all webhooks of a host want Slack's form."""
    return host in SLACK_HOSTS or _DISCORD.fullmatch(host) is not None


def _split(address: Secret) -> SplitResult:
    text = address.reveal()
    try:
        found = urlsplit(text)
        host = found.hostname
        _ = found.port
    except ValueError:
        found, host = SplitResult("", "", "", "", ""), None
    if found.scheme not in {"http", "https"} or not host or not re.fullmatch(r"[!-~]+", text) or "#" in text:
        raise SecretError(
            "this is not an address that can be called", hint="pass one like https://HOST/PATH, in one line"
        )
    if found.scheme == "http" and not _is_near(host):
        raise SecretError(
            "the address, which is a secret, would be sent unencrypted",
            hint="use https:// instead of http://",
        )
    return found


def _is_near(host: str) -> bool:
    """Return whether a host is of the database's own network, where TLS is rare."""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return "." not in host or host.endswith((".internal", ".local"))


def _heartbeat(host: str, path: str) -> Form:
    if host == "hc-ping.com" or host.endswith(".healthchecks.io") or host == "healthchecks.io":
        return "healthchecks"
    if host in {"uptime.betterstack.com", "betteruptime.com", "uptime.betteruptime.com"}:
        return "betterstack"
    if host in {"cronitor.link", "cronitor.io"}:
        return "cronitor"
    # Sentry of one's own has any host
    if _SENTRY.fullmatch(path):
        return "sentry"
    return "get"
