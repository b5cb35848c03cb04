"""The HTTP client of the calls that this program makes itself."""

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from autosync_db import __version__
from autosync_db.errors import UsageError

if TYPE_CHECKING:
    import httpx

CONNECT_SECONDS = 10
LOOPBACK = {"localhost", "127.0.0.1", "::1"}


def client_for(address: str, seconds: float, *, accepts: str = "*/*", **settings: Any) -> "httpx.Client":
    """Return what calls an address from here and follows no redirect from it; `settings` are further ones of httpx.

    Raises UsageError where the environment names a proxy that cannot be used.
    """
    import httpx

    try:
        return httpx.Client(
            headers={"user-agent": f"autosync-db/{__version__}", "accept": accepts},
            timeout=httpx.Timeout(seconds, connect=CONNECT_SECONDS),
            follow_redirects=False,  # a redirect would carry a credential to another address
            trust_env=urlsplit(address).hostname not in LOOPBACK,
            verify=address.startswith("https:"),  # without TLS nothing is verified, and certificates take longest
            **settings,
        )
    except (ImportError, ValueError):  # socks, or a scheme that httpx does not know
        raise UsageError(
            "the proxy of HTTPS_PROXY, HTTP_PROXY or ALL_PROXY cannot be used: it is neither http nor https",
            hint="name a proxy of http://, or in NO_PROXY the host that needs none",
        ) from None
