"""The address of a Supabase project, or of whatever serves its Edge Functions."""

import ipaddress
import re
from urllib.parse import urlsplit

from autosync_db.errors import UsageError
from autosync_db.secret import Secret

_REF = re.compile(r"[a-z]{20}")
# a project's own database host, and its user at Supabase's poolers, in a URL or a keyword string
_OF_DATABASE = re.compile(
    r"(?:^|[@=,\s'])db\.([a-z]{20})\.supabase\.(?:co|in)\b|(?:^postgres(?:ql)?://|\buser\s*=\s*'?)[\w-]+\.([a-z]{20})\b(?=[:@'\s]|$)"
)


def is_ref(text: str) -> bool:
    """Return whether `text` is the ref of a hosted project by its form."""
    return _REF.fullmatch(text) is not None


def database_host(project_ref: str) -> str:
    """Return the host of a hosted project's database."""
    return f"db.{project_ref}.supabase.co"


def ref_of_database(database_url: Secret) -> str | None:
    """Return the project ref that a database's URL or keyword string names, None for any other database."""
    found = _OF_DATABASE.search(database_url.reveal())
    return (found[1] or found[2]) if found else None


def url_of(project_ref: str) -> str:
    """Return the API address of a hosted project. Raises UsageError when the ref is not one."""
    if not _REF.fullmatch(project_ref):
        raise UsageError(
            f"{project_ref!r} is not a project ref",
            hint="a project ref is the 20 lower-case letters in the project's address",
        )
    return f"https://{project_ref}.supabase.co"


def ref_of(project_url: str) -> str | None:
    """Return the project ref that a hosted address names, or None for any other address."""
    host = urlsplit(project_url).hostname or ""
    name, _, domain = host.partition(".")
    return name if domain in {"supabase.co", "supabase.in"} and _REF.fullmatch(name) else None


def ref_in(project_url: str | None) -> str | None:
    """Return the ref that a stored address names, also one with blanks around it; None for what is no address."""
    try:
        return ref_of((project_url or "").strip())
    except ValueError:
        return None


def host_in(project_url: str | None) -> str | None:
    """Return the host that a stored address names, also one with blanks around it; None for what is no address."""
    try:
        return urlsplit((project_url or "").strip()).hostname
    except ValueError:
        return None


def check_url(project_url: str) -> str:
    """Return `project_url` unchanged if it is an origin that pg_net can call; raise UsageError with the cure if not.

    Only scheme, host and port are allowed: dispatch appends the function's path. Plain http is allowed for
    this machine, container and private networks only, because a redirect to https turns the POST into a GET.
    """
    if project_url != project_url.strip() or re.search(r"[^\x21-\x7e]", project_url):
        raise UsageError(
            "the project URL contains blanks or control characters",
            hint="pass the address alone, on one line",
        )
    try:
        parts = urlsplit(project_url if "//" in project_url else f"//{project_url}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise UsageError(
            f"the project URL {project_url!r} has an invalid port or host", hint="use https://HOST[:PORT]"
        ) from None
    if not host or "@" in parts.netloc:
        raise UsageError(f"the project URL {project_url!r} names no plain host", hint="use https://HOST[:PORT]")
    private = _is_private(host)
    scheme = "http" if private and parts.scheme != "https" else "https"
    origin = f"{scheme}://" + (f"[{host}]" if ":" in host else host) + (f":{port}" if port else "")
    if not parts.scheme:
        raise UsageError(f"the project URL {project_url!r} has no scheme", hint=f"use {origin}")
    if parts.scheme not in {"http", "https"}:
        raise UsageError(f"the project URL has the scheme {parts.scheme!r}", hint=f"use {origin}")
    if parts.path or parts.query or parts.fragment:
        what = "a trailing slash" if parts.path == "/" and not parts.query else "a path"
        raise UsageError(f"the project URL {project_url!r} has {what}", hint=f"use {origin}")
    if parts.scheme == "http" and not private:
        raise UsageError(
            f"the project URL {project_url!r} is not encrypted",
            hint=f"use https://{parts.netloc}: a redirect from http would turn the POST into a GET",
        )
    return project_url


def _is_private(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "." not in host or host.endswith((".localhost", ".local", ".internal"))
    return address.is_private or address.is_loopback
