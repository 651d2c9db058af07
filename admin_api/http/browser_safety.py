"""What keeps a browser from being used against the admin: Host and Origin rules, security headers. Pure."""

from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

SECURITY_HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"content-security-policy", b"default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"),
)
API_HEADERS: tuple[tuple[bytes, bytes], ...] = ((b"cache-control", b"no-store"),)

_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def host_name(host: str) -> str:
    """The name in a Host header or a netloc, without port and brackets, lower case. Empty when unreadable."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def is_host_allowed(host: str, base_url: str) -> bool:
    """On loopback only names that no foreign page can point here are served (DNS rebinding)."""
    name = host_name(host)
    return name in _LOOPBACK_NAMES or (bool(base_url) and name == host_name(urlsplit(base_url).netloc))


def is_origin_allowed(headers: Mapping[str, str], base_url: str) -> bool:
    """An `Origin`, or else a `Referer`, must be our own host if it is sent at all."""
    sent = headers.get("origin") or headers.get("referer")
    if not sent:
        return True
    try:
        origin = urlsplit(sent).netloc.lower()
    except ValueError:
        return False
    own = {headers.get("host", "").lower(), urlsplit(base_url).netloc.lower()} - {""}
    return bool(origin) and origin in own


def decode_headers(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Headers by lower-case name; the last of a repeated one wins."""
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in raw}
