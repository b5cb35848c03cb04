"""The HTTP client of the calls that this program makes itself."""

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from autosync_db import __version__

if TYPE_CHECKING:
    import httpx

CONNECT_SECONDS = 10
LOOPBACK = {"localhost", "127.0.0.1", "::1"}


def client_for(address: str, seconds: float, *, accepts: str = "*/*", **settings: Any) -> "httpx.Client":
    """Return what calls an address from here and follows no redirect from it; `settings` are further ones of httpx."""
    import httpx

    return httpx.Client(
        headers={"user-agent": f"autosync-db/{__version__}", "accept": accepts},
        timeout=httpx.Timeout(seconds, connect=CONNECT_SECONDS),
        follow_redirects=False,  # a redirect would carry a credential to another address
        trust_env=urlsplit(address).hostname not in LOOPBACK,
        verify=address.startswith("https:"),  # without TLS nothing is verified, and loading certificates takes longest
        **settings,
    )
