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

# the API's host, as the first one of a database's URL or keyword string
_API_OF_DATABASE = re.compile(
    r"^postgres(?:ql)?://(?:[^@/]*@)?([a-z]{20})\.supabase\.(?:co|in)\b|\bhost\s*=\s*'?([a-z]{20})\.supabase\.(?:co|in)\b"
)
# the ports that an address need not name
_PORTS = {"https": 443, "http": 80}
_OLD_HOST = re.compile(r"([a-z]{20})\.supabase\.in")
_WHERE_DATABASES_ARE = "copy the database's address from the dashboard under Connect: it begins with postgresql://"
# what a message may quote: a password or a token that was given in the place of an address has other characters, or
# is a word of letters and digits as no host has
_PLAIN = re.compile(
    r"(?:[a-z][a-z0-9+.-]*://|//)?(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]*\])(?::[0-9]{1,5})?(?:/[A-Za-z0-9._~/-]*)?(?:\?(?:\w{1,9}=\w{0,9})?)?"
)
_OPAQUE = re.compile(r"(?=(?:[a-z_-]*[0-9]){4})(?=[^a-z]*[a-z])[a-z0-9_-]{16,}", re.IGNORECASE)

_DASHBOARDS = {"supabase.com", "www.supabase.com", "app.supabase.com", "app.supabase.io"}
_DOMAINS = {"supabase.co", "supabase.in", "supabase.io"}
# in the place of a ref; sql/checks/project_url_valid.sql has the same
_PLACEHOLDER = re.compile(
    r".*_.*|your[-.]?(?:project|supabase|ref|app|own|subdomain|url|host).*|(?:supabase-?)?project-?(?:ref|id|url|name)"
    r"|ref|project|example|placeholder|change-?me|x{4,}"
)

