"""What a node's and a proxy's URL may be. Pure: names are resolved and checked again where a call is made."""

import re
from urllib.parse import urlsplit

from gateway.config.addresses import reach_of_host

_PREFIX = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_NEVER_IN_URLS = re.compile(r"[\x00-\x20\x7f\\]")
"""What readers of URLs do not agree about."""
_PROXY_SCHEMES = ("http", "https", "socks5", "socks5h")
DIALECTS = ("openai_chat", "openai_responses", "anthropic_messages", "gemini")


def base_url_problem(base_url: str) -> str:
    """Why this base URL is refused; empty when it is fine."""
    try:
        parts = urlsplit(base_url)
        host, _port = parts.hostname or "", parts.port
    except ValueError:
        return "is not a URL"
    if parts.scheme not in ("http", "https"):
        return "must begin with http:// or https://"
    if not host or _NEVER_IN_URLS.search(base_url) or any(character.isspace() for character in base_url):
        return "is not a URL"
    if parts.username is not None or parts.password is not None:
        return "must not hold credentials: give the connection an apiKey"
    if parts.query or parts.fragment:
        return "must not have a query or a fragment"
    if reach_of_host(host) == "refused":
        return "is a link-local or metadata address, which is never called"
    return ""


def proxy_problem(proxy: str) -> str:
    """Why this proxy is refused; empty when it is fine."""
    try:
        parts = urlsplit(proxy)
        host, _port = parts.hostname, parts.port
    except ValueError:
        return "is not a URL"
    if parts.scheme not in _PROXY_SCHEMES or not host:
        return f"must be a URL of {', '.join(_PROXY_SCHEMES)}"
    if _NEVER_IN_URLS.search(proxy) or parts.path not in ("", "/") or parts.query or parts.fragment:
        return "must be a URL like socks5://host:1080"
    if reach_of_host(host) == "refused":
        return "is a link-local or metadata address, which is never called"
    return ""


def prefix_problem(prefix: str) -> str:
    return "" if _PREFIX.fullmatch(prefix) else "must be 1 to 64 letters, digits, dots, dashes or underscores"
