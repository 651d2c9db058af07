"""What keeps a browser from being used against the admin: Origin rules, security headers. Pure.

The rule for `Host` is the same for callers: `gateway/config/addresses.py`.
"""

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

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


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