_LOST = 'is it from a variable that is not set? Write it with its quotes: "$NAME"'
# wherever a ref stands in what is copied from the dashboard
_MEANT = re.compile(
    r"/(?:dashboard/project|projects)/([a-z]{20})(?![a-z])"
    r"|(?<![a-z])([a-z]{20})\.(?:(?:functions|storage)\.)?supabase\.(?:com?|in)(?![a-z])"
    r"|(?<=\.)([a-z]{20})(?=[:@])|^([a-z]{20})$"
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


def require_database(database_url: str) -> None:
    """Return unless it is the address of the API or of a web page. Raises UsageError, which quotes no password."""
    if re.match(r"\s*https?://", database_url):
        raise UsageError(
            "the database URL is an address of the web, such as the API's, not of a database",
            hint=f"{_WHERE_DATABASES_ARE}; the project's own is passed as --project-url",
        )
    if found := _API_OF_DATABASE.search(database_url):
        ref = found[1] or found[2]
        raise UsageError(
            f"the database URL has the host of the project's API, {ref}.supabase.co, where no database listens",
            hint=f"the database's host is {database_host(ref)}, or a pooler's: {_WHERE_DATABASES_ARE}",
        )


def url_of(project_ref: str) -> str:
    """Return the API address of a hosted project. Raises UsageError when the ref is not one."""
    if not _REF.fullmatch(project_ref):
        raise not_a_ref(project_ref)
    return f"https://{project_ref}.supabase.co"


def ref_within(text: str) -> str:
    """Return the ref that somebody means, who may have copied an address that holds it. Raises UsageError for none."""
    found = text.strip() if is_ref(text.strip()) else _meant(text)
    if found is None:
        raise not_a_ref(text)
    return found


def not_a_ref(text: str) -> UsageError:
    """Return the refusal of what is no project ref, with the one that it holds where it holds one."""
    meant = _meant(text)
    hint = f"pass {meant}" if meant else "a project ref is the 20 lower-case letters in the project's address"
    if not text.strip() or text.startswith("-"):
        hint += f"; {_LOST}"
    return UsageError(f"{_quoted(text, 'what was given')} is not a project ref", hint=hint)


def _quoted(text: str, instead: str = "") -> str:
    """Return a text as a message quotes it, `instead` where it may hold a password or a token."""
    return repr(text) if _PLAIN.fullmatch(text) and not _OPAQUE.search(text) else instead


def _meant(text: str) -> str | None:
    """Return the ref in an address of the dashboard, the API, a function, the database or a pooler, None for none."""
    found = {one for groups in _MEANT.findall(text.strip().lower()) for one in groups if one}
    return found.pop() if len(found) == 1 else None


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


def origin(url: str) -> str:
    """Return scheme, host and port of an address in one way to write them; one that cannot be read as it is.

    The old domain of a project's API is that of today, as both lead to it.
    """
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        return url
    host = _OLD_HOST.sub(r"\1.supabase.co", (parts.hostname or "").rstrip("."))
    host = f"[{host}]" if ":" in host else host
    shown = "" if port in {None, _PORTS.get(parts.scheme.lower())} else f":{port}"
    user = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
    return f"{parts.scheme.lower()}://{user}{host}{shown}"


def check_url(project_url: str) -> str:
    """Return `project_url` unchanged if it is an origin that pg_net can call; else raise UsageError.

    Only scheme, host and port are allowed: dispatch appends the function's path. Plain http is allowed for
    this machine, container and private networks only, because a redirect to https turns the POST into a GET.
    """
    quoted = _quoted(project_url)
    subject = f"the project URL {quoted}" if quoted else "the project URL"
    if not project_url or project_url.startswith("-"):
        raise UsageError(f"{subject} does not name a plain host", hint=f"use https://HOST[:PORT]; {_LOST}")
    if is_ref(project_url):
        raise UsageError(f"{project_url!r} is a project ref, not a URL", hint=f"use {url_of(project_url)}")
    if re.match(r"postgres(ql)?://", project_url):
        meant = _meant(project_url)
        raise UsageError(
            "the project URL is the address of a database",
            hint=f"use {url_of(meant) if meant else 'https://REF.supabase.co'}; a database is passed as --database-url",
        )
    if project_url != project_url.strip() or re.search(r"[^\x21-\x7e]", project_url):
        raise UsageError(
            "the project URL contains blanks or control characters",
            hint="pass only the address, on one line",
        )
    if twice := re.match(r"[a-z]+:/*(https?://.*)", project_url, re.IGNORECASE):
        meant = twice[1] if _quoted(twice[1]) else "https://HOST[:PORT]"
        raise UsageError("the project URL has its scheme twice", hint=f"use {meant}")
    try:
        parts = urlsplit(project_url if "//" in project_url else f"//{project_url}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise UsageError(f"{subject} has an invalid port or host", hint="use https://HOST[:PORT]") from None
    if not host or "@" in parts.netloc:
        raise UsageError(f"{subject} does not name a plain host", hint="use https://HOST[:PORT]")
    _require_api(project_url, host)
    private = _is_private(host)
    scheme = "http" if private and parts.scheme != "https" else "https"
    origin = f"{scheme}://" + (f"[{host}]" if ":" in host else host) + (f":{port}" if port else "")
    if not _quoted(origin):
        origin = "https://HOST[:PORT]"
    if not parts.scheme:
        raise UsageError(f"{subject} has no scheme", hint=f"use {origin}")
    if parts.scheme not in {"http", "https"}:
        raise UsageError(f"the project URL has the scheme {parts.scheme!r}", hint=f"use {origin}")
    if parts.path or parts.query or parts.fragment:
        what = "a trailing slash" if parts.path == "/" and not parts.query else "a path"
        raise UsageError(f"{subject} has {what}", hint=f"use {origin}")
    if parts.scheme == "http" and not private:
        raise UsageError(
            f"{subject} is not encrypted",
            hint=f"use {origin}: a redirect from http would turn the POST into a GET",
        )
    return project_url


def _require_api(project_url: str, host: str) -> None:
    """Raise UsageError for an address that is copied from the same page and is not the API's."""
    name, _, domain = host.rpartition(".supabase.")
    if domain in {"co", "in"} and _PLACEHOLDER.fullmatch(name):
        raise UsageError(
            "the project URL holds a placeholder where the project's ref belongs",
            hint="copy the project's own from the dashboard: https://REF.supabase.co, where REF is 20 letters",
        )
    if host in _DASHBOARDS:
        what = "the dashboard, not of the project's API"
    elif host.endswith(".pooler.supabase.com"):
        what = "the pooler of databases"
    elif domain in {"com", "io"}:
        what = "a service of Supabase itself, not of the project's API"
    elif domain in {"co", "in"} and name.startswith("db."):
        what = "the database, not of the API"
    elif domain in {"co", "in"} and name.endswith(".functions"):
        what = "the functions alone"
    elif (domain in {"co", "in"} and ("." in name or name in {"api", "app", "www"})) or host in _DOMAINS:
        what = "another service, not of the project's API"
    else:
        return
    meant = _meant(project_url)
    raise UsageError(
        f"the project URL is the address of {what}",
        hint=f"use {url_of(meant)}" if meant else "use https://REF.supabase.co",
    )


def is_private(project_url: str) -> bool:
    """Return whether an address is one of this machine, of a container or of a private network."""
    return _is_private(urlsplit(project_url).hostname or "")


def _is_private(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "." not in host or host.endswith((".localhost", ".local", ".internal"))
    return address.is_private or address.is_loopback
