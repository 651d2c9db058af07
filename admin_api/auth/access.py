"""Who may do what. Everything needs a role unless it stands in PUBLIC; a test walks all routes."""

from admin_api.auth.actor import Role

PUBLIC: frozenset[tuple[str, str]] = frozenset(
    {
        ("GET", "/"),
        ("GET", "/dashboard"),
        ("GET", "/healthz"),
        ("POST", "/api/auth/login"),
        ("POST", "/api/auth/login-link"),
        ("GET", "/api/auth/status"),
        ("GET", "/api/openapi.json"),
    }
)
"""Method and path. HEAD follows GET. Open for a reason each: pages without data, a probe, the door itself."""

DRY_RUNS: frozenset[tuple[str, str]] = frozenset(
    {("POST", "/api/routing/simulate"), ("POST", "/api/translator/detect"), ("POST", "/api/translator/translate")}
)
"""They look, though they need a body to say at what."""

OWNERS_ONLY: tuple[tuple[str, str], ...] = (
    ("*", "/api/users"),
    ("*", "/api/admin-tokens"),
    ("*", "/api/auth/sessions"),
    ("*", "/api/policies"),
    ("GET", "/api/compliance/audit-log"),
    ("*", "/api/db-backups"),
    ("*", "/api/settings/ip-filter"),
)
"""Method (`*` = any) and path, with all below it: who else may come in, what they did, and the plane as a whole."""

NOT_FOR_VIEWERS: tuple[tuple[str, str], ...] = (("GET", "/api/logs"),)
"""Of what is only looked at: it tells more of the machine than a viewer needs."""

OWN_AFFAIRS: frozenset[tuple[str, str]] = frozenset(
    {("POST", "/api/auth/logout"), ("POST", "/api/auth/logout-all"), ("POST", "/api/auth/password")}
)
"""What everybody may do, with their own session."""

ROLES: tuple[Role, ...] = ("owner", "operator", "viewer")


def is_public(method: str, path: str) -> bool:
    method = "GET" if method == "HEAD" else method
    is_dashboard = method == "GET" and path.startswith("/dashboard/")  # its files; what they show is asked of the API
    return is_dashboard or (method, path.rstrip("/") or "/") in PUBLIC


def may(role: Role, method: str, path: str) -> bool:
    """An owner may do everything, an operator all but OWNERS_ONLY, a viewer only look, and not at those."""
    path = path.rstrip("/")
    if role == "owner" or (method, path) in OWN_AFFAIRS:
        return True
    if any(_covers(rule, method, path) for rule in OWNERS_ONLY):
        return False
    if role == "viewer" and any(_covers(rule, method, path) for rule in NOT_FOR_VIEWERS):
        return False
    return role == "operator" or (role == "viewer" and (method in ("GET", "HEAD") or (method, path) in DRY_RUNS))


def is_in_scope(scopes: tuple[str, ...], path: str) -> bool:
    """Whether a token's scopes, if it has any, hold this path."""
    return not scopes or any(path == scope or path.startswith(scope.rstrip("/") + "/") for scope in scopes)


def _covers(rule: tuple[str, str], method: str, path: str) -> bool:
    if rule[0] not in ("*", "GET" if method == "HEAD" else method):
        return False
    return path == rule[1] or path.startswith(rule[1] + "/")
