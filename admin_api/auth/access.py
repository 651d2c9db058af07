"""Who may do what. Everything needs a role unless it stands in PUBLIC; a test walks all routes."""

PUBLIC: frozenset[tuple[str, str]] = frozenset(
    {
        ("GET", "/"),
        ("GET", "/dashboard"),
        ("GET", "/healthz"),
        ("POST", "/api/auth/login"),
        ("GET", "/api/auth/status"),
        ("GET", "/api/openapi.json"),
    }
)
"""Method and path. HEAD follows GET. Open for a reason each: pages without data, a probe, the door itself."""

DRY_RUNS: frozenset[tuple[str, str]] = frozenset({("POST", "/api/routing/simulate")})
"""They look, though they need a body to say at what."""

ROLES = ("admin", "viewer")


def is_public(method: str, path: str) -> bool:
    method = "GET" if method == "HEAD" else method
    return (method, path.rstrip("/") or "/") in PUBLIC


def may(role: str, method: str, path: str) -> bool:
    """An admin may do everything, a viewer only look."""
    return role == "admin" or (role == "viewer" and (method in ("GET", "HEAD") or (method, path) in DRY_RUNS))
