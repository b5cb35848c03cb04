"""What a server, or the pooler before it, says when it lets nobody in, and what to do then."""

import re

SESSION_POOLER = (
    "use the address of Supabase's session pooler, from the dashboard under Connect; once supabase link has stored it,"
    " SUPABASE_DB_PASSWORD completes it"
)
ENDED = "the server restarted, or the connection was ended: when it is up again, run this again"
# nothing of the project answers: it may be paused or deleted
_GONE = re.compile(
    r"could not translate host name|resolve host|Name or service not known|ENOTFOUND|[Tt]enant or user not found"
    r"|tenant/user .* not found|EDBNXDOMAIN|EDBHANDLEREXITED|server login has been failing|cannot connect to server"
)

# libpq gives no SQLSTATE for a connection that was never made, only the server's or its own text
_HINTS: tuple[tuple[str, str], ...] = (
    (
        r"no password supplied",
        "the database URL holds no password: is it put together from a variable that is empty? Copy the address from"
        " the dashboard under Connect, and replace [YOUR-PASSWORD] in it",
    ),
    (
        r"password authentication failed|SASL authentication failed|[Ww]rong password|\(EAUTH\)"
        r"|[Ii]nvalid (authentication )?(credentials|password)",
        "check the password in the database URL (a reserved character in it as %XX: @ is %40), and that nothing is left"
        " of the placeholder [YOUR-PASSWORD]; on Supabase reset it under Settings > Database",
    ),
    (
        r"ECIRCUITBREAKER|[Tt]oo many authentication (errors|failures)",
        "Supabase's pooler refuses everybody for some minutes after wrong passwords: correct the password wherever"
        " it is used, then wait",
    ),
    (
        r"EMAXCONN|[Mm]ax clients reached|Max client connections reached|no more connections allowed"
        r"|query_wait_timeout|ECHECKOUTTIMEOUT|check out (connection|process) from the pool|CheckoutTimeout",
        "the pooler is full: close other sessions, use its transaction mode (port 6543), or raise the pool size under"
        " Settings > Database",
    ),
    (
        r"ENOIDENTIFIER|no tenant identifier",
        "through Supabase's pooler the user is postgres.<project ref>",
    ),
    (
        r"ENOTFOUND|[Tt]enant or user not found|tenant/user .* not found",
        "through Supabase's pooler the user is postgres.<project ref>; if yours is, this is the pooler of another"
        " region or cluster, or the project is paused: see the dashboard, and copy the whole address under Connect",
    ),
    (
        r"server_login_retry|server login has been failing|EDBHANDLEREXITED|EDBNXDOMAIN|cannot connect to server"
        r"|server conn crashed|[Aa]uthentication query failed|EAUTHQUERY|db_termination|EDBSHUTDOWN"
        r"|client_login_timeout|establish connection to upstream|[Ff]ailed to connect to (the )?database",
        "the pooler runs and does not get to the database behind it: see in the dashboard whether the project is paused"
        " or restarting, and wait a minute after a change of its password",
    ),
    (
        r"unsupported startup parameter",
        "this pooler takes no such parameter: leave options and the like out of the database URL and of PGOPTIONS",
    ),
    (
        r"allow_list|[Nn]etwork [Rr]estriction",
        "the project lets only some addresses in: add yours in the dashboard under Database > Network Restrictions",
    ),
    (r"[Pp]roject (is |has been )?paused", "restore the project in the dashboard, then run this again"),
    (r"No space left|disk full", "the server's disk is full: free or add space there, then run this again"),
    (
        r"is not permitted to log in",
        "connect as a role that may log in; on Supabase that is postgres",
    ),
    (
        r"permission denied for database|not currently accepting connections",
        "this role may not use this database, or no role may: check the database name; on Supabase it is postgres",
    ),
    (
        r"too many connections for (role|database)",
        "close other sessions of it, or let it have more: alter role … connection limit, or alter database …",
    ),
    (
        r"connection is insecure|SSL connection is required|no encryption$|SSL off$",
        "this server wants TLS: remove sslmode from the database URL, or write sslmode=require",
    ),
    (r"pg_hba\.conf", "the server does not accept this user from this address: see its pg_hba.conf"),
    (
        r"invalid response to SSL negotiation",
        "what listens there is no PostgreSQL server: check the port, which is 5432 or a pooler's 6543, on supabase"
        " start 54322, and not that of the API",
    ),
    (r"database \".*\" does not exist|[Nn]o such database", "check the database name; on Supabase it is postgres"),
    (r"role \".*\" does not exist|[Nn]o such user", "check the user name; on Supabase it is postgres"),
    (
        r"Cannot assign requested address|Address family not supported",
        "the host has an IPv6 address only, and this machine none: " + SESSION_POOLER,
    ),
    (
        r"could not translate host name|resolve host|Name or service not known",
        "check the host name; a project that is paused or deleted has none; Supabase's direct host has IPv6 only: from"
        " IPv4 networks use the session pooler",
    ),
    (
        r"Network is unreachable|No route to host|timeout expired|timed out",
        "check network and firewall; from IPv4 networks use the address of Supabase's session pooler",
    ),
    (
        r"terminating connection|closed the connection|is (shutting down|starting up)|in recovery mode|"
        r"not (yet )?accepting connections|closed unexpectedly|EOF detected|[Cc]onnection reset|connection is lost",
        ENDED,
    ),
    (
        r"could not access file",
        "a setting names a library that the server does not have; as another role: alter role … reset"
        " session_preload_libraries, or of local_preload_libraries, or alter database …",
    ),
    (
        r"on socket .* failed: (No such file|Permission denied)",
        "no server listens on a socket of this machine: give the host in the database URL",
    ),
    (r"Connection refused", "check host and port, and that the server is running"),
    (
        r"SSL|TLS|certificate",
        "check sslmode in the database URL; use sslmode=disable only on a private network",
    ),
    (
        r"too many (connections|clients)|remaining connection slots|connection limit exceeded|number of connections",
        "close other connections, or use the pooler's address",
    ),
)


def hint(words: str) -> str:
    """Return what to do about words of the server, of its pooler or of libpq."""
    return next((hint for pattern, hint in _HINTS if re.search(pattern, words)), "check the database URL")


def may_be_gone(words: str) -> bool:
    """Return whether such words come of a project that is paused or deleted, among other things."""
    return _GONE.search(words) is not None
